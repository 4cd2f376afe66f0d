// Reads SentencePiece's tokenizer.model (a protocol buffer, walked by hand because programs with LibTorch cannot link
// protobuf) as far as models of type BPE use it: LLaMA-2's and Mistral's. The rest is refused by name.
// Plain values; pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sink::data {

enum class PieceType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kByte = 6 };

struct Piece {
  std::string text;  // UTF-8; U+2581 for a space
  float score = 0;   // the higher, the sooner it is merged
  PieceType type = PieceType::kNormal;
};

struct SentencePieceModel {
  std::vector<Piece> pieces;  // by id
  int32_t unk_id = 0;
  std::optional<int32_t> bos_id, eos_id;
  bool byte_fallback = false;            // a character without a piece is spelt in bytes
  bool add_dummy_prefix = true;          // a space before every text
  bool remove_extra_whitespaces = true;  // at both ends, and of several in a row all but one
  bool escape_whitespaces = true;        // a space is written U+2581
};

// DataError, beginning with name, on damaged input and on what is not supported: other types than BPE (unigram), rules
// of normalisation other than identity, white space as a suffix, unused pieces.
SentencePieceModel ParseSentencePieceModel(std::string_view bytes, const std::string& name);

}  // namespace sink::data
