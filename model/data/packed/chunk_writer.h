// Cuts the tokens of one source into chunks of whole blocks, one a packed file. Belongs to one packing run; one thread
// at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/data/corpus/corpus.h"
#include "model/data/packed/packed_set.h"

namespace sink::data {

class ChunkWriter {
 public:
  // Takes a file's tokens as soon as it is full, and returns the hash of its bytes: writes them, or compares.
  using Put = std::function<std::string(const std::filesystem::path& path, std::span<const int32_t> tokens)>;

  // Files of chunk_blocks blocks of `block` tokens each, in `folder`, named after `source`, which must outlive this.
  ChunkWriter(const std::filesystem::path& folder, const CorpusFile& source, int64_t block, int64_t chunk_blocks,
              Put put)
      : folder_(folder), source_(source), put_(std::move(put)), block_(block), chunk_tokens_(block * chunk_blocks) {}

  void Append(const std::vector<int32_t>& ids);
  // Puts the whole blocks that are left into a file filled up with `eos`; what is less than a block is dropped.
  void FinishFilledUp(int32_t eos);

  const std::vector<SetFile>& files() const { return files_; }

 private:
  void Finish(std::span<const int32_t> tokens, int64_t blocks);

  std::filesystem::path folder_;
  const CorpusFile& source_;
  Put put_;
  int64_t block_, chunk_tokens_;
  std::vector<int32_t> tokens_;  // that are in no file yet
  std::vector<SetFile> files_;
};

}  // namespace sink::data
