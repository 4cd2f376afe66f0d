// Reading probes.
#include "model/eval/probe.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <span>

#include "model/base/model_error.h"
#include "model/data/packed/litpkds.h"
#include "model/data/packed/packed_set.h"
#include "model/storage/tensor_file.h"

namespace sink {
namespace {

at::Tensor ReadPacked(const std::filesystem::path& path, int64_t width, int64_t sequences) {
  const data::PackedFile file(path);
  const int64_t rows = std::min(sequences, data::TextTokens(file) / width);
  const at::Tensor ids = at::empty({rows, width}, at::TensorOptions().dtype(at::kInt));
  file.Read(0, std::span(ids.mutable_data_ptr<int32_t>(), static_cast<size_t>(rows * width)));
  return ids;
}

}  // namespace

at::Tensor LoadProbe(const std::filesystem::path& path, const ProbeOptions& options) {
  const int64_t width = options.tokens + 1 - (options.bos ? 1 : 0);
  at::Tensor ids = path.extension() == ".bin" ? ReadPacked(path, width, options.sequences)
                                              : ReadTensor(SafetensorsFile(path), "probe");
  if (ids.dim() != 2 || (ids.scalar_type() != at::kInt && ids.scalar_type() != at::kLong))
    throw ModelError(path.string() + ": probe must be a matrix of int32 or int64 token ids");
  if (ids.size(0) < 1 || ids.size(1) < width)
    throw ModelError(path.string() + ": sequences of " + std::to_string(ids.size(1)) + " ids, but T = " +
                     std::to_string(options.tokens) + " needs " + std::to_string(width) + " (give a smaller --tokens)");
  ids = ids.narrow(0, 0, std::min(options.sequences, ids.size(0))).narrow(1, 0, width).to(at::kLong);
  if (options.bos) ids = at::cat({at::full({ids.size(0), 1}, *options.bos, ids.options()), ids}, 1);
  return ids.contiguous();
}

}  // namespace sink
