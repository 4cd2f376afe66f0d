// Probes: the held-out token ids on which a model is measured. Reads files only; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>

namespace sink {

struct ProbeOptions {
  int64_t tokens = 64;         // T
  int64_t sequences = 100;     // at most
  std::optional<int64_t> bos;  // this id is put before every sequence, whose last token then goes
};

// Token ids [B, T + 1], int64: T inputs and the T targets one further on. From a safetensors file with `probe`
// [B, at least T + 1 (T with a BOS)] of int32 or int64; or from a LITPKDS file (.bin), cut into windows one after
// another, without what fills it up where a set.json beside it tells. ModelError or data::DataError naming the file on
// any other.
at::Tensor LoadProbe(const std::filesystem::path& path, const ProbeOptions& options);

}  // namespace sink
