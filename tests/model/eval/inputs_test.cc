// What a model is measured on: texts read by a folder's tokenizer and its rule for a first token, and ids without
// meaning; then the forms in which an evaluation on them is printed.
#include "model/eval/inputs.h"

#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/base/data_error.h"
#include "model/base/model_error.h"
#include "model/data/corpus/json_lines.h"
#include "model/data/packed/packed_set.h"
#include "model/data/tokenizer/tokenizer.h"
#include "model/eval/command_line.h"
#include "model/eval/evaluate.h"
#include "model/eval/layer_progress.h"
#include "tests/model/helpers/open_folder.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kLong = "Attention heads put most of their weight on the first token of a text.";
constexpr const char* kOther = "Don't they? In 2024 many of them did, whatever the token was.";
constexpr int64_t kVocabulary = 1500;

class TextInputs : public ::testing::Test {
 protected:
  TextInputs() {
    const auto golden = testing::GoldenOpenModels().parent_path() / "tokenizers/llama3_style/tokenizer.json";
    std::filesystem::copy_file(golden, folder_.path() / "tokenizer.json");
    Write({kLong, "short", kOther, kLong});
    options_.texts = folder_.path() / "texts.jsonl";
    options_.probe_options = {.tokens = 8, .sequences = 2};
  }

  void Write(const std::vector<std::string>& texts) {
    std::string lines;
    for (const std::string& text : texts) lines += data::PrintTextLine(text) + "\n";
    testing::WriteBytes(folder_.path() / "texts.jsonl", lines);
  }
  Inputs Load() const { return LoadInputs(options_, folder_.path(), kVocabulary); }
  std::string Error() const {
    try {
      Load();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  }
  // The ids of a text as the folder's tokenizer has them, one after another.
  std::vector<int64_t> Ids(const std::string& text, size_t count) const {
    std::vector<int32_t> ids;
    data::OpenTokenizer(folder_ / "tokenizer.json")->Encode(text, &ids);
    return {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count)};
  }
  static std::vector<int64_t> Row(const Inputs& inputs, int64_t n) {
    const at::Tensor row = inputs.ids_BT[n].contiguous();
    return {row.const_data_ptr<int64_t>(), row.const_data_ptr<int64_t>() + row.numel()};
  }

  testing::TempDir folder_;
  InputOptions options_;
};

TEST_F(TextInputs, AreTheFirstTextsThatAreLongEnough) {
  const Inputs inputs = Load();
  ASSERT_EQ(inputs.ids_BT.sizes(), (at::IntArrayRef{2, 9}));
  EXPECT_EQ(inputs.bos, std::nullopt);
  EXPECT_EQ(Row(inputs, 0), Ids(kLong, 9));
  EXPECT_EQ(Row(inputs, 1), Ids(kOther, 9));
  EXPECT_EQ(inputs.description, "2 texts, 1 shorter ones passed over, read with tokenizer.json");
}

TEST_F(TextInputs, BeginWithWhatTheFoldersConfigurationAsksFor) {
  testing::WriteBytes(
      folder_ / "tokenizer_config.json",
      R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": true, "bos_token": "<|begin_of_text|>"})");
  testing::WriteBytes(folder_ / "config.json", R"({"transformers_version": "4.57.1"})");
  Inputs inputs = Load();
  EXPECT_EQ(inputs.bos, 0);
  EXPECT_EQ(inputs.bos_reason, "add_bos_token, as in transformers 4.57.1");
  EXPECT_THAT(inputs.notes, ElementsAre(HasSubstr("transformers 5 nothing")));
  std::vector<int64_t> expected = Ids(kLong, 8);
  expected.insert(expected.begin(), 0);
  EXPECT_EQ(Row(inputs, 0), expected);
  options_.probe_options.bos = 7;  // the command line overrules it
  inputs = Load();
  EXPECT_EQ(inputs.bos, 7);
  EXPECT_EQ(Row(inputs, 0)[0], 7);
}

TEST_F(TextInputs, BeginAsTheCommandLineSays) {
  testing::WriteBytes(folder_ / "tokenizer_config.json",
                      R"({"tokenizer_class": "LlamaTokenizer", "bos_token": "<|begin_of_text|>"})");
  EXPECT_EQ(Load().bos, std::nullopt);  // as version 5 has it
  EXPECT_EQ(Load().notes.size(), 1u);
  options_.text_bos = TextBos::kYes;
  EXPECT_EQ(Load().bos, 0);
  EXPECT_EQ(Load().bos_reason, "as --bos says");
  EXPECT_TRUE(Load().notes.empty()) << "nothing is in doubt";
  options_.text_bos = TextBos::kNo;
  testing::WriteBytes(folder_ / "config.json", R"({"transformers_version": "4.57.1"})");
  EXPECT_EQ(Load().bos, std::nullopt);
  std::filesystem::remove(folder_ / "tokenizer_config.json");
  options_.text_bos = TextBos::kYes;
  EXPECT_THAT(Error(), HasSubstr("no bos_token is known"));
}

TEST_F(TextInputs, NothingElseOpensTheTokenizer) {
  testing::WriteBytes(folder_ / "tokenizer.json", "damaged");
  EXPECT_NE(Error(), "");
  options_.kind = InputKind::kRandom;
  EXPECT_EQ(Error(), "");
  options_.kind = InputKind::kNatural;
  options_.texts.clear();
  options_.probe = testing::GoldenOpenModels() / "llama3/expected.safetensors";
  EXPECT_EQ(Error(), "");
}

TEST_F(TextInputs, AreReadWithThePairOfFilesOfAnOlderFolder) {
  std::filesystem::remove(folder_.path() / "tokenizer.json");
  const auto golden = std::filesystem::path(std::getenv("SINK_SOURCE_DIR")) / "tests/golden/tokenizers/opt_style";
  for (const char* file : {"vocab.json", "merges.txt", "tokenizer_config.json"})
    std::filesystem::copy(golden / file, folder_ / file);
  const Inputs inputs = Load();
  EXPECT_EQ(inputs.bos, 2);
  EXPECT_EQ(Row(inputs, 0)[0], 2);
}

TEST_F(TextInputs, AreReadFromAPipeToo) {
  const Inputs file = Load();
  const std::string bytes = testing::ReadBytes(options_.texts);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ::close(ends[1]);
  options_.texts = "/dev/fd/" + std::to_string(ends[0]);
  EXPECT_TRUE(Load().ids_BT.equal(file.ids_BT));
  ::close(ends[0]);
}

TEST_F(TextInputs, AreInTheFieldThatIsNamed) {
  testing::WriteBytes(folder_ / "texts.jsonl", std::string("{\"content\": \"") + kLong + "\"}\n");
  EXPECT_THAT(Error(), HasSubstr("texts.jsonl:1: no field \"text\""));
  options_.text_key = "content";
  EXPECT_EQ(Row(Load(), 0), Ids(kLong, 9));
}

TEST_F(TextInputs, NameWhatIsWrong) {
  testing::WriteBytes(folder_ / "texts.jsonl", data::PrintTextLine(kLong) + "\n{\"text\": 3}\n");
  EXPECT_THAT(Error(), AllOf(HasSubstr("texts.jsonl:2: "), HasSubstr("not a string")));
  Write({"short"});
  EXPECT_THAT(Error(), AllOf(HasSubstr("texts.jsonl: "), HasSubstr("no text of 9 tokens")));
  std::filesystem::remove(folder_.path() / "tokenizer.json");
  EXPECT_THAT(Error(),
              AllOf(HasSubstr("no tokenizer.json, tokenizer.model nor vocab.json"), HasSubstr("AutoTokenizer")));
}

TEST(PackedInputs, LeaveOutWhatFillsAFileUp) {
  const testing::TempDir folder;
  const std::string name = data::SetFileName("valid", "a", 0, 0);
  std::vector<int32_t> tokens(40, 256);  // four blocks of ten, one of which is text
  std::fill_n(tokens.begin(), 10, 7);
  data::WritePackedFile(folder / name, data::TokenType::kUint16, tokens);
  const InputOptions options{.probe = folder / name, .probe_options = {.tokens = 4}};
  EXPECT_EQ(LoadInputs(options, "nowhere", 257).ids_BT.size(0), 8);
  data::PackedSet set{.block = 10, .files = {{.name = name, .split = "valid", .domain = "a", .blocks = 1}}};
  testing::WriteBytes(folder / data::kSetFileName, data::PrintSet(set));
  const at::Tensor ids = LoadInputs(options, "nowhere", 257).ids_BT;
  EXPECT_EQ(ids.size(0), 2);
  EXPECT_TRUE(ids.eq(7).all().item<bool>());
}

TEST(MeaninglessInputs, RandomIdsAreOfTheVocabularyAndTheSeed) {
  InputOptions options{.kind = InputKind::kRandom, .probe_options = {.tokens = 64, .sequences = 50}};
  const at::Tensor ids = LoadInputs(options, "nowhere", 10).ids_BT;
  EXPECT_EQ(ids.sizes(), (at::IntArrayRef{50, 65}));
  for (int64_t id = 0; id < 10; ++id) EXPECT_GT(ids.eq(id).sum().item<int64_t>(), 200) << id;  // 325 expected
  EXPECT_EQ(ids.min().item<int64_t>(), 0);
  EXPECT_EQ(ids.max().item<int64_t>(), 9);
  EXPECT_TRUE(ids.equal(LoadInputs(options, "nowhere", 10).ids_BT));
  options.seed = 1;
  EXPECT_FALSE(ids.equal(LoadInputs(options, "nowhere", 10).ids_BT));
}

TEST(MeaninglessInputs, RepeatedIdsAreOnePerSequence) {
  InputOptions options{.kind = InputKind::kRepeat, .probe_options = {.tokens = 16, .sequences = 20}};
  const Inputs inputs = LoadInputs(options, "nowhere", 1000);
  EXPECT_EQ(inputs.bos, std::nullopt);
  EXPECT_TRUE(inputs.ids_BT.equal(inputs.ids_BT.narrow(1, 0, 1).expand({20, 17})));
  EXPECT_FALSE(inputs.ids_BT.select(1, 0).eq(inputs.ids_BT[0][0]).all().item<bool>());
}

TEST(MeaninglessInputs, RepeatedIdsGiveModelsWithRopeAloneNoSink) {
  // Without positions in the embeddings all hidden states of such a sequence are alike (Gu et al., propositions 1-4).
  EvaluateOptions options;
  options.model = testing::GoldenOpenModels() / "llama3";
  options.inputs = {.kind = InputKind::kRepeat, .probe_options = {.tokens = 64, .sequences = 5}};
  options.activations = true;
  const Evaluation evaluation = Evaluate(options);
  EXPECT_EQ(evaluation.sinks.sink_rate[0][0], 0);
  for (const double ratio : evaluation.sinks.hidden_norm_ratio) EXPECT_NEAR(ratio, 1, 1e-4);
}

TEST(OpenReport, SaysTheSameInEveryForm) {
  const testing::TempDir folder;
  EvaluateOptions options;
  options.model = testing::GoldenOpenModels() / "gpt2";
  options.inputs.probe = options.model / "expected.safetensors";
  options.inputs.probe_options = {.tokens = 16, .bos = 3};
  options.activations = true;
  options.sink_options.metrics = {"kurtosis"};
  const Evaluation evaluation = Evaluate(options);
  const auto json = nlohmann::json::parse(PrintJson(evaluation));
  EXPECT_EQ(json["bos_id"], 3);
  EXPECT_EQ(json["inputs"], "4 sequences of a probe");
  EXPECT_EQ(json["hidden_norm"].size(), 4u);
  EXPECT_EQ(json["key_norm"][2].size(), 16u);
  EXPECT_EQ(json["normed_norm"].size(), 16u);
  EXPECT_THAT(PrintText(evaluation), AllOf(StartsWith("inputs: 4 sequences of a probe, with BOS 3\n"),
                                           HasSubstr("T = 16, with BOS 3, positions 1..10:"), HasSubstr("\nembed  ")));
  const std::string csv = PrintCsv(evaluation);
  EXPECT_THAT(csv, AllOf(StartsWith("name,epsilon,layer,head,position,value\nloss,"), HasSubstr("\nbos,,,,,3\n"),
                         HasSubstr("\nsink_rate,0.3,,,10,"), HasSubstr("\nalpha,,2,3,1,"),
                         HasSubstr("\nkurtosis,,3,,,"), HasSubstr("\nhidden_norm,,3,,16,")));
  DrawHeatMap(evaluation, folder / "alpha.svg");
  EXPECT_THAT(testing::ReadBytes(folder / "alpha.svg"), AllOf(HasSubstr("<svg"), HasSubstr("T = 16, with BOS 3")));
  EXPECT_THROW(DrawHeatMap(evaluation, folder / "no/alpha.svg"), ModelError);
}

TEST(Printing, LeavesOutALossThatWasNotAskedFor) {
  EvaluateOptions options;
  options.model = testing::GoldenOpenModels() / "llama2";
  options.inputs.probe = options.model / "expected.safetensors";
  options.inputs.probe_options = {.tokens = 16};
  const Evaluation with = Evaluate(options);
  options.loss = false;
  const Evaluation without = Evaluate(options);
  EXPECT_TRUE(with.loss.has_value());
  EXPECT_FALSE(without.loss.has_value());
  EXPECT_TRUE(with.sinks.importance.equal(without.sinks.importance));
  EXPECT_TRUE(nlohmann::json::parse(PrintJson(without))["loss"].is_null());
  EXPECT_THAT(PrintText(with), HasSubstr("\nloss "));
  EXPECT_THAT(PrintText(without), ::testing::Not(HasSubstr("loss")));
  EXPECT_THAT(PrintCsv(without), ::testing::Not(HasSubstr("loss")));
}

TEST(CommandLine, ABosIsAnIdOrAWord) {
  InputOptions inputs;
  const auto parse = [&](std::vector<std::string> words) {
    args::CommandLine parser("Measures a model.", "sink-eval");
    CommandLine line;
    AddOptions(parser.root(), line);
    words.insert(words.begin(), "model");
    const args::Parsed::Kind kind = parser.Parse(words).kind;
    inputs = line.evaluate.inputs;
    return kind == args::Parsed::Kind::kRun;
  };
  ASSERT_TRUE(parse({"--texts", "t", "--bos", "5"}));
  EXPECT_EQ(inputs.probe_options.bos, 5);
  for (const auto& [word, expected] :
       {std::pair{"yes", TextBos::kYes}, {"no", TextBos::kNo}, {"auto", TextBos::kAuto}}) {
    ASSERT_TRUE(parse({"--texts", "t", "--bos", word}));
    EXPECT_EQ(inputs.text_bos, expected);
  }
  ASSERT_TRUE(parse({"--texts", "t"}));
  EXPECT_EQ(inputs.text_bos, TextBos::kAuto);
  ASSERT_TRUE(parse({"--probe", "p", "--bos", "0"}));
  EXPECT_EQ(inputs.probe_options.bos, 0);
  for (const char* wrong : {"maybe", "-1", "1.5", "", "5x", "2147483648", "4294967297"})
    EXPECT_FALSE(parse({"--texts", "t", "--bos", wrong})) << wrong;
  EXPECT_FALSE(parse({"--probe", "p", "--bos", "yes"}));
}

TEST(LayerLine, ShowsHowFarAPassIsAndHowLongItTakes) {
  EXPECT_EQ(LayerLine(8, 32, 30, false), "layer 8/32 [#####               ] ETA 1:30");
  EXPECT_EQ(LayerLine(32, 32, 30, true), "layer 32/32 [\033[32m####################\033[0m] ETA 0:00");
}

}  // namespace
}  // namespace sink
