#include "model/train/measure/batch.h"

#include <ATen/ops/empty.h>

#include <filesystem>

namespace sink::train {

data::LoaderOptions LoaderOptionsOf(const JobFile& job, const std::string& split) {
  const bool training = split == "train";
  const DataConfig& data = job.config.data;
  data::LoaderOptions options;
  options.folder = (std::filesystem::path(job.data_root) / data.set).string();
  options.split = split;
  if (training) {
    options.domains = data.domains;
    options.weights = data.weights;
  }
  options.sequence_length = job.config.train.sequence_length;
  options.fraction = training ? data.fraction : 1.0;
  options.seed = training ? static_cast<uint64_t>(job.config.train.seed) : 0;
  options.vocab_size = job.config.model.vocab_size;
  options.fixed_token_position = data.fixed_token_position;
  options.fixed_token_id = data.fixed_token_id;
  options.random_tokens_start = data.random_tokens_start;
  options.random_tokens_end = data.random_tokens_end;
  return options;
}

at::Tensor ReadBatch(data::Loader& loader, int64_t rows, int64_t length, at::Device device) {
  const at::Tensor batch_BT1 = at::empty({rows, length + 1}, at::kInt);
  loader.Next(rows, batch_BT1.mutable_data_ptr<int32_t>());
  return batch_BT1.to(device, at::kLong);
}

}  // namespace sink::train
