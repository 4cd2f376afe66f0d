// Tiny models of every family against what transformers computes on them, by sink-eval's whole path: as transformers
// writes their folders, and the same weights sharded, under other names and in half precision.
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full_like.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "model/eval/evaluate.h"
#include "tests/model/helpers/open_folder.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

using testing::Tensors;

Evaluation Measure(const std::filesystem::path& model, const std::filesystem::path& probe, int64_t tokens) {
  EvaluateOptions options;
  options.model = model;
  options.inputs.probe = probe;
  options.inputs.probe_options.tokens = tokens;
  options.keep_logits = true;
  return Evaluate(options);
}

class OpenModels : public ::testing::TestWithParam<std::string> {
 protected:
  std::filesystem::path golden() const { return testing::GoldenOpenModels() / GetParam(); }
  std::string config() const { return testing::ReadBytes(golden() / "config.json"); }
  Tensors tensors() const { return testing::ReadAll(golden() / "model.safetensors"); }
  nlohmann::json expected() const { return nlohmann::json::parse(testing::ReadBytes(golden() / "expected.json")); }
  int64_t tokens() const { return expected()["sink_rate_percent"]["tokens"]; }
  Evaluation MeasureOnGoldenProbe(const std::filesystem::path& folder) const {
    return Measure(folder, golden() / "expected.safetensors", tokens());
  }

  // The tolerances are the golden set's.
  void ExpectGolden(const std::filesystem::path& folder) const {
    const testing::TempDir out;
    const Evaluation evaluation = MeasureOnGoldenProbe(folder);
    Dump(evaluation, out / "dump.safetensors");
    const Tensors dump = testing::ReadAll(out / "dump.safetensors");
    for (const auto& [name, expected] : testing::ReadAll(golden() / "expected.safetensors")) {
      if (name == "probe") continue;
      ASSERT_EQ(dump.at(name).sizes(), expected.sizes()) << name;
      const at::Tensor difference = (dump.at(name) - expected).abs();
      const bool norm = name.ends_with("_norm");
      EXPECT_LT((norm ? difference / expected : difference).max().item<double>(), 1e-4) << name;
    }
    const nlohmann::json json = expected();
    EXPECT_NEAR(*evaluation.loss, json["loss"].get<double>(), 1e-5);
    // Counts of heads: transformers' percentages were rounded to float.
    const std::vector<double> rates = json["sink_rate_percent"]["positions_from_1"];
    const auto heads = static_cast<double>(evaluation.sinks.importance.select(3, 0).numel());
    ASSERT_EQ(evaluation.sinks.sink_rate[0].size(), rates.size());
    for (size_t k = 0; k < rates.size(); ++k)
      EXPECT_EQ(std::round(evaluation.sinks.sink_rate[0][k] * heads), std::round(rates[k] / 100 * heads)) << k + 1;
  }
};

TEST_P(OpenModels, AgreesWithTransformers) { ExpectGolden(golden()); }

TEST_P(OpenModels, AgreesWhenSharded) {
  const testing::TempDir folder;
  testing::WriteFolder(folder.path(), config(), tensors(), 3);
  ExpectGolden(folder.path());
}

TEST_P(OpenModels, AgreesUnderShorterNamesAndBesideBuffers) {
  // As older files and base models have them: without the family's prefix, the head aside.
  const testing::TempDir folder;
  Tensors renamed;
  for (const auto& [name, tensor] : tensors()) {
    std::string shorter = name;
    for (const char* prefix : {"transformer.", "gpt_neox.", "model.decoder.", "model."})
      if (name.starts_with(prefix)) {
        shorter = name.substr(std::string(prefix).size());
        break;
      }
    renamed[shorter] = tensor;
  }
  const at::Tensor buffer = renamed.begin()->second;
  if (GetParam() == "gpt2") renamed["h.0.attn.bias"] = renamed["h.0.attn.masked_bias"] = buffer;
  if (GetParam() == "pythia")
    renamed["layers.0.attention.bias"] = renamed["layers.0.attention.rotary_emb.inv_freq"] = buffer;
  if (GetParam() == "llama2") renamed["layers.0.self_attn.rotary_emb.inv_freq"] = buffer;
  testing::WriteFolder(folder.path(), config(), renamed);
  ExpectGolden(folder.path());
}

TEST_P(OpenModels, HalfPrecisionIsReadAsItsValues) {
  // A file of 16-bit values gives bit for bit what the same values give in fp32.
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    const testing::TempDir folder;
    Tensors stored, widened;
    for (const auto& [name, tensor] : tensors()) {
      stored[name] = tensor.is_floating_point() ? tensor.to(type) : tensor;
      widened[name] = tensor.is_floating_point() ? stored[name].to(at::kFloat) : tensor;
    }
    testing::WriteFolder(folder.path() / "widened", config(), widened);
    const Evaluation wanted = MeasureOnGoldenProbe(folder.path() / "widened");
    for (const size_t shards : {1, 2}) {
      const std::filesystem::path place = folder.path() / ("stored-" + std::to_string(shards));
      testing::WriteFolder(place, config(), stored, shards);
      const Evaluation found = MeasureOnGoldenProbe(place);
      EXPECT_TRUE(at::equal(found.logits, wanted.logits));
      EXPECT_TRUE(at::equal(found.sinks.importance, wanted.sinks.importance));
      EXPECT_EQ(found.sinks.sink_rate, wanted.sinks.sink_rate);
    }
  }
}

TEST_P(OpenModels, ATiedTableIsReadUnderEitherName) {
  const bool tied = nlohmann::json::parse(config())["tie_word_embeddings"];
  if (!tied) GTEST_SKIP() << "not a tied model";
  const testing::TempDir folder;
  Tensors only_head = tensors();
  const std::string module = OpenModel(golden()).config().family->embedding + ".weight";
  std::string table;
  for (const auto& [name, tensor] : only_head)
    if (name.ends_with("." + module)) table = name;
  only_head["lm_head.weight"] = only_head.at(table);
  testing::WriteFolder(folder.path() / "both", config(), only_head);
  ExpectGolden(folder.path() / "both");
  only_head.erase(table);
  testing::WriteFolder(folder.path() / "head", config(), only_head);
  ExpectGolden(folder.path() / "head");
}

// A number that is none anywhere in a layer's weights is none in what is reported.
TEST_P(OpenModels, NanStaysNan) {
  Tensors spoilt = tensors();
  for (auto& [name, tensor] : spoilt)
    if (name.find("layers.0.") != std::string::npos || name.find("h.0.") != std::string::npos)
      tensor = tensor.is_floating_point() ? at::full_like(tensor, std::numeric_limits<double>::quiet_NaN())
                                          : at::full_like(tensor, 255);  // MXFP4's scale that is none
  const testing::TempDir folder;
  testing::WriteFolder(folder.path(), config(), spoilt);
  EvaluateOptions options;
  options.model = folder.path();
  options.inputs.probe = golden() / "expected.safetensors";
  options.inputs.probe_options.tokens = tokens();
  options.sink_options.metrics = EvalMetrics();
  const Evaluation evaluation = Evaluate(options);
  EXPECT_TRUE(std::isnan(*evaluation.loss));
  EXPECT_TRUE(std::isnan(evaluation.sinks.sink_rate[0][0]));
  EXPECT_TRUE(std::isnan(evaluation.sinks.mean_first_importance));
  EXPECT_TRUE(std::isnan(evaluation.sinks.strongest_first_importance));
  for (const MetricSeries& metric : evaluation.sinks.metrics) {
    const bool is_weight = metric.name == "sink_logit";  // a layer's own, so that only the spoilt layer's is NaN
    EXPECT_TRUE(std::isnan(is_weight ? metric.layers.front() : metric.layers.back())) << metric.name;
  }
  EXPECT_THAT(evaluation.notes, ::testing::Contains(::testing::HasSubstr("is not a number in")));
  EXPECT_THAT(PrintText(evaluation), ::testing::ContainsRegex("positions 1\\.\\.(9|10): NaN"));  // 9 beside a bias
}

INSTANTIATE_TEST_SUITE_P(Families, OpenModels, ::testing::ValuesIn(testing::GoldenOpenNames()),
                         [](const auto& info) { return info.param; });

// Files that hands or older programs have written: transformers' reading of each, on weights of a golden folder.
TEST(OpenConfigs, AreReadAsTransformersReadsThem) {
  const std::filesystem::path golden = testing::GoldenOpenModels();
  const auto cases = nlohmann::json::parse(testing::ReadBytes(golden.parent_path() / "open_configs.json"));
  EXPECT_GT(cases.size(), 20u);
  for (const nlohmann::json& c : cases) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const std::filesystem::path source = golden / c["golden"].get<std::string>();
    Tensors tensors = testing::ReadAll(source / "model.safetensors");
    for (const auto& [tensor, other] : c["flipped"].items())
      tensors[tensor] = tensors.at(other.get<std::string>()).flip(0).contiguous();
    const testing::TempDir folder;
    testing::WriteFolder(folder.path(), c["config"].dump(), tensors);
    const at::Tensor probe = testing::ReadAll(source / "expected.safetensors").at("probe");
    WriteTensors(folder / "probe.safetensors", {{"probe", probe.narrow(0, 0, 2).narrow(1, 0, 21).contiguous()}});
    const Evaluation evaluation = Measure(folder.path(), folder / "probe.safetensors", 20);
    EXPECT_NEAR(*evaluation.loss, c["loss"].get<double>(), 1e-5);
    const at::Tensor& alpha = evaluation.sinks.first_importance;
    for (int64_t layer = 0; layer < alpha.size(0); ++layer)
      for (int64_t head = 0; head < alpha.size(1); ++head)
        EXPECT_NEAR(alpha[layer][head].item<double>(),
                    c["alpha_1"][static_cast<size_t>(layer)][static_cast<size_t>(head)].get<double>(), 1e-5);
    const bool untied = c["config"].value("tie_word_embeddings", true) && tensors.contains("lm_head.weight");
    EXPECT_EQ(evaluation.notes.size(), untied ? 1u : 0u) << "of a head that is not tied after all";
  }
}

}  // namespace
}  // namespace sink
