// The sink metric against the study's own values, and sink-eval's whole path.
#include "model/eval/sink_metric.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "model/base/model_error.h"
#include "model/eval/evaluate.h"
#include "model/network/attention_layer.h"
#include "model/storage/tensor_file.h"
#include "tests/model/helpers/golden.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

class SinkMetric : public ::testing::TestWithParam<std::string> {};

EvaluateOptions Options(const std::string& variant) {
  EvaluateOptions options;
  options.model = testing::GoldenVariants() / variant;
  options.inputs.probe = testing::GoldenVariants() / "tokens.safetensors";
  options.keep_logits = true;
  return options;
}

TEST_P(SinkMetric, AgreesWithTheStudysCode) {
  const testing::TempDir folder;
  const std::filesystem::path directory = testing::GoldenVariants() / GetParam();
  const SafetensorsFile expected(directory / "expected.safetensors");
  nlohmann::json json;
  std::ifstream(directory / "expected.json") >> json;

  EvaluateOptions options = Options(GetParam());
  options.sink_options.batch = 3;  // 4 sequences: the last batch is a smaller one
  const Evaluation evaluation = Evaluate(options);
  Dump(evaluation, folder / "dump.safetensors");
  const SafetensorsFile dump(folder / "dump.safetensors");

  const auto largest = [&](const char* name) {
    return (ReadTensor(dump, name) - ReadTensor(expected, name)).abs().max().item<double>();
  };
  EXPECT_LT(largest("importance"), 1e-4);
  EXPECT_LT(largest("logits"), 1e-4);
  const at::Tensor norm = ReadTensor(expected, "hidden_norm");
  EXPECT_LT(((ReadTensor(dump, "hidden_norm") - norm) / norm).abs().max().item<double>(), 1e-4);

  const nlohmann::json printed = nlohmann::json::parse(PrintJson(evaluation));
  EXPECT_EQ(printed["sink_rate_percent"], json["sink_rate_percent"]["positions_from_1"]);
  EXPECT_NEAR(printed["loss"].get<double>(), json["loss"].get<double>(), 1e-5);
  EXPECT_EQ(printed["epsilon"], 0.3);
  EXPECT_EQ(printed["tokens"], 64);
  EXPECT_EQ(printed["bos"], false);
}

INSTANTIATE_TEST_SUITE_P(Variants, SinkMetric, ::testing::ValuesIn(testing::GoldenNames()),
                         [](const auto& info) { return info.param; });

TEST(Importance, OfUniformAttentionIsHarmonic) {
  // Equal scores: A[i, k] = 1 / i, so alpha_k = mean of 1 / i over i >= k.
  const at::Tensor zeros = at::zeros({1, 2, 5, 4});
  const AttentionRule rule;
  const AttentionTerms terms;
  const at::Tensor importance = Importance({zeros, zeros, zeros, zeros, {}, rule, terms});
  EXPECT_NEAR(importance[0][1][0].item<float>(), (1 + 1 / 2. + 1 / 3. + 1 / 4. + 1 / 5.) / 5, 1e-6);
  EXPECT_NEAR(importance[0][0][3].item<float>(), (1 / 4. + 1 / 5.) / 2, 1e-6);
  EXPECT_NEAR(importance[0][0][4].item<float>(), 1 / 5., 1e-6);
}

TEST(Evaluate, PutsTheBosTokenFirst) {
  EvaluateOptions options = Options("base");
  options.inputs.probe_options = {.tokens = 16, .sequences = 2, .bos = 7};
  const at::Tensor probe = LoadProbe(options.inputs.probe, options.inputs.probe_options);
  EXPECT_EQ(probe.sizes(), (at::IntArrayRef{2, 17}));
  EXPECT_EQ(probe[1][0].item<int64_t>(), 7);
  EXPECT_TRUE(nlohmann::json::parse(PrintJson(Evaluate(options)))["bos"].get<bool>());
  EXPECT_NE(PrintText(Evaluate(options)).find("T = 16, with BOS"), std::string::npos);
}

TEST(Evaluate, PrintsTheMetricsAskedForThatTheModelHas) {
  EvaluateOptions options = Options("base");
  options.inputs.probe_options = {.tokens = 16, .sequences = 2};
  options.sink_options.metrics = {"gate_mean", "kurtosis"};
  const Evaluation evaluation = Evaluate(options);
  const nlohmann::json metrics = nlohmann::json::parse(PrintJson(evaluation))["metrics"];
  ASSERT_EQ(metrics.size(), 1u);
  ASSERT_EQ(evaluation.sinks.metrics.size(), 1u);
  EXPECT_EQ(metrics["kurtosis"]["all"], evaluation.sinks.metrics[0].all);
  EXPECT_EQ(metrics["kurtosis"]["layers"], evaluation.sinks.metrics[0].layers);
  EXPECT_NE(PrintText(evaluation).find("\nkurtosis "), std::string::npos);
}

TEST(Evaluate, NamesAProbeThatIsTooShort) {
  EvaluateOptions options = Options("base");
  options.inputs.probe_options.tokens = 65;
  try {
    Evaluate(options);
    FAIL();
  } catch (const ModelError& error) {
    EXPECT_NE(std::string(error.what()).find("give a smaller --tokens"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace sink
