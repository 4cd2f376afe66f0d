// Reads the part of Hugging Face's tokenizer.json that byte-level BPE uses (GPT-2, GPT-NeoX, LLaMA-3), and refuses the
// rest by name: a tokenizer that is read gives the ids that the `tokenizers` library gives without special tokens.
// Plain values; pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sink::data {

// GPT-2's way of cutting text into words, which ByteLevel means by use_regex.
inline constexpr char kGpt2Pattern[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct BpeToken {
  std::string bytes;  // as they stand in text
  int32_t id = 0;
  bool reachable = true;  // by merging; false: spelt with characters that stand for no byte
};

struct BpeMerge {
  int32_t left = 0, right = 0, merged = 0;  // ids; the earlier in the list, the sooner it is applied
};

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool normalized = false;  // looked for after normalisation, not before
};

struct BpeSpec {
  bool nfc = false;  // Unicode normalisation form C first
  bool add_prefix_space = false;
  std::vector<std::string> patterns;  // regexes applied one after another; matches and what lies between are words
  bool ignore_merges = false;         // a word that is a token is taken whole
  std::vector<BpeToken> vocab;        // by id; every byte of UTF-8 is among them
  std::vector<BpeMerge> merges;
  std::vector<AddedToken> added;
  int32_t eos_id = 0;  // <|endoftext|>, <|end_of_text|> or </s>
};

// DataError, beginning with name, on damaged input and on parts that are not supported.
BpeSpec ParseTokenizerJson(std::string_view json, const std::string& name);

// A tokenizer.json of GPT-NeoX's shape (NFC, ByteLevel, BPE with string merges) that ParseTokenizerJson and the
// `tokenizers` library read. Only vocab, merges and added are taken from spec.
std::string PrintTokenizerJson(const BpeSpec& spec);

}  // namespace sink::data
