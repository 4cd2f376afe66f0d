// Learns a byte-level BPE vocabulary: the most frequent pair of neighbouring tokens within words becomes a token, again
// and again. Ties go to the pair with the smaller ids, so the result is a function of the text alone.
// A BpeTrainer belongs to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/data/tokenizer/splitter.h"
#include "model/data/tokenizer/tokenizer_json.h"

namespace sink::data {

class BpeTrainer {
 public:
  BpeTrainer();

  // Counts the words of one document (UTF-8; DataError otherwise).
  void Add(std::string_view text);

  // <|endoftext|> (id 0), the 256 bytes, then merged tokens up to vocab_size or until no pair comes min_frequency
  // times. DataError when vocab_size is below 257.
  BpeSpec Train(int64_t vocab_size, int64_t min_frequency) const;

 private:
  Splitter splitter_;
  std::unordered_map<std::string, int64_t> counts_;  // of words
  std::vector<std::string_view> words_;
};

}  // namespace sink::data
