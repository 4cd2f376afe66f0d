// Cuts the tokens of one source into packed files of whole blocks. Belongs to one packing run; one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "model/data/corpus/corpus.h"
#include "model/data/packed/litpkds.h"
#include "model/data/packed/packed_set.h"

namespace sink::data {

class ChunkWriter {
 public:
  // Files of chunk_blocks blocks of `block` tokens each, in `folder`, named after `source`, which must outlive this.
  ChunkWriter(const std::filesystem::path& folder, const CorpusFile& source, TokenType type, int64_t block,
              int64_t chunk_blocks)
      : folder_(folder), source_(source), type_(type), block_(block), chunk_tokens_(block * chunk_blocks) {}

  // Writes each file durably as soon as it is full. DataError when the disk refuses.
  void Append(const std::vector<int32_t>& ids);
  // Writes the whole blocks that are left, in a file filled up with `eos`; what is less than a block is dropped.
  void FinishFilledUp(int32_t eos);

  const std::vector<SetFile>& files() const { return files_; }

 private:
  void Write(std::span<const int32_t> tokens, int64_t blocks);

  std::filesystem::path folder_;
  const CorpusFile& source_;
  TokenType type_;
  int64_t block_, chunk_tokens_;
  std::vector<int32_t> tokens_;  // that are in no file yet
  std::vector<SetFile> files_;
};

}  // namespace sink::data
