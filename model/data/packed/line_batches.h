// Lines of a corpus in portions large enough to be worth a thread's while: read in order, tokenised anywhere.
// Belongs to one packing run; the reader serves one thread at a time, a batch belongs to whoever holds it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/data/corpus/corpus.h"
#include "model/data/corpus/line_reader.h"
#include "model/data/tokenizer/tokenizer.h"
#include "proto/files/hash.h"

namespace sink::data {

struct CorpusLine {
  int64_t number = 0;        // in its file, from 1
  std::string text;          // as read; empty when it was tokenised
  std::vector<int32_t> ids;  // EOS included
  std::string error;         // why the line holds no document
};

// Lines of one source, in the order of the corpus.
struct LineBatch {
  size_t source = 0;         // index
  bool last = false;         // of the source
  uint64_t consumed = 0;     // bytes of the source, up to the end of the batch
  files::FileDigest digest;  // of the last one: of the whole source as it was read
  std::vector<CorpusLine> lines;
};

// Parses and tokenises the lines, whose text is in the field `key`.
void EncodeBatch(Tokenizer* tokenizer, std::string_view key, LineBatch* batch);

class BatchReader {
 public:
  // Gives out the batches of the sources with the indexes `wanted`, in that order. `sources` must outlive this.
  BatchReader(const std::vector<CorpusFile>& sources, std::vector<size_t> wanted)
      : sources_(sources), wanted_(std::move(wanted)) {}

  // The next batch, or nothing at the end. DataError when a file cannot be read; there is no next one then.
  std::optional<LineBatch> Next();

 private:
  void Fill(LineBatch* batch);

  const std::vector<CorpusFile>& sources_;
  std::vector<size_t> wanted_;
  size_t next_ = 0;  // in wanted_
  std::optional<LineReader> reader_;
};

}  // namespace sink::data
