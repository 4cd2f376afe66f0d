// A GGUF file as the model of an evaluation: what transformers gives on it, dequantised, and its own tokenizer.
#include "model/storage/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
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
  WriteTensors(folder / "probe.safetensors", {{"probe", probe.narrow(0, 0, 2).narrow(1, 0, 21).contiguous()}}, false);
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
  for (const auto& text : Expected()["texts"]) {
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
  EXPECT_THAT(with("tokenizer.ggml.model", "llama"), HasSubstr("f.gguf: its tokenizer \"llama\" is not read"));
  EXPECT_THAT(with("tokenizer.ggml.pre", "klingon"), HasSubstr("\"klingon\" is not supported"));
  EXPECT_THAT(with("tokenizer.ggml.merges", int64_t{3}), HasSubstr("no tokenizer.ggml.tokens and merges"));
  EXPECT_THAT(with("tokenizer.ggml.tokens", std::vector<std::string>(128, "a")), HasSubstr("occurs twice"));
  EXPECT_THAT(with("tokenizer.ggml.token_type", std::vector<double>{1}), HasSubstr("types of other tokens"));
  EXPECT_THAT(with("tokenizer.ggml.merges", std::vector<std::string>{"\xff \xfe"}), HasSubstr("no UTF-8"));
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
