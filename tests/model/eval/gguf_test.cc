// A GGUF file as the model of an evaluation: what transformers gives on it, dequantised, and its own tokenizer.
#include "model/storage/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/base/model_error.h"
#include "model/data/corpus/json_lines.h"
#include "model/eval/evaluate.h"
#include "model/eval/gguf_tokenizer.h"
#include "model/open/gguf_model.h"
#include "tests/model/helpers/open_folder.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

using ::testing::HasSubstr;

std::filesystem::path Golden() { return testing::GoldenOpenModels().parent_path() / "gguf"; }
nlohmann::json Expected() { return nlohmann::json::parse(testing::ReadBytes(Golden() / "tiny.json")); }

TEST(GgufModel, AgreesWithTransformers) {
  const testing::TempDir folder;
  const at::Tensor probe = testing::ReadAll(testing::GoldenOpenModels() / "llama3/expected.safetensors").at("probe");
  WriteTensors(folder / "probe.safetensors", {{"probe", probe.narrow(0, 0, 2).narrow(1, 0, 21).contiguous()}});
  EvaluateOptions options;
  options.model = Golden() / "tiny.gguf";
  options.inputs.probe = folder / "probe.safetensors";
  options.inputs.probe_options.tokens = 20;
  const Evaluation evaluation = Evaluate(options);
  const nlohmann::json expected = Expected();
  EXPECT_NEAR(*evaluation.loss, expected["loss"].get<double>(), 1e-5);
  const at::Tensor& alpha = evaluation.sinks.first_importance;
  for (int64_t layer = 0; layer < alpha.size(0); ++layer)
    for (int64_t head = 0; head < alpha.size(1); ++head)
      EXPECT_NEAR(alpha[layer][head].item<double>(),
                  expected["alpha_1"][static_cast<size_t>(layer)][static_cast<size_t>(head)].get<double>(), 1e-5);
}

TEST(GgufModel, ReadsTextsWithItsOwnTokenizer) {
  const GgufFile file(Golden() / "tiny.gguf");
  const auto tokenizer = GgufTokenizer(file.content(), "tiny");
  const nlohmann::json expected = Expected();
  for (const auto& text : expected["texts"]) {
    std::vector<int32_t> ids;
    tokenizer->Encode(text["text"].get<std::string>(), &ids);
    EXPECT_EQ(nlohmann::json(ids), text["ids"]) << text["text"];
  }
  const testing::TempDir folder;
  testing::WriteBytes(folder / "texts.jsonl", data::PrintTextLine("the and 12 the and the and") + "\n");
  EvaluateOptions options;
  options.model = Golden() / "tiny.gguf";
  options.inputs.texts = folder / "texts.jsonl";
  options.inputs.probe_options.tokens = 5;
  options.sink_options.positions = 5;
  const Evaluation evaluation = Evaluate(options);
  EXPECT_EQ(evaluation.inputs, "1 texts, 0 shorter ones passed over, read with tiny.gguf");
  EXPECT_EQ(evaluation.bos, std::nullopt);
}

// The metadata of the golden file, changed.
template <typename Read>
std::string ErrorAfter(const Read& read, const std::function<void(GgufContent&)>& change) {
  const GgufFile file(Golden() / "tiny.gguf");
  GgufContent content = file.content();
  change(content);
  try {
    read(content);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST(GgufModel, MetadataThatDoNotFitAreNamed) {
  const auto error = [](const std::function<void(GgufContent&)>& change) {
    return ErrorAfter([](const GgufContent& c) { ReadGgufConfig(c, "f.gguf"); }, change);
  };
  const auto with = [&](const char* key, GgufValue value) {
    return error([&](GgufContent& c) { c.metadata[key] = value; });
  };
  EXPECT_EQ(error([](GgufContent&) {}), "");
  EXPECT_THAT(with("general.architecture", "bert"), HasSubstr("f.gguf: the architecture \"bert\""));
  EXPECT_THAT(with("llama.block_count", int64_t{0}), HasSubstr("llama.block_count must be from 1"));
  EXPECT_THAT(with("llama.block_count", int64_t{1} << 20), HasSubstr("over 10,000 layers"));
  EXPECT_THAT(with("llama.attention.head_count_kv", int64_t{3}), HasSubstr("must divide"));
  EXPECT_THAT(with("llama.attention.head_count", int64_t{1} << 50), HasSubstr("head_count must be from 1"));
  EXPECT_THAT(with("llama.attention.layer_norm_rms_epsilon", -1.0), HasSubstr("must be a positive number"));
  EXPECT_THAT(with("llama.rope.dimension_count", int64_t{7}), HasSubstr("an even number"));
  EXPECT_THAT(with("llama.rope.scaling.type", "spiral"), HasSubstr("\"spiral\" is not supported"));
  EXPECT_THAT(with("llama.expert_count", int64_t{8}), HasSubstr("experts in a GGUF file"));
  EXPECT_THAT(error([](GgufContent& c) { c.tensors.erase("token_embd.weight"); }), HasSubstr("no table"));
}

TEST(GgufModel, TokenizersThatAreNotReadAreNamed) {
  const auto with = [](const char* key, GgufValue value) {
    return ErrorAfter([](const GgufContent& c) { GgufTokenizer(c, "f.gguf"); },
                      [&](GgufContent& c) { c.metadata[key] = value; });
  };
  EXPECT_EQ(with("tokenizer.ggml.model", "gpt2"), "");
  EXPECT_THAT(with("tokenizer.ggml.model", "bert"), HasSubstr("f.gguf: its tokenizer \"bert\" is not read"));
  EXPECT_THAT(with("tokenizer.ggml.model", "llama"), HasSubstr("f.gguf: no tokenizer.ggml.tokens, scores and"));
  EXPECT_THAT(with("tokenizer.ggml.pre", "klingon"), HasSubstr("\"klingon\" is not supported"));
  EXPECT_THAT(with("tokenizer.ggml.merges", int64_t{3}), HasSubstr("no tokenizer.ggml.tokens and merges"));
  EXPECT_THAT(with("tokenizer.ggml.tokens", std::vector<std::string>(128, "a")), HasSubstr("occurs twice"));
  EXPECT_THAT(with("tokenizer.ggml.token_type", std::vector<double>{1}), HasSubstr("types of other tokens"));
  EXPECT_THAT(with("tokenizer.ggml.merges", std::vector<std::string>{"\xff \xfe"}), HasSubstr("no UTF-8"));
}

// A tokenizer.json of LLaMA-2's kind as a GGUF file keeps it: pieces, and scores in the order of the merges.
GgufContent SentencePieceContent() {
  const auto folder = std::filesystem::path(std::getenv("SINK_SOURCE_DIR")) / "tests/golden/tokenizers/llama2_style";
  const auto model = nlohmann::json::parse(testing::ReadBytes(folder / "tokenizer.json"))["model"];
  std::vector<std::string> tokens(model["vocab"].size());
  for (const auto& [token, id] : model["vocab"].items()) tokens[id] = token;
  std::map<std::string, double> score;
  for (const auto& merge : model["merges"]) {
    const std::string merged = merge.is_array() ? merge[0].get<std::string>() + merge[1].get<std::string>()
                                                : std::string(merge).erase(std::string(merge).find(' '), 1);
    score.emplace(merged, -static_cast<double>(score.size()));
  }
  std::vector<double> scores, types;
  for (const std::string& token : tokens) {
    scores.push_back(score.contains(token) ? score.at(token) : -1e6);
    const bool byte = token.size() == 6 && token.starts_with("<0x");
    types.push_back(token == "<unk>" ? 2 : token == "<s>" || token == "</s>" ? 3 : byte ? 6 : 1);
  }
  GgufContent content;
  content.metadata = {{"tokenizer.ggml.model", "llama"},           {"tokenizer.ggml.tokens", tokens},
                      {"tokenizer.ggml.scores", scores},           {"tokenizer.ggml.token_type", types},
                      {"tokenizer.ggml.bos_token_id", int64_t{1}}, {"tokenizer.ggml.eos_token_id", int64_t{2}}};
  return content;
}

TEST(GgufModel, ReadsTextsWithSentencePiecesTokenizer) {
  const auto folder = std::filesystem::path(std::getenv("SINK_SOURCE_DIR")) / "tests/golden/tokenizers/llama2_style";
  const auto tokenizer = GgufTokenizer(SentencePieceContent(), "f.gguf");
  const auto wanted = data::OpenTokenizer(folder / "tokenizer.json");
  for (const char* text : {"The quick brown fox jumps over the lazy dog.", "naïve café, 漢字 and 🙂", "a\nb\tc",
                           "numbers 1234567890", "  two spaces before", "don't  stop"}) {
    std::vector<int32_t> ids, expected;
    tokenizer->Encode(text, &ids);
    wanted->Encode(text, &expected);
    EXPECT_EQ(ids, expected) << text;
  }
  EXPECT_EQ(tokenizer->bos_id(), 1);
  GgufContent without = SentencePieceContent();
  without.metadata["tokenizer.ggml.add_bos_token"] = int64_t{0};
  EXPECT_EQ(GgufTokenizer(without, "f.gguf")->bos_id(), std::nullopt);
  without.metadata["tokenizer.ggml.eos_token_id"] = int64_t{9};
  EXPECT_THROW(GgufTokenizer(without, "f.gguf"), ModelError);
}

TEST(GgufModel, ABeginningTokenIsPutWhereTheMetadataSaySo) {
  const GgufFile file(Golden() / "tiny.gguf");
  GgufContent content = file.content();
  EXPECT_EQ(GgufTokenizer(content, "f")->bos_id(), std::nullopt);
  content.metadata["tokenizer.ggml.add_bos_token"] = int64_t{1};
  EXPECT_EQ(GgufTokenizer(content, "f")->bos_id(), 0);
}

}  // namespace
}  // namespace sink
