#include "model/data/packed/chunk_writer.h"

#include <utility>

namespace sink::data {

void ChunkWriter::Append(const std::vector<int32_t>& ids) {
  tokens_.insert(tokens_.end(), ids.begin(), ids.end());
  size_t begin = 0;
  for (; tokens_.size() - begin >= static_cast<size_t>(chunk_tokens_); begin += chunk_tokens_) {
    Finish({tokens_.data() + begin, static_cast<size_t>(chunk_tokens_)}, chunk_tokens_ / block_);
  }
  tokens_.erase(tokens_.begin(), tokens_.begin() + begin);
}

void ChunkWriter::FinishFilledUp(int32_t eos) {
  const auto blocks = static_cast<int64_t>(tokens_.size()) / block_;
  if (blocks == 0) return;
  tokens_.resize(chunk_tokens_, eos);
  Finish(tokens_, blocks);
}

void ChunkWriter::Finish(std::span<const int32_t> tokens, int64_t blocks) {
  const auto counter = static_cast<int64_t>(files_.size());
  SetFile file = {.name = SetFileName(source_.split, source_.domain, source_.id, counter),
                  .split = source_.split,
                  .domain = source_.domain,
                  .blocks = blocks};
  file.xxh3 = put_(folder_ / file.name, tokens);
  files_.push_back(std::move(file));
}

}  // namespace sink::data
