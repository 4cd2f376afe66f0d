// SentencePiece models: what is read, the rules by hand on a small one, and what is refused. Against the library
// itself: tests/integration/tokenizers_test.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "model/data/tokenizer/sentencepiece_model.h"
#include "model/data/tokenizer/tokenizer.h"
#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string Number(int field, uint64_t value) { return Varint(field << 3) + Varint(value); }
std::string Bytes(int field, const std::string& bytes) { return Varint(field << 3 | 2) + Varint(bytes.size()) + bytes; }
std::string Float(int field, float value) {
  std::string out = Varint(field << 3 | 5) + "1234";
  std::memcpy(out.data() + out.size() - 4, &value, 4);
  return out;
}
std::string PieceOf(const std::string& text, float score, int type = 1) {
  return Bytes(1, Bytes(1, text) + Float(2, score) + Number(3, type));
}

const std::string kHead = PieceOf("<unk>", 0, 2) + PieceOf("<s>", 0, 3) + PieceOf("</s>", 0, 3);
const std::string kBpe = Bytes(2, Number(3, 2));
const std::string kIdentity = Bytes(3, Bytes(1, "identity") + Number(3, 1) + Number(4, 0));

std::string Error(const std::string& model) {
  return ErrorOf([&] { NewSentencePieceTokenizer(model, "m.model"); });
}

std::vector<int32_t> IdsOf(Tokenizer* tokenizer, std::string_view text) {
  std::vector<int32_t> ids;
  tokenizer->Encode(text, &ids);
  return ids;
}

TEST(SentencePiece, MergesTheBestScoreFirstAndFusesTheUnknown) {
  const std::string model = kHead + PieceOf("a", -9) + PieceOf("b", -9) + PieceOf("\u2581", -9) + PieceOf("ab", -2) +
                            PieceOf("ba", -1) + PieceOf("xy", -3) + kBpe + kIdentity;
  const auto tokenizer = NewSentencePieceTokenizer(model, "m");
  EXPECT_THAT(IdsOf(tokenizer.get(), "aba"), ElementsAre(5, 3, 7));
  EXPECT_THAT(IdsOf(tokenizer.get(), "abab"), ElementsAre(5, 3, 7, 4));
  EXPECT_THAT(IdsOf(tokenizer.get(), "xy"), ElementsAre(5, 8));            // of two characters that are no pieces
  EXPECT_THAT(IdsOf(tokenizer.get(), "xzyq a"), ElementsAre(5, 0, 5, 3));  // three unknown in a row
  EXPECT_THAT(IdsOf(tokenizer.get(), ""), ElementsAre());
  EXPECT_EQ(tokenizer->bos_id(), 1);
  EXPECT_EQ(tokenizer->eos_id(), 2);
  EXPECT_EQ(tokenizer->Decode(IdsOf(tokenizer.get(), "ab  ba")), "ab  ba");
}

TEST(SentencePiece, BytesStandForUnknownCharacters) {
  std::string model = kHead;
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    model += PieceOf(text, 0, 6);
  }
  model += PieceOf("\u2581", -1) + Bytes(2, Number(3, 2) + Number(35, 1)) + kIdentity;
  const auto tokenizer = NewSentencePieceTokenizer(model, "m");
  EXPECT_THAT(IdsOf(tokenizer.get(), "é"), ElementsAre(259, 3 + 0xc3, 3 + 0xa9));
  EXPECT_EQ(tokenizer->Decode(IdsOf(tokenizer.get(), "é 東\n")), "é 東\n");
}

TEST(SentencePiece, UnsupportedModelsAreRefusedByName) {
  const std::string pieces = kHead + PieceOf("a", -1);
  EXPECT_EQ(Error(pieces + kBpe + kIdentity), "");
  EXPECT_THAT(Error(pieces + Bytes(2, Number(3, 1)) + kIdentity), HasSubstr("unigram"));
  EXPECT_THAT(Error(pieces + kIdentity), HasSubstr("unigram"));  // the default
  EXPECT_THAT(Error(pieces + kBpe + Bytes(3, Bytes(1, "nmt_nfkc") + Bytes(2, "map"))), HasSubstr("\"nmt_nfkc\""));
  EXPECT_THAT(Error(pieces + Bytes(2, Number(3, 2) + Number(24, 1))), HasSubstr("treat_whitespace_as_suffix"));
  EXPECT_THAT(Error(pieces + PieceOf("u", 0, 5) + kBpe), HasSubstr("unused"));
  EXPECT_THAT(Error(pieces + Bytes(2, Number(3, 2) + Number(35, 1))), HasSubstr("byte pieces"));
}

TEST(SentencePiece, DamagedModelsAreRefused) {
  const std::string good = kHead + PieceOf("a", -1) + kBpe + kIdentity;
  for (size_t size = 0; size < good.size(); ++size) {
    const std::string error = Error(good.substr(0, size));
    EXPECT_TRUE(error.empty() || error.starts_with("m.model: ")) << error;  // at a field's end it may be whole
  }
  EXPECT_THAT(Error(""), HasSubstr("no pieces"));
  EXPECT_THAT(Error(Varint(1 << 3 | 2) + Varint(uint64_t{1} << 63) + "x"), HasSubstr("truncated"));
  EXPECT_THAT(Error(std::string(11, '\xff')), HasSubstr("more than 64 bits"));
  EXPECT_THAT(Error(Varint(1 << 3 | 3)), HasSubstr("wire type 3"));
  EXPECT_THAT(Error(kHead + PieceOf("", 0) + kBpe), HasSubstr("empty or too long"));
  EXPECT_THAT(Error(kHead + PieceOf(std::string(300, 'a'), 0) + kBpe), HasSubstr("empty or too long"));
  EXPECT_THAT(Error(kHead + PieceOf("\xff", 0) + kBpe), HasSubstr("not UTF-8"));
  EXPECT_THAT(Error(kHead + PieceOf("a", 0) + PieceOf("a", 0) + kBpe), HasSubstr("comes twice"));
  EXPECT_THAT(Error(kHead + PieceOf("a", std::nanf("")) + kBpe), HasSubstr("no finite score"));
  EXPECT_THAT(Error(kHead + PieceOf("a", 0, 9) + kBpe), HasSubstr("unknown type"));
  EXPECT_THAT(Error(PieceOf("a", 0) + kBpe), HasSubstr("no unknown piece"));
  EXPECT_THAT(Error(PieceOf("<unk>", 0, 2) + kBpe), HasSubstr("no piece </s>"));
}

TEST(BosRule, ConfigurationBesideTheTokenizerDecides) {
  testing::TempDir dir;
  WriteText(dir / "tokenizer.model", kHead + PieceOf("a", -1) + kBpe + kIdentity);
  const auto bos_with = [&](const std::string& config) {
    WriteText(dir / "tokenizer_config.json", config);
    return OpenTokenizer(dir / "tokenizer.model")->bos_id();
  };
  EXPECT_EQ(OpenTokenizer(dir / "tokenizer.model")->bos_id(), 1);
  EXPECT_EQ(bos_with(R"({"bos_token": "<s>"})"), 1);
  EXPECT_EQ(bos_with(R"({"add_bos_token": false, "bos_token": "<s>"})"), std::nullopt);
  EXPECT_EQ(bos_with(R"({"add_bos_token": true, "bos_token": {"content": "</s>"}})"), 2);  // as OPT
  EXPECT_THAT(ErrorOf([&] { bos_with(R"({"add_bos_token": true, "bos_token": "<x>"})"); }), HasSubstr("no bos_token"));
  EXPECT_THAT(ErrorOf([&] { bos_with(R"({"add_bos_token": 1})"); }),
              HasSubstr("tokenizer_config.json: add_bos_token must be"));
  EXPECT_THAT(ErrorOf([&] { bos_with("[]"); }), HasSubstr("not a JSON object"));
}

}  // namespace
}  // namespace sink::data
