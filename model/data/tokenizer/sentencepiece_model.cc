// See sentencepiece_model.h.
#include "model/data/tokenizer/sentencepiece_model.h"

#include <bit>
#include <cmath>
#include <iterator>
#include <unordered_set>
#include <utility>

#include "model/base/data_error.h"
#include "model/data/tokenizer/unicode.h"

namespace sink::data {
namespace {

constexpr size_t kMaxPieces = 1 << 20;
constexpr size_t kMaxPieceBytes = 256;

// Field numbers of sentencepiece_model.proto.
enum ModelField { kPieces = 1, kTrainerSpec = 2, kNormalizerSpec = 3 };
enum PieceField { kText = 1, kScore = 2, kType = 3 };
enum TrainerField { kModelType = 3, kWhitespaceAsSuffix = 24, kByteFallback = 35, kBosPiece = 46, kEosPiece = 47 };
enum NormalizerField { kName = 1, kCharsMap = 2, kAddDummyPrefix = 3, kRemoveExtra = 4, kEscape = 5 };

constexpr uint64_t kUnused = 5;
constexpr uint64_t kBpe = 2;
constexpr const char* kModelTypes[] = {"0", "unigram", "bpe", "word", "char"};

struct Field {
  uint64_t number = 0;
  uint64_t value = 0;      // of a varint, or a fixed number's bits
  std::string_view bytes;  // of what has a length
};

// Walks the fields of one message.
class ProtobufReader {
 public:
  ProtobufReader(std::string_view message, const std::string& name) : rest_(message), name_(name) {}

  // False at the end.
  bool Next(Field* field) {
    if (rest_.empty()) return false;
    const uint64_t tag = Varint();
    *field = {.number = tag >> 3};
    switch (tag & 7) {
      case 0:
        field->value = Varint();
        break;
      case 1:
        field->value = Fixed(8);
        break;
      case 2:
        field->bytes = Take(Varint());
        break;
      case 5:
        field->value = Fixed(4);
        break;
      default:
        Fail("wire type " + std::to_string(tag & 7));
    }
    return true;
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw DataError(name_ + ": not a SentencePiece model (" + what + ")");
  }

  std::string_view Take(uint64_t size) {
    if (size > rest_.size()) Fail("truncated");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  uint64_t Fixed(size_t size) {
    const std::string_view bytes = Take(size);
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) value |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << 8 * i;
    return value;
  }

  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(Take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    Fail("a number of more than 64 bits");
  }

  std::string_view rest_;
  const std::string& name_;
};

class ModelParser {
 public:
  explicit ModelParser(const std::string& name) : name_(name) {}

  SentencePieceModel Parse(std::string_view bytes) {
    ProtobufReader reader(bytes, name_);
    for (Field field; reader.Next(&field);) {
      if (field.number == kPieces) ReadPiece(field.bytes);
      if (field.number == kTrainerSpec) ReadTrainerSpec(field.bytes);
      if (field.number == kNormalizerSpec) ReadNormalizerSpec(field.bytes);
    }
    if (model_.pieces.empty()) Fail("it has no pieces");
    if (type_ != kBpe) {
      const std::string type = type_ < std::size(kModelTypes) ? kModelTypes[type_] : std::to_string(type_);
      Fail("a model of type " + type + " is not supported, only bpe");
    }
    FindSpecialPieces();
    return std::move(model_);
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const { throw DataError(name_ + ": " + what); }

  void ReadPiece(std::string_view bytes) {
    Piece piece;
    uint64_t type = static_cast<uint64_t>(PieceType::kNormal);
    ProtobufReader reader(bytes, name_);
    for (Field field; reader.Next(&field);) {
      if (field.number == kText) piece.text = field.bytes;
      if (field.number == kScore) piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
      if (field.number == kType) type = field.value;
    }
    const std::string which = "piece " + std::to_string(model_.pieces.size());
    if (model_.pieces.size() >= kMaxPieces) Fail("more than " + std::to_string(kMaxPieces) + " pieces");
    if (piece.text.empty() || piece.text.size() > kMaxPieceBytes) Fail(which + " is empty or too long");
    if (!std::isfinite(piece.score)) Fail(which + " has no finite score");
    if (type == kUnused) Fail(which + " is unused, which is not supported");
    if (type < 1 || type > static_cast<uint64_t>(PieceType::kByte)) Fail(which + " has an unknown type");
    piece.type = static_cast<PieceType>(type);
    if (type == static_cast<uint64_t>(PieceType::kUserDefined) && piece.text.find(' ') != std::string::npos) {
      Fail(which + " is user-defined with a space in it, which is not supported");
    }
    try {
      CheckUtf8(piece.text);
    } catch (const DataError& error) {
      Fail(which + ": " + error.what());
    }
    if (!texts_.insert(piece.text).second) Fail(which + " comes twice");
    model_.pieces.push_back(std::move(piece));
  }

  void ReadTrainerSpec(std::string_view bytes) {
    ProtobufReader reader(bytes, name_);
    for (Field field; reader.Next(&field);) {
      switch (field.number) {
        case kModelType:
          type_ = field.value;
          break;
        case kWhitespaceAsSuffix:
          if (field.value != 0) Fail("treat_whitespace_as_suffix is not supported");
          break;
        case kByteFallback:
          model_.byte_fallback = field.value != 0;
          break;
        case kBosPiece:
          bos_ = field.bytes;
          break;
        case kEosPiece:
          eos_ = field.bytes;
          break;
        default:
          break;
      }
    }
  }

  void ReadNormalizerSpec(std::string_view bytes) {
    std::string rules;
    bool has_map = false;
    ProtobufReader reader(bytes, name_);
    for (Field field; reader.Next(&field);) {
      if (field.number == kName) rules = field.bytes;
      if (field.number == kCharsMap) has_map = !field.bytes.empty();
      if (field.number == kAddDummyPrefix) model_.add_dummy_prefix = field.value != 0;
      if (field.number == kRemoveExtra) model_.remove_extra_whitespaces = field.value != 0;
      if (field.number == kEscape) model_.escape_whitespaces = field.value != 0;
    }
    if (has_map) Fail("the normalisation \"" + rules + "\" is not supported, only identity");
  }

  void FindSpecialPieces() {
    bool has_unknown = false;
    for (size_t i = 0; i < model_.pieces.size(); ++i) {
      const Piece& piece = model_.pieces[i];
      const auto id = static_cast<int32_t>(i);
      if (piece.type == PieceType::kUnknown) {
        if (has_unknown) Fail("two unknown pieces");
        has_unknown = true;
        model_.unk_id = id;
      }
      if (piece.type != PieceType::kControl) continue;
      if (piece.text == bos_) model_.bos_id = id;
      if (piece.text == eos_) model_.eos_id = id;
    }
    if (!has_unknown) Fail("no unknown piece");
  }

  const std::string& name_;
  SentencePieceModel model_;
  uint64_t type_ = 1;  // the proto's default, unigram
  std::string_view bos_ = "<s>", eos_ = "</s>";
  std::unordered_set<std::string> texts_;
};

}  // namespace

SentencePieceModel ParseSentencePieceModel(std::string_view bytes, const std::string& name) {
  return ModelParser(name).Parse(bytes);
}

}  // namespace sink::data
