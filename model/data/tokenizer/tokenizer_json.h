// Reads the part of Hugging Face's tokenizer.json that two kinds of BPE use: byte-level (GPT-2, GPT-NeoX, LLaMA-3), and
// over characters with bytes to fall back on (LLaMA-2, Mistral). The rest is refused by name: a tokenizer that is read
// gives the ids that the `tokenizers` library gives without special tokens.
// Plain values; pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/data/tokenizer/normalizer.h"

namespace sink::data {

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
  bool normalized = false;              // looked for after normalisation, not before
  bool lstrip = false, rstrip = false;  // takes the white space before, after it
};

// How a tokenizer over characters marks spaces, where a pre-tokeniser and not a normaliser does so.
struct Metaspace {
  enum class Prepend { kAlways, kFirst, kNever };

  std::string mark;                    // in the place of every space
  Prepend prepend = Prepend::kAlways;  // a mark before text without one; kFirst: only where the input begins
  bool split = true;                   // every mark begins a word; false: all of the text is one word
};

struct BpeSpec {
  std::vector<NormalizerStep> normalizer;
  bool byte_level = true;             // else over characters
  bool add_prefix_space = false;      // byte-level only, like patterns
  std::vector<std::string> patterns;  // regexes applied one after another; matches and what lies between are words
  std::optional<Metaspace> metaspace;
  bool ignore_merges = false;     // a word that is a token is taken whole
  bool byte_fallback = false;     // a character without a token is spelt in bytes, <0x00> to <0xFF>
  bool fuse_unk = false;          // unknown characters in a row give one unk_id
  std::optional<int32_t> unk_id;  // for characters (byte-level: bytes) without a token; without it they are dropped
  std::vector<BpeToken> vocab;    // by id
  std::vector<BpeMerge> merges;
  std::vector<AddedToken> added;
  std::optional<int32_t> eos_id;  // <|endoftext|>, <|end_of_text|> or </s>, where there is one
  std::optional<int32_t> bos_id;  // what post_processor puts before a text
};

// DataError, beginning with name, on damaged input and on parts that are not supported.
BpeSpec ParseTokenizerJson(std::string_view json, const std::string& name);

// A tokenizer.json of GPT-NeoX's shape (NFC, ByteLevel, BPE with string merges) that ParseTokenizerJson and the
// `tokenizers` library read. Only vocab, merges and added are taken from spec. raw: neither NFC nor words, text is
// bytes.
std::string PrintTokenizerJson(const BpeSpec& spec, bool raw = false);

}  // namespace sink::data
