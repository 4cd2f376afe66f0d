# sink-coordinator, sinkctl and sink-worker without LibTorch: for the coordinator and for people. In the project's root:
#   docker build -f deploy/docker/control.Dockerfile -t sink-control .
FROM debian:12 AS build
WORKDIR /src
COPY deploy/bootstrap.sh deploy/bootstrap.sh
RUN deploy/bootstrap.sh --control && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset control -DSINK_TESTS=OFF \
    && cmake --build --preset control --target sink-coordinator sink-backup sink-worker sinkctl

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      libgrpc++1.51 libprotobuf32 libabsl20220623 libsqlite3-0 libprometheus-cpp-core1.0 libprometheus-cpp-pull1.0 \
      libjemalloc2 libcivetweb1 libyaml-cpp0.7 libspdlog1.10 libutf8proc2 libxxhash0 libssl3 && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/sink --create-home sink \
    && install -d -o 10001 -m 700 /join
COPY --from=build /src/build/control/bin/ /usr/local/bin/
USER 10001
VOLUME /var/lib/sink
EXPOSE 7070
ENTRYPOINT ["sink-coordinator"]
CMD ["--data", "/var/lib/sink", "--listen", "0.0.0.0:7070"]
