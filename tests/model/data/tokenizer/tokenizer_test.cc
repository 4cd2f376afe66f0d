// Tokenizers: the ids of Hugging Face's `tokenizers` on its golden texts, round trips of random Unicode, long inputs,
// and what is refused by name.
#include "model/data/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <utf8proc.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "model/data/tokenizer/bos_rule.h"
#include "model/data/tokenizer/splitter.h"
#include "model/data/tokenizer/tokenizer_json.h"
#include "model/data/tokenizer/unicode.h"
#include "model/data/tokenizer/vocab_merges.h"
#include "model/data/tokenizer/word_scanner.h"
#include "tests/model/helpers/data_files.h"

namespace sink::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

std::string Golden(const std::string& path) {
  const char* source = std::getenv("SINK_SOURCE_DIR");
  return (source == nullptr ? std::string(".") : std::string(source)) + "/tests/golden/tokenizers/" + path;
}

std::vector<int32_t> IdsOf(Tokenizer* tokenizer, std::string_view text) {
  std::vector<int32_t> ids;
  tokenizer->Encode(text, &ids);
  return ids;
}

void ExpectGoldenIds(Tokenizer* tokenizer, const std::string& expected_json) {
  const Json cases = Json::parse(ReadText(expected_json));
  ASSERT_GT(cases.size(), 30u);
  for (const Json& each : cases) {
    const auto text = each.at("text").get<std::string>();
    EXPECT_EQ(IdsOf(tokenizer, text), each.at("ids").get<std::vector<int32_t>>()) << each.at("text");
  }
}

// Text that mixes what tokenizers trip over: spaces, digits, contractions, marks, CJK, emoji, control characters.
std::string RandomText(std::mt19937* random) {
  static const char* const kPieces[] = {
      " ",      "  ",     "\n",          "\t", "'s",      "'LL", "'\u017f", "the",  "Ing",           "42",
      "7",      "!?",     "-",           "é",  "e\u0301", "日",  "本",      "😀",    "\u200d",        "ß",
      "Ω",      "\u00a0", "\u3000",      "_",  "\u0301",  "ﬁ",   "ا",       "\x01", "<|endoftext|>", "\u180e",
      "\u0085", "한",     "\u1112\u1161"};
  std::string text;
  const int pieces = static_cast<int>((*random)() % 30);
  for (int i = 0; i < pieces; ++i) text += kPieces[(*random)() % std::size(kPieces)];
  return text;
}

TEST(BpeTokenizer, Gpt2StyleGivesGoldenIds) {
  ExpectGoldenIds(OpenTokenizer(Golden("gpt2_style/tokenizer.json")).get(), Golden("gpt2_style/expected.json"));
}

TEST(BpeTokenizer, Llama3StyleGivesGoldenIds) {
  ExpectGoldenIds(OpenTokenizer(Golden("llama3_style/tokenizer.json")).get(), Golden("llama3_style/expected.json"));
}

TEST(BpeTokenizer, Llama2StyleGivesGoldenIds) {
  ExpectGoldenIds(OpenTokenizer(Golden("llama2_style/tokenizer.json")).get(), Golden("llama2_style/expected.json"));
}

TEST(BpeTokenizer, OptsPairOfFilesGivesGoldenIds) {
  const std::unique_ptr<Tokenizer> tokenizer = OpenTokenizer(Golden("opt_style/vocab.json"));
  EXPECT_EQ(tokenizer->bos_id(), 2);
  EXPECT_EQ(tokenizer->eos_id(), 2);
  ExpectGoldenIds(tokenizer.get(), Golden("opt_style/expected.json"));
}

TEST(BpeTokenizer, APairOfFilesThatIsNoneIsRefused) {
  const std::string vocab = ReadText(Golden("opt_style/vocab.json")), merges = ReadText(Golden("opt_style/merges.txt"));
  const auto error = [](std::string_view v, std::string_view m, std::string_view c, std::string_view a = "") {
    return ErrorOf([&] {
      NewBpeTokenizer(TokenizerJsonOf({.vocab = v, .merges = m, .config = c, .added = a}, "it"), "it")->eos_id();
    });
  };
  EXPECT_EQ(error(vocab, merges, ""), "");
  EXPECT_THAT(error("[]", merges, ""), HasSubstr("it: not an object"));
  EXPECT_THAT(error(R"({"a": [[]]})", merges, ""), HasSubstr("it: the id of \"a\" is no whole number"));
  EXPECT_THAT(error("{", merges, ""), HasSubstr("it: not a vocab.json"));
  EXPECT_THAT(error(vocab, "\xff \xfe\n", ""), HasSubstr("it: not a vocab.json"));
  EXPECT_THAT(error(vocab, "nonsense\n", ""), HasSubstr("it: "));
  EXPECT_THAT(error(vocab, merges, R"({"eos_token": 3})"), HasSubstr("it: not a vocab.json"));
  EXPECT_THAT(error(vocab, merges, R"({"eos_token": "no such token"})"), HasSubstr("to end documents with"));
  EXPECT_THAT(error(vocab, merges, R"({"added_tokens_decoder": {"x": {"content": "y"}}})"), HasSubstr("is no number"));
  EXPECT_THAT(error(vocab, merges, R"({"added_tokens_decoder": [1]})"), HasSubstr("it: not a vocab.json"));
  EXPECT_THAT(error(vocab, merges, "", "[3]"), HasSubstr("it: "));
  EXPECT_THAT(error(vocab, merges, "", "{"), HasSubstr("it: not a vocab.json"));
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_THAT(error(vocab, merges, R"({"added_tokens_decoder": {"5": {"content": "y", "z": )" + deep + "}}}"),
              HasSubstr("it: nested deeper"));
  EXPECT_THAT(error("{\"a\": " + deep + "}", merges, ""), HasSubstr("it: nested deeper"));
  EXPECT_THAT(error(vocab, merges, "", "{\"a\": " + deep + "}"), HasSubstr("it: nested deeper"));
}

TEST(BpeTokenizer, TokensAddedBesideAPairOfFilesAreFound) {
  const std::string vocab = ReadText(Golden("opt_style/vocab.json")), merges = ReadText(Golden("opt_style/merges.txt"));
  const auto ids = [&](std::string_view config, std::string_view added) {
    const VocabMerges files = {.vocab = vocab, .merges = merges, .config = config, .added = added};
    return IdsOf(NewBpeTokenizer(TokenizerJsonOf(files, "it"), "it").get(), "<extra_1>");
  };
  EXPECT_GT(ids("", "").size(), 1u);
  EXPECT_EQ(ids("", R"({"<extra_1>": 5000})"), (std::vector<int32_t>{5000}));
  EXPECT_EQ(ids(R"({"added_tokens_decoder": {"5001": {"content": "<extra_1>", "special": true}}})", ""),
            (std::vector<int32_t>{5001}));
  EXPECT_EQ(ids("{}", R"({"<extra_1>": 5000})"), (std::vector<int32_t>{5000})) << "a configuration without names";
}

// Parts of files that people have: a golden folder's with a merge patch, and what `tokenizers` gives.
TEST(BpeTokenizer, FilesOfManyKindsGiveTheLibrarysIds) {
  for (const Json& c : Json::parse(ReadText(Golden("cases.json")))) {
    Json json = Json::parse(ReadText(Golden(c["folder"].get<std::string>() + "/tokenizer.json")));
    json.merge_patch(c["patch"]);
    const std::unique_ptr<Tokenizer> tokenizer = NewBpeTokenizer(json.dump(), "case");
    for (const Json& text : c["texts"])
      EXPECT_EQ(Json(IdsOf(tokenizer.get(), text["text"].get<std::string>())), text["ids"])
          << c["name"] << ": " << text["text"];
  }
}

TEST(BpeTokenizer, GptNeoxGivesGoldenIds) {
  const char* path = std::getenv("SINK_GPT_NEOX_TOKENIZER");
  if (path == nullptr) {
    GTEST_SKIP() << "set SINK_GPT_NEOX_TOKENIZER to GPT-NeoX's tokenizer.json, which is not part of this project";
  }
  const std::unique_ptr<Tokenizer> tokenizer = OpenTokenizer(path);
  EXPECT_EQ(tokenizer->vocab_size(), 50277);
  EXPECT_EQ(tokenizer->eos_id(), 0);
  ExpectGoldenIds(tokenizer.get(), Golden("gpt_neox/expected.json"));
}

TEST(BpeTokenizer, DecodingGivesBackTheNormalFormOfRandomText) {
  const std::unique_ptr<Tokenizer> nfc = OpenTokenizer(Golden("gpt2_style/tokenizer.json"));
  const std::unique_ptr<Tokenizer> raw = OpenTokenizer(Golden("llama3_style/tokenizer.json"));
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = RandomText(&random);
    EXPECT_EQ(raw->Decode(IdsOf(raw.get(), text)), text);
    // An added token splits the text before it is normalised.
    if (text.find("<|endoftext|>") == std::string::npos) {
      EXPECT_EQ(nfc->Decode(IdsOf(nfc.get(), text)), NormalizeNfc(text));
    }
  }
}

TEST(BpeTokenizer, CloneAndCacheGiveTheSameIds) {
  const std::unique_ptr<Tokenizer> first = OpenTokenizer(Golden("gpt2_style/tokenizer.json"));
  const std::unique_ptr<Tokenizer> clone = first->Clone();
  std::mt19937 random(2);
  for (int i = 0; i < 200; ++i) {
    const std::string text = RandomText(&random);
    const std::vector<int32_t> ids = IdsOf(first.get(), text);
    EXPECT_EQ(IdsOf(first.get(), text), ids);
    EXPECT_EQ(IdsOf(clone.get(), text), ids);
  }
}

TEST(BpeTokenizer, MegabyteWithoutASpaceTakesNearlyLinearTime) {
  const std::unique_ptr<Tokenizer> tokenizer = OpenTokenizer(Golden("gpt2_style/tokenizer.json"));
  for (const char* letters : {"t", "th", " ", "!"}) {
    std::string text;
    while (text.size() < 1'000'000) text += letters;
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(tokenizer->Decode(IdsOf(tokenizer.get(), text)), text);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30)) << letters;  // quadratic: an hour
  }
}

TEST(BpeTokenizer, IllFormedUtf8IsRefused) {
  const std::unique_ptr<Tokenizer> tokenizer = OpenTokenizer(Golden("gpt2_style/tokenizer.json"));
  for (const char* text : {"a\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    EXPECT_THAT(ErrorOf([&] { IdsOf(tokenizer.get(), text); }), HasSubstr("not UTF-8"));
  }
}

TEST(BpeTokenizer, IdsOutsideTheVocabularyAreRefused) {
  const std::unique_ptr<Tokenizer> tokenizer = OpenTokenizer(Golden("gpt2_style/tokenizer.json"));
  for (const int32_t id : {-1, 1500}) {
    EXPECT_THAT(ErrorOf([&] { tokenizer->Decode(std::vector<int32_t>{id}); }),
                HasSubstr("outside the tokenizer's 1500"));
  }
}

// As `tokenizers` cuts them; PCRE2 alone takes U+180E for white space.
TEST(Splitter, WhiteSpaceIsUnicodes) {
  const Splitter splitter({kGpt2Pattern}, "test");
  const auto words = [&](std::string_view text) {
    std::vector<std::string_view> found;
    splitter.Split(text, &found);
    return found;
  };
  EXPECT_THAT(words("!\u180e!"), ElementsAre("!\u180e!"));
  EXPECT_THAT(words("a \u180e b"), ElementsAre("a", " \u180e", " b"));
  EXPECT_THAT(words("a\u2007\u2007b"), ElementsAre("a", "\u2007", "\u2007", "b"));
  EXPECT_THAT(words("a\u0085b"), ElementsAre("a", "\u0085", "b"));
}

// Any text that a mix of random characters gives is cut alike by the scanners and by PCRE2. Only characters that
// PCRE2's older Unicode knows, too: letters and numbers of later ones are held to `tokenizers` itself
// (tokenizers_test.py).
TEST(Splitter, ScannersCutAsTheirPatterns) {
  static const char32_t kFirst[] = {0x20,   0x20,   0xa0,   0x370,  0x600,   0x900,  0x2000,
                                    0x2150, 0x3000, 0x4e00, 0xac00, 0x1d400, 0x1f600};
  std::mt19937 random(3);
  for (const char* pattern : {kGpt2Pattern, kLlama3Pattern}) {
    const Splitter scanner({pattern}, "scanner"), regex({pattern}, "regex", Scanners::kLeaveOut);
    for (int i = 0; i < 20000; ++i) {
      std::string text;
      for (int n = static_cast<int>(random() % 12); n > 0; --n) {
        if (random() % 2) {
          text += RandomText(&random);
        } else {
          const char32_t code = kFirst[random() % std::size(kFirst)] + random() % 96;
          utf8proc_uint8_t bytes[4];
          text.append(reinterpret_cast<char*>(bytes), utf8proc_encode_char(static_cast<int32_t>(code), bytes));
        }
        if (text.size() > 60) break;
      }
      std::vector<std::string_view> ours, theirs;
      scanner.Split(text, &ours);
      regex.Split(text, &theirs);
      ASSERT_EQ(ours, theirs) << text;
    }
  }
}

class TokenizerJson : public ::testing::Test {
 protected:
  std::string ErrorAfter(const std::function<void(Json*)>& change) {
    Json json = json_;
    change(&json);
    return ErrorOf([&] { ParseTokenizerJson(json.dump(), "t.json"); });
  }

  const Json json_ = Json::parse(ReadText(Golden("gpt2_style/tokenizer.json")));
};

TEST_F(TokenizerJson, UnsupportedPartsAreRefusedByName) {
  EXPECT_EQ(ErrorAfter([](Json*) {}), "");
  EXPECT_THAT(ErrorAfter([](Json* j) {
                (*j)["normalizer"] = {{"type", "Lowercase"}};
              }),
              HasSubstr("normalizer Lowercase"));
  EXPECT_THAT(ErrorAfter([](Json* j) {
                (*j)["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "NFKC"}}}}};
              }),
              HasSubstr("normalizer NFKC"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["pre_tokenizer"] = {{"type", "Whitespace"}}; }), HasSubstr("Whitespace"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["pre_tokenizer"] = nullptr; }), HasSubstr("without unk_token"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["post_processor"] = {{"type", "BertProcessing"}}; }), HasSubstr("Bert"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["model"]["type"] = "Unigram"; }), HasSubstr("Unigram"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["model"]["byte_fallback"] = true; }), HasSubstr("byte_fallback"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["model"]["dropout"] = 0.1; }), HasSubstr("dropout"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["model"]["end_of_word_suffix"] = "</w>"; }), HasSubstr("end_of_word"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["added_tokens"][1]["single_word"] = true; }), HasSubstr("single_word"));
}

TEST_F(TokenizerJson, AnEndTokenIsMissedOnlyWhereDocumentsEnd) {
  Json json = json_;
  json["added_tokens"] = Json::array();
  const auto tokenizer = NewBpeTokenizer(json.dump(), "t.json");
  EXPECT_FALSE(IdsOf(tokenizer.get(), "the end").empty());
  EXPECT_THAT(ErrorOf([&] { tokenizer->eos_id(); }), HasSubstr("t.json: no added token <|endoftext|>"));
}

TEST_F(TokenizerJson, DamagedFilesAreRefused) {
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["model"]["merges"].push_back({"q", "zzq"}); }), HasSubstr("vocabulary"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["model"]["merges"].push_back("a b c"); }), HasSubstr("two tokens"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["model"]["merges"].push_back(7); }), HasSubstr("neither"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["model"]["vocab"]["a"] = -1; }), HasSubstr("impossible id"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["model"]["vocab"]["a"] = 1e18; }), HasSubstr("impossible id"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["model"]["vocab"]["a"] = 67; }), HasSubstr("two tokens have the id 67"));
  EXPECT_THAT(ErrorAfter([](Json* j) { (*j)["model"]["vocab"].erase("a"); }), HasSubstr("needs a token"));
  EXPECT_THAT(ErrorAfter([](Json* j) { j->erase("model"); }), HasSubstr("model"));
  EXPECT_THAT(ErrorOf([] { ParseTokenizerJson("{", "t.json"); }), HasSubstr("t.json: not a tokenizer.json"));
}

std::string Repeated(int times, const std::string& text) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST_F(TokenizerJson, DeepFilesAreRefusedAndBracketsInTextsAreNoDepth) {
  const auto nest = [](const std::string& key, const std::string& list, int levels) {
    const std::string open = R"({"type":"Sequence",")" + list + "\":[";
    return "{\"" + key + "\":" + Repeated(levels, open) + Repeated(levels, "]}") + "}";
  };
  const auto begin = std::chrono::steady_clock::now();
  for (const auto& [key, list] :
       {std::pair{"normalizer", "normalizers"}, {"pre_tokenizer", "pretokenizers"}, {"post_processor", "processors"}}) {
    EXPECT_THAT(ErrorOf([&] { ParseTokenizerJson(nest(key, list, 100'000), "t.json"); }),
                HasSubstr("t.json: nested deeper than 32 levels"));
    EXPECT_THAT(ErrorOf([&] { ParseTokenizerJson(nest(key, list, 15), "t.json"); }), HasSubstr("model"));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(ErrorAfter([](Json* j) { (*j)["model"]["vocab"][std::string(100, '[') + "\\\"{"] = 5000; }), "");
}

TEST_F(TokenizerJson, PairMergesEqualStringMerges) {
  Json strings = json_;
  for (Json& merge : strings["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  const auto pairs_tokenizer = NewBpeTokenizer(json_.dump(), "pairs");
  const auto strings_tokenizer = NewBpeTokenizer(strings.dump(), "strings");
  EXPECT_EQ(IdsOf(pairs_tokenizer.get(), "the thing in the end"),
            IdsOf(strings_tokenizer.get(), "the thing in the end"));
}

// transformers takes it off again before every text that is not to be cut.
TEST_F(TokenizerJson, SavedTruncationCutsNoText) {
  Json json = json_;
  json["truncation"] = {{"direction", "Right"}, {"max_length", 2}, {"strategy", "LongestFirst"}, {"stride", 0}};
  const std::string text = "the thing in the end of the text";
  const std::vector<int32_t> ids = IdsOf(NewBpeTokenizer(json.dump(), "truncation").get(), text);
  EXPECT_GT(ids.size(), 2u);
  EXPECT_EQ(ids, IdsOf(NewBpeTokenizer(json_.dump(), "none").get(), text));
}

TEST_F(TokenizerJson, RunsOfSpacesAsAddedTokensAreFoundLongestFirst) {
  Json json = json_;
  for (int n = 2; n <= 24; ++n) {
    json["added_tokens"].push_back({{"id", 2000 + n}, {"content", std::string(n, ' ')}, {"normalized", true}});
  }
  const auto tokenizer = NewBpeTokenizer(json.dump(), "spaces");
  EXPECT_EQ(IdsOf(tokenizer.get(), std::string(24 + 3, ' ')), (std::vector<int32_t>{2024, 2003}));
  EXPECT_EQ(tokenizer->vocab_size(), 2025);
}

TEST_F(TokenizerJson, BeginningOfTextComesFromTheTemplate) {
  EXPECT_EQ(NewBpeTokenizer(json_.dump(), "none")->bos_id(), std::nullopt);
  Json json = json_;
  const Json sequence = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json special = {{"SpecialToken", {{"id", "<|padding|>"}, {"type_id", 0}}}};
  const Json tokens = {{"<|padding|>", {{"id", "<|padding|>"}, {"ids", {1}}, {"tokens", {"<|padding|>"}}}}};
  const Json before = {{"type", "TemplateProcessing"}, {"single", {special, sequence}}, {"special_tokens", tokens}};
  const Json after = {{"type", "TemplateProcessing"}, {"single", {sequence, special}}, {"special_tokens", tokens}};
  json["post_processor"] = before;
  EXPECT_EQ(NewBpeTokenizer(json.dump(), "before")->bos_id(), 1);
  json["post_processor"] = {{"type", "Sequence"}, {"processors", {{{"type", "ByteLevel"}}, before}}};
  EXPECT_EQ(NewBpeTokenizer(json.dump(), "sequence")->bos_id(), 1);
  json["post_processor"] = after;
  EXPECT_EQ(NewBpeTokenizer(json.dump(), "after")->bos_id(), std::nullopt);
}

// What transformers 4.57.1 and 5.24.0 put before a text, tried on folders like these.
class BosRules : public ::testing::Test {
 protected:
  static constexpr int32_t kId = 7;

  // The rule of a tokenizer.json whose post_processor puts kId before a text, or nothing.
  static BosRule Rule(bool post, const char* tokenizer_config, const char* model_config, bool json = true) {
    return WithBosRule(std::make_unique<Stub>(post), {tokenizer_config, model_config, json}, "folder")->bos_rule();
  }
  static bool Puts(bool post, const char* tokenizer_config, const char* model_config) {
    return Rule(post, tokenizer_config, model_config).id == kId;
  }

  struct Stub : Tokenizer {
    explicit Stub(bool post) : post(post) {}
    void Encode(std::string_view, std::vector<int32_t>*) override {}
    std::string Decode(std::span<const int32_t>) const override { return ""; }
    int32_t FindToken(std::string_view text) const override { return text == "<s>" ? kId : -1; }
    int64_t vocab_size() const override { return 10; }
    int32_t eos_id() const override { return 0; }
    std::optional<int32_t> bos_id() const override { return post ? std::optional(kId) : std::nullopt; }
    std::unique_ptr<Tokenizer> Clone() const override { return std::make_unique<Stub>(post); }
    bool post;
  };
};

constexpr const char* kFourth = R"({"model_type": "llama", "transformers_version": "4.57.1"})";
constexpr const char* kFifth = R"({"model_type": "llama", "transformers_version": "5.24.0"})";

TEST_F(BosRules, VersionFiveHeedsThePostProcessorAlone) {
  for (const char* model : {kFifth, R"({"model_type": "llama"})", ""})
    for (const char* config : {R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": false})",
                               R"({"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": true})", "{}", ""}) {
      EXPECT_TRUE(Puts(true, config, model)) << config << model;
      EXPECT_FALSE(Puts(false, config, model)) << config << model;
    }
  EXPECT_FALSE(Puts(true, R"({"tokenizer_class": "GPTNeoXTokenizerFast", "add_bos_token": true})", kFifth));
}

TEST_F(BosRules, VersionFourHeedsTheFieldForLlamasKin) {
  for (const bool post : {false, true}) {
    EXPECT_TRUE(
        Puts(post, R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": true, "bos_token": "<s>"})", kFourth));
    EXPECT_TRUE(Puts(post, R"({"tokenizer_class": "LlamaTokenizerFast"})", kFourth)) << "true where it is not said";
    EXPECT_FALSE(Puts(post, R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": false})", kFourth));
    EXPECT_FALSE(Puts(post, R"({"add_bos_token": false})", kFourth)) << "the class follows from the model's type";
    EXPECT_FALSE(Puts(post, R"({"tokenizer_class": "GPTNeoXTokenizer"})", kFourth));
    EXPECT_EQ(Puts(post, R"({"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": false})", kFourth), post);
    EXPECT_EQ(Puts(post, R"({"tokenizer_class": "GPT2Tokenizer", "add_bos_token": true})", kFourth), post);
  }
}

TEST_F(BosRules, SaysWhichRuleItFollowedAndWhereVersionsDiffer) {
  const char* config =
      R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": false, "bos_token": {"content": "<s>"}})";
  const BosRule fourth = Rule(true, config, kFourth), fifth = Rule(true, config, kFifth);
  EXPECT_EQ(fourth.id, std::nullopt);
  EXPECT_EQ(fourth.token, kId) << "for --bos yes";
  EXPECT_THAT(fourth.reason, HasSubstr("add_bos_token, as in transformers 4.57.1"));
  EXPECT_THAT(fourth.dispute,
              HasSubstr("transformers 4 puts nothing before a text of this folder, transformers 5 a token"));
  EXPECT_EQ(fifth.id, kId);
  EXPECT_THAT(fifth.reason, HasSubstr("the post_processor of tokenizer.json"));
  EXPECT_NE(fifth.dispute, "");
  EXPECT_EQ(Rule(true, "", "").dispute, "");
}

TEST_F(BosRules, WithoutATokenizerJsonTheFieldDecides) {
  EXPECT_EQ(Rule(true, R"({"add_bos_token": false})", "", false).id, std::nullopt);
  EXPECT_EQ(Rule(false, R"({"add_bos_token": true, "bos_token": "<s>"})", "", false).id, kId);
  EXPECT_EQ(Rule(true, "{}", "", false).id, kId);
  EXPECT_EQ(Rule(false, "", "", false).id, std::nullopt);
}

TEST_F(BosRules, DamagedConfigurationsAreNamed) {
  const auto error = [](const char* config, const char* model) {
    return ErrorOf([&] { Rule(true, config, model, false); });
  };
  EXPECT_THAT(error("[]", ""), HasSubstr("folder/tokenizer_config.json: not a JSON object"));
  EXPECT_THAT(error("", "{"), HasSubstr("folder/config.json: not a JSON object"));
  EXPECT_THAT(error(R"({"add_bos_token": 1})", ""), HasSubstr("must be true or false"));
  EXPECT_THAT(error(R"({"bos_token": 1})", ""), HasSubstr("bos_token is neither"));
  EXPECT_THAT(error(R"({"add_bos_token": true, "bos_token": "<none>"})", ""), HasSubstr("no bos_token \"<none>\""));
}

TEST(ByteTokenizer, IdsAreBytesAndEosIs256) {
  const std::unique_ptr<Tokenizer> bytes = OpenTokenizer("bytes");
  EXPECT_EQ(IdsOf(bytes.get(), std::string("a\0\xff", 3)), (std::vector<int32_t>{97, 0, 255}));
  EXPECT_EQ(bytes->vocab_size(), 257);
  EXPECT_EQ(bytes->eos_id(), 256);
  EXPECT_EQ(bytes->Decode(std::vector<int32_t>{104, 105, 256}), "hi<|endoftext|>");
  EXPECT_THAT(ErrorOf([&] { bytes->Decode(std::vector<int32_t>{257}); }), HasSubstr("257"));
}

TEST(OpenTokenizer, MissingFileIsNamed) {
  EXPECT_THAT(ErrorOf([] { OpenTokenizer("/nonexistent/tokenizer.json"); }), HasSubstr("/nonexistent/tokenizer.json"));
}

}  // namespace
}  // namespace sink::data
