// Each metric against a value worked out by hand, or loops in double over small tensors; then all of them on whole
// models of several variants.
#include "model/eval/metrics.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/base/model_error.h"
#include "model/eval/sink_metric.h"
#include "tests/model/helpers/random_tensors.h"

namespace sink {
namespace {

using Values = std::vector<double>;

ModelConfig WithSinkToken(bool token) {
  ModelConfig config;
  config.variant.sink_token = token;
  return config;
}

// [rows, columns] of doubles.
at::Tensor Matrix(std::initializer_list<double> values, int64_t columns) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble).view({-1, columns});
}

// The layers of a metric; empty where the model lacks it.
Values LayersOf(const MetricCollector& collector, const std::string& name) {
  for (const MetricSeries& series : collector.Series())
    if (series.name == name) return series.layers;
  return {};
}

double Of(const MetricCollector& collector, const std::string& name) {
  const Values layers = LayersOf(collector, name);
  return layers.size() == 1 ? layers[0] : std::nan("");
}

// Attention of one layer with hand-made parts; what a test does not set is zero.
struct Layer {
  explicit Layer(int64_t length, int64_t heads = 1, int64_t head_dim = 2)
      : query(at::zeros({1, heads, length, head_dim})),
        key(query.clone()),
        value(query.clone()),
        output(query.clone()) {}

  AttentionView View() const { return {query, key, value, output, gate, rule, terms}; }

  at::Tensor query, key, value, output, gate;
  AttentionRule rule;
  AttentionTerms terms;
};

// One layer with these weights [T, J] in its one head.
MetricCollector MeasureWeights(const Layer& layer, const at::Tensor& weights_TK, bool sink_token = false) {
  MetricCollector collector(EvalMetrics(), WithSinkToken(sink_token));
  const at::Tensor weights = weights_TK.to(at::kFloat).view({1, 1, weights_TK.size(0), weights_TK.size(1)});
  collector.OnBlock(0, layer.View(), {0, weights_TK.size(0), weights, weights});
  collector.OnAttention(0, layer.View());
  return collector;
}

MetricCollector MeasureLayer(const Layer& layer, bool sink_token = false, int64_t max_scores = kMaxBlockScores) {
  MetricCollector collector(EvalMetrics(), WithSinkToken(sink_token));
  const AttentionView view = layer.View();
  ForBlocks(
      view, [&](const AttentionBlock& block) { collector.OnBlock(0, view, block); }, max_scores);
  collector.OnAttention(0, view);
  return collector;
}

// Each batch [B, P, C] as the hidden states of row 0.
MetricCollector MeasureHidden(const std::vector<at::Tensor>& batches, bool sink_token = false) {
  MetricCollector collector(EvalMetrics(), WithSinkToken(sink_token));
  for (const at::Tensor& batch : batches) collector.OnHidden(0, batch);
  return collector;
}

TEST(Metrics, TableHasEveryName) {
  std::vector<std::string> names;
  for (const Metric& metric : MetricTable()) names.emplace_back(metric.name);
  EXPECT_EQ(names, EvalMetrics());
}

TEST(Metrics, OnlyTheChosenAreMeasuredAndUnknownOnesRefused) {
  MetricCollector collector({"kurtosis"}, ModelConfig());
  collector.OnHidden(0, testing::RandomTensors(1).Normal({1, 2, 4}));
  ASSERT_EQ(collector.Series().size(), 1u);
  EXPECT_EQ(collector.Series()[0].name, "kurtosis");
  EXPECT_THROW(MetricCollector({"kurtosys"}, ModelConfig()), ModelError);
}

TEST(Metrics, FirstTokenOfHandMadeWeights) {
  // Largest at position 1: query 2 yes, 3 no, 4 no (a tie). Query 1 has no choice.
  const at::Tensor weights = Matrix({1, 0, 0, 0, .75, .25, 0, 0, .25, .5, .25, 0, .5, 0, 0, .5}, 4);
  const MetricCollector plain = MeasureWeights(Layer(4), weights);
  EXPECT_NEAR(Of(plain, "first_attention"), (1 + .75 + .25 + .5) / 4, 1e-7);
  EXPECT_NEAR(Of(plain, "first_argmax"), 1 / 3., 1e-7);

  // The same numbers with a sink token: its column and its query are not the text's.
  const MetricCollector token = MeasureWeights(Layer(4), weights, /*sink_token=*/true);
  EXPECT_NEAR(Of(token, "first_attention"), (.25 + .5 + 0) / 3, 1e-7);
  EXPECT_NEAR(Of(token, "first_argmax"), 1 / 2., 1e-7);

  // A column is a rival: 3 positions, 4 keys.
  Layer biased(3);
  biased.terms.column_logit_H = at::zeros({1});
  const MetricCollector column = MeasureWeights(biased, weights.narrow(0, 1, 3));
  EXPECT_NEAR(Of(column, "first_attention"), (.25 + .5 + 0) / 3, 1e-7);
  EXPECT_NEAR(Of(column, "first_argmax"), 1 / 2., 1e-7);
}

TEST(Metrics, RowsOfZerosPutNothingFirst) {
  EXPECT_EQ(Of(MeasureWeights(Layer(3), at::zeros({3, 3}, at::kDouble)), "first_argmax"), 0);
}

TEST(Metrics, EntropyAndZerosOfHandMadeWeights) {
  const at::Tensor weights = Matrix({1, 0, 0, .5, .5, 0, .8, 0, .2}, 3);
  const double entropy = (std::log(2) - .8 * std::log(.8) - .2 * std::log(.2)) / 3;
  const MetricCollector plain = MeasureWeights(Layer(3), weights);
  EXPECT_NEAR(Of(plain, "attention_entropy"), entropy, 1e-7);
  EXPECT_NEAR(Of(plain, "zero_attention"), 1 / 6., 1e-7);  // of 1 + 2 + 3 visible weights

  Layer windowed(3);
  windowed.rule.window = 2;  // of 1 + 2 + 2
  EXPECT_NEAR(Of(MeasureWeights(windowed, weights), "zero_attention"), 1 / 5., 1e-7);
  Layer prefixed(3);
  prefixed.rule.prefix = 2;  // of 2 + 2 + 3
  EXPECT_NEAR(Of(MeasureWeights(prefixed, weights), "zero_attention"), 2 / 7., 1e-7);
  Layer biased(2);
  biased.terms.column_logit_H = at::zeros({1});  // the column and 1, the column and 2
  EXPECT_NEAR(Of(MeasureWeights(biased, weights.narrow(0, 1, 2)), "zero_attention"), 1 / 5., 1e-7);
}

TEST(Metrics, MaxLogitIsOfVisibleKeys) {
  Layer layer(3, 1, 4);
  layer.query.fill_(-1);
  layer.key.select(2, 0).fill_(3);  // scores of the keys: -6, -8, -2
  layer.key.select(2, 1).fill_(4);
  layer.key.select(2, 2).fill_(1);
  EXPECT_NEAR(Of(MeasureLayer(layer), "max_logit"), -2, 1e-6);
  layer.rule.weights.similarity = kernels::Similarity::kSigmoid;
  layer.terms.offset_bias_HS = at::tensor({0.f, 0.f, -5.f, 0.f, 0.f}).view({1, 5});  // a key's own query: -7
  EXPECT_NEAR(Of(MeasureLayer(layer), "max_logit"), -6, 1e-6);
  layer.rule.weights.similarity = kernels::Similarity::kIdentity;
  EXPECT_TRUE(LayersOf(MeasureLayer(layer), "max_logit").empty());
}

TEST(Metrics, DormantHeadsAreFarBelowTheirLayersMean) {
  Layer layer(3, 4);
  for (const auto& [head, norm] : std::map<int, double>{{0, 1}, {1, 1}, {2, .076}, {3, .07}})
    layer.output.select(1, head).select(2, 1).fill_(norm);  // mean 0.5365
  layer.output.select(2, 0) *= 0.7;                         // a token, of every head: no change
  EXPECT_EQ(Of(MeasureLayer(layer), "dormant_heads"), 0);
  layer.output.select(1, 3).fill_(.01);
  EXPECT_EQ(Of(MeasureLayer(layer), "dormant_heads"), .25);
  layer.gate = at::tensor({1.f, .01f, 1.f, 1.f}).repeat({3, 1});  // a gate that is shut, too
  EXPECT_EQ(Of(MeasureLayer(layer), "dormant_heads"), .5);
}

TEST(Metrics, HiddenStatesByHand) {
  const auto sequence = [](const Values& values) { return at::tensor(values, at::kDouble).view({1, 2, 4}); };
  const Values x = {1, 1, -1, -1, -1, -7, 1, 1};
  const double mean = -6 / 8.;
  double m2 = 0, m4 = 0;
  for (const double value : x) {
    m2 += std::pow(value - mean, 2) / 8;
    m4 += std::pow(value - mean, 4) / 8;
  }
  const MetricCollector one = MeasureHidden({sequence(x)});
  EXPECT_NEAR(Of(one, "kurtosis"), m4 / (m2 * m2), 1e-12);
  EXPECT_EQ(Of(one, "max_activation"), 7);
  EXPECT_EQ(Of(one, "top_median_ratio"), 7);
  EXPECT_EQ(Of(one, "massive_activations"), 0);
  EXPECT_NEAR(Of(one, "hidden_norm"), (2 + std::sqrt(52)) / 2, 1e-12);

  // A second sequence, in another batch, with two massive activations: 101 is over the first cut but not the second.
  const Values large = {.11, 200, .11, -.11, 101, .11, -150, .11};
  const MetricCollector two = MeasureHidden({sequence(x), sequence(large)});
  EXPECT_EQ(Of(two, "max_activation"), 200);
  EXPECT_NEAR(Of(two, "top_median_ratio"), (7 + 200 / .11) / 2, 1e-9);
  EXPECT_EQ(Of(two, "massive_activations"), 1);  // a mean: none and two
  EXPECT_EQ(Of(two, "massive_channels"), 1);
  const Values one_channel = {.11, 200, .11, -.11, 101, -300, -150, .11};
  EXPECT_EQ(Of(MeasureHidden({sequence(one_channel)}), "massive_activations"), 3);
  EXPECT_EQ(Of(MeasureHidden({sequence(one_channel)}), "massive_channels"), 2);
}

TEST(Metrics, KurtosisOfAGaussianIsThree) {
  EXPECT_NEAR(Of(MeasureHidden({5 + 2 * testing::RandomTensors(1).Normal({1, 100, 2000})}), "kurtosis"), 3, 0.1);
}

TEST(Metrics, MatrixEntropyOfKnownSingularValues) {
  // Singular values 3 and 4, turned out of the axes: shares 0.36 and 0.64. Wide and tall.
  const double a = 0.6, b = 0.8;
  const at::Tensor wide = Matrix({3 * a, 3 * b, 0, -4 * b, 4 * a, 0}, 3);
  const double entropy = -.36 * std::log(.36) - .64 * std::log(.64);
  EXPECT_NEAR(Of(MeasureHidden({wide.unsqueeze(0)}), "matrix_entropy"), entropy, 1e-12);
  EXPECT_NEAR(Of(MeasureHidden({wide.t().unsqueeze(0)}), "matrix_entropy"), entropy, 1e-12);
}

TEST(Metrics, HiddenCosineIsOfEveryPairOfSequences) {
  const auto sequence = [](double degrees, double norm) {
    const double angle = degrees * std::acos(-1) / 180;
    return Matrix({norm * std::cos(angle), norm * std::sin(angle), 5, 5}, 2);
  };
  const at::Tensor batch = at::stack({sequence(0, 1), sequence(60, 3)}), rest = sequence(180, .5).unsqueeze(0);
  EXPECT_NEAR(Of(MeasureHidden({batch, rest}), "hidden_cosine"), (.5 - 1 - .5) / 3, 1e-12);
  // The first token, not the sink token: here the same one everywhere.
  EXPECT_NEAR(Of(MeasureHidden({batch, rest}, /*sink_token=*/true), "hidden_cosine"), 1, 1e-12);
  EXPECT_TRUE(std::isnan(Of(MeasureHidden({rest}), "hidden_cosine")));
}

TEST(Metrics, NormRatiosAreOfTheFirstTokenOverTheOthers) {
  Layer layer(4, 2);
  const auto fill = [](at::Tensor x, int64_t head, std::initializer_list<double> norms) {
    int64_t t = 0;
    for (const double norm : norms) x.select(1, head).select(1, t++).select(1, 0).select(0, 0).fill_(norm);
  };
  fill(layer.key, 0, {1, 2, 3, 4});
  fill(layer.key, 1, {6, 1, 2, 3});
  fill(layer.value, 0, {8, 1, 2, 4});
  fill(layer.value, 1, {8, 2, 2, 2});
  const MetricCollector plain = MeasureLayer(layer);
  EXPECT_NEAR(Of(plain, "key_norm_ratio"), (1 / 3. + 6 / 2.) / 2, 1e-12);
  EXPECT_NEAR(Of(plain, "value_norm_ratio"), (8 / (7 / 3.) + 4) / 2, 1e-12);
  const MetricCollector token = MeasureLayer(layer, /*sink_token=*/true);
  EXPECT_NEAR(Of(token, "key_norm_ratio"), (2 / 3.5 + 1 / 2.5) / 2, 1e-12);
  EXPECT_NEAR(Of(token, "value_norm_ratio"), (1 / 3. + 1) / 2, 1e-12);
}

TEST(Metrics, QueryKeyCosineReadsTheHeadsOwnKey) {
  const auto pi = std::acos(-1);
  Layer layer(3, 4);
  layer.key = at::zeros({1, 2, 3, 2});  // heads 0 and 1 read key/value head 0
  layer.key.select(1, 0).select(1, 0).copy_(at::tensor({2.f, 0.f}).view({1, 2}));
  layer.key.select(1, 1).select(1, 0).copy_(at::tensor({0.f, 5.f}).view({1, 2}));
  layer.value = layer.key;
  for (int64_t head = 0; head < 4; ++head)
    for (int64_t t = 1; t < 3; ++t) {
      const double angle = pi / 6 * static_cast<double>(t);
      const at::Tensor query = at::tensor({3 * std::cos(angle), 3 * std::sin(angle)}, at::kDouble);
      layer.query.select(1, head).select(1, t).copy_(query.view({1, 2}));
    }
  const double of_x = (std::cos(pi / 6) + std::cos(pi / 3)) / 2, of_y = (std::sin(pi / 6) + std::sin(pi / 3)) / 2;
  EXPECT_NEAR(Of(MeasureLayer(layer), "query_key_cosine"), (of_x + of_y) / 2, 1e-6);
  EXPECT_NEAR(Of(MeasureLayer(layer), "query_key_norm"), 3 * (2 + 5) / 2., 1e-6);
}

TEST(Metrics, SinkUpdateIsWeightTimesValue) {
  Layer layer(4);
  layer.value.select(2, 0).copy_(at::tensor({3.f, 4.f}).view({1, 1, 2}));
  const at::Tensor weights = Matrix({1, 0, 0, 0, .5, .5, 0, 0, .25, .5, .25, 0, .75, 0, 0, .25}, 4);
  const MetricCollector collector = MeasureWeights(layer, weights);
  EXPECT_NEAR(Of(collector, "sink_update"), 5 * (.5 + .25 + .75) / 3, 1e-7);
  EXPECT_NEAR(Of(collector, "sink_update_deviation"), (0 + .25 + .25) / 3 / .5, 1e-7);
  const at::Tensor constant = Matrix({1, 0, 0, 0, .5, .5, 0, 0, .5, .5, 0, 0, .5, 0, 0, .5}, 4);
  EXPECT_EQ(Of(MeasureWeights(layer, constant), "sink_update_deviation"), 0);
  EXPECT_TRUE(std::isnan(Of(MeasureWeights(layer, at::zeros({4, 4}, at::kDouble)), "sink_update_deviation")));
}

TEST(Metrics, SinkLogitAndGates) {
  Layer layer(3, 2);
  EXPECT_TRUE(LayersOf(MeasureLayer(layer), "sink_logit").empty());
  EXPECT_TRUE(LayersOf(MeasureLayer(layer), "gate_mean").empty());
  layer.terms.column_logit_H = at::tensor({-1.f, 4.f});
  layer.gate = at::tensor({.9f, .01f, .5f, .05f, .5f, .1f}).view({3, 2});
  const MetricCollector plain = MeasureLayer(layer);
  EXPECT_NEAR(Of(plain, "sink_logit"), 1.5, 1e-12);
  EXPECT_NEAR(Of(plain, "gate_mean"), 2.06 / 6, 1e-7);
  EXPECT_NEAR(Of(plain, "gate_sparsity"), 2 / 6., 1e-12);
  EXPECT_NEAR(Of(MeasureLayer(layer, /*sink_token=*/true), "gate_sparsity"), 1 / 4., 1e-12);
}

TEST(Metrics, BlocksOfAnySizeGiveTheSame) {
  testing::RandomTensors random(1);
  for (const bool sink_token : {false, true}) {
    Layer layer(7, 2);
    layer.query = random.Normal({3, 2, 7, 2});
    layer.key = random.Normal({3, 2, 7, 2});
    layer.value = random.Normal({3, 2, 7, 2});
    layer.output = random.Normal({3, 2, 7, 2});
    layer.rule.window = 4;
    const auto whole = MeasureLayer(layer, sink_token).Series();
    const auto blocks = MeasureLayer(layer, sink_token, /*max_scores=*/1).Series();
    ASSERT_EQ(whole.size(), blocks.size());
    for (size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(whole[i].all, blocks[i].all, 1e-6) << whole[i].name;
  }
}

TEST(Metrics, AllIsTheMeanOrTheLargestOfTheLayers) {
  MetricCollector collector(EvalMetrics(), ModelConfig());
  collector.OnHidden(0, at::full({1, 2, 4}, 1.0));
  collector.OnHidden(1, at::full({1, 2, 4}, 3.0));
  std::map<std::string, double> all;
  for (const MetricSeries& series : collector.Series()) all[series.name] = series.all;
  EXPECT_EQ(all["max_activation"], 3);
  EXPECT_EQ(all["hidden_norm"], (2 + 6) / 2.);
  EXPECT_EQ(LayersOf(collector, "hidden_norm"), (Values{2, 6}));
}

struct Case {
  std::string name;
  std::function<void(VariantConfig&)> change;
  std::vector<std::string> lacks;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class AllMetrics : public ::testing::TestWithParam<Case> {};

TEST_P(AllMetrics, AreFiniteAndWithinTheirBounds) {
  ModelConfig config;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.vocab_size = 50;
  config.max_position_embeddings = 16;
  GetParam().change(config.variant);
  Transformer model(config, at::kCPU);
  model.Initialize(1);
  const at::Tensor tokens = testing::RandomTensors(1).Tokens(50, {5, 12});
  const SinkReport report = MeasureSinks(model, tokens, {.positions = 4, .batch = 3, .metrics = EvalMetrics()});

  const std::map<std::string, std::pair<double, double>> bounds = {{"attention_entropy", {0, std::log(13)}},
                                                                   {"matrix_entropy", {0, std::log(13)}},
                                                                   {"max_logit", {-1e3, 1e3}},
                                                                   {"sink_logit", {-1, 1}},
                                                                   {"query_key_cosine", {-1, 1}},
                                                                   {"hidden_cosine", {-1, 1}},
                                                                   {"sink_update_deviation", {0, 1e6}},
                                                                   {"massive_activations", {0, 0}},
                                                                   {"massive_channels", {0, 0}},
                                                                   {"kurtosis", {1, 13 * 32}}};
  const auto ratio = [](const std::string& name) {
    return name.starts_with("first_") || name.starts_with("gate_") || name == "zero_attention" ||
           name == "dormant_heads";
  };
  const std::set<std::string> hidden = {"max_activation", "massive_activations", "massive_channels", "top_median_ratio",
                                        "kurtosis",       "hidden_norm",         "matrix_entropy",   "hidden_cosine"};
  std::vector<std::string> measured;
  for (const MetricSeries& series : report.metrics) {
    measured.push_back(series.name);
    const auto bound = bounds.find(series.name);
    const double low = bound == bounds.end() ? 0 : bound->second.first;
    const double high = bound == bounds.end() ? (ratio(series.name) ? 1 : 1e3) : bound->second.second;
    for (const double value : series.layers) {
      EXPECT_TRUE(value >= low - 1e-6 && value <= high + 1e-6) << series.name << " " << value;
    }
    EXPECT_LE(series.all, *std::max_element(series.layers.begin(), series.layers.end()) + 1e-12) << series.name;
    EXPECT_EQ(series.layers.size(), hidden.contains(series.name) ? 3u : 2u) << series.name;
  }
  std::vector<std::string> expected;
  for (const std::string& name : EvalMetrics())
    if (std::ranges::count(GetParam().lacks, name) == 0) expected.push_back(name);
  EXPECT_EQ(measured, expected);

  // Two ways to one number: attention to the first token is its importance.
  for (int64_t layer = 0; layer < 2; ++layer) {
    EXPECT_NEAR(report.metrics[0].layers[static_cast<size_t>(layer)],
                report.first_importance[layer].mean().item<double>(), 1e-6);
  }
}

const std::vector<std::string> kNoGate = {"gate_mean", "gate_sparsity"};
std::vector<std::string> NoGateNor(const std::vector<std::string>& more) {
  std::vector<std::string> all = kNoGate;
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

INSTANTIATE_TEST_SUITE_P(
    Variants, AllMetrics,
    ::testing::Values(
        Case{"softmax", [](VariantConfig&) {}, NoGateNor({"sink_logit"})},
        Case{"key_bias", [](VariantConfig& v) { v.key_bias = KeyBias::kPerHead, v.value_bias = ValueBias::kPerHead; },
             NoGateNor({"sink_logit"})},
        Case{"sink_logit", [](VariantConfig& v) { v.sink_logit = SinkLogit::kLearned; }, kNoGate},
        Case{"sink_token", [](VariantConfig& v) { v.sink_token = true; }, NoGateNor({"sink_logit"})},
        Case{"sink_token_with_column", [](VariantConfig& v) { v.sink_token = true, v.sink_logit = SinkLogit::kZero; },
             kNoGate},
        Case{"sigmoid_no_norm",
             [](VariantConfig& v) { v.similarity = SimilarityFunction::kSigmoid, v.normalize = false; },
             NoGateNor({"sink_logit"})},
        Case{"mlp_kernel",
             [](VariantConfig& v) {
               v.similarity = SimilarityFunction::kIdentity, v.feature_map = FeatureMap::kMlp, v.normalize = false;
             },
             NoGateNor({"sink_logit", "max_logit"})},
        Case{"softpick", [](VariantConfig& v) { v.similarity = SimilarityFunction::kSoftpick; },
             NoGateNor({"sink_logit"})},
        Case{"prefix_window", [](VariantConfig& v) { v.prefix_length = 3, v.window = 4; }, NoGateNor({"sink_logit"})},
        Case{"gate_headwise", [](VariantConfig& v) { v.attention_gate = AttentionGate::kHeadwise; }, {"sink_logit"}},
        Case{"gate_elementwise",
             [](VariantConfig& v) { v.attention_gate = AttentionGate::kElementwise, v.sink_token = true; },
             {"sink_logit"}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sink
