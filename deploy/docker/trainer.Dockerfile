# sink-worker with sink-trainer, sink-eval and sink-data. From the project's root, for CPUs:
#   docker build -f deploy/docker/trainer.Dockerfile -t sink-trainer .
# and for NVIDIA GPUs, with the CUDA toolkit (LibTorch takes cuBLAS, cuDNN and NCCL from it):
#   docker build -f deploy/docker/trainer.Dockerfile --build-arg CUDA=13-0 -t sink-trainer:cuda .
FROM debian:12 AS base
ARG CUDA=
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl && if [ -n "$CUDA" ]; then \
      curl -fsSLo /tmp/keyring.deb \
        https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/cuda-keyring_1.1-1_all.deb \
      && dpkg -i /tmp/keyring.deb && rm /tmp/keyring.deb && apt-get update \
      && apt-get install -y --no-install-recommends "cuda-toolkit-$CUDA" cudnn9-cuda-13 libnccl2 libnccl-dev; \
    fi && rm -rf /var/lib/apt/lists/*
ENV SINK_DEPS=/opt/sink

FROM base AS build
WORKDIR /src
COPY deploy/bootstrap.sh deploy/bootstrap.sh
RUN deploy/bootstrap.sh && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release && cmake --build --preset release

FROM base
RUN apt-get update && apt-get install -y --no-install-recommends \
      libgrpc++1.51 libprotobuf32 libabsl20220623 libsqlite3-0 libyaml-cpp0.7 libspdlog1.10 libutf8proc2 libxxhash0 \
      libpcre2-8-0 libzstd1 libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/sink --create-home sink
COPY --from=build /opt/sink/ /opt/sink/
COPY --from=build /src/build/release/bin/ /usr/local/bin/
USER 10001
VOLUME /var/lib/sink
ENTRYPOINT ["sink-worker"]
CMD ["--data", "/var/lib/sink", "--data-root", "/data"]
