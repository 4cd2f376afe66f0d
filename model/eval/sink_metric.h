// What the study measures on a model (design.md section 5): how much attention each position gets, in how many heads it
// is a sink, how the hidden states, keys and values of the first token stand out, and the metrics that a job asks for
// by name. No T x T matrix of more than a block of queries of one layer exists at a time. A meter watches a model, so
// it belongs to the model's thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/eval/metrics.h"
#include "model/network/transformer.h"

namespace sink {

struct SinkOptions {
  std::vector<double> epsilon = {0.3};
  int64_t positions = 10;            // columns of the sink rates
  int64_t batch = 16;                // sequences per forward pass
  std::vector<std::string> metrics;  // names of EvalMetrics()
  bool largest = false;              // report where the largest hidden values are
};

// The largest absolute value of hidden states and where it is: position and channel, both from 0.
struct LargestValue {
  double value = 0;
  int64_t position = 0, channel = 0;
};

// All tensors are float on the CPU; B sequences, L layers, H heads, T tokens. A model with a key bias, a sink logit or
// a sink token has a key more than the text: J = T + 1 columns with that one, "bias", first, and position 1 second; a
// model with two such keys has their sum there. Other models have J = T.
struct SinkReport {
  int64_t sequences = 0;
  int64_t tokens = 0;  // T
  std::vector<double> epsilon;
  bool has_bias = false;
  int64_t unknown_heads = 0;  // (sequence, layer, head) in which some importance is NaN
  // Share of (sequence, layer, head) whose importance of a column exceeds epsilon, 0..1: [epsilon][column]. NaN where
  // one of them is NaN.
  std::vector<std::vector<double>> sink_rate;
  // alpha_k, as Importance below: [B, L, H, J].
  at::Tensor importance;
  // Mean alpha_1 over the sequences: [L, H], the heat map; then its mean and its largest value with the place (from 0).
  at::Tensor first_importance;
  at::Tensor bias_importance;  // the same of the bias; undefined without one
  double mean_first_importance = 0;
  double strongest_first_importance = 0;
  int64_t strongest_layer = 0, strongest_head = 0;
  // Mean L2 norms: of hidden states [L + 1, T] (row 0: embeddings; before the final norm), of keys as the scores use
  // them and of values [L, T] (over sequences and key/value heads). With a sink token T + 1, that token first.
  at::Tensor hidden_norm, key_norm, value_norm;
  at::Tensor normed_norm;  // of what the head reads (OnNormed): [T]
  // Hidden norm of the model's first position over the mean of the others, for each row of hidden_norm.
  std::vector<double> hidden_norm_ratio;
  std::vector<LargestValue> largest;  // of each row of hidden_norm, over all sequences, where it was asked for
  std::vector<MetricSeries> metrics;  // those asked for that the model has
};

// Column sums of one layer's probabilities A (AttentionBlock), divided by T - k + 1, the number of queries that see
// position k under the causal mask: [B, H, J]. (A prefix is seen by more, so that its alpha may exceed 1, as in the
// study's code.) A column that is no position is seen by the T queries and by one more of zeros, which sees nothing
// else: A = 1.
at::Tensor Importance(const AttentionView& attention);

// Watches passes over `sequences` of `tokens` each and reports on all of them. Passes may take the sequences one group
// after another through all layers, or all groups through one layer after another; the groups come in the same order in
// every layer. `config` has the sizes and the variant.
class SinkMeter : public Observer {
 public:
  // ModelError when positions exceed T, T < 2 or a metric is unknown.
  SinkMeter(const ModelConfig& config, int64_t sequences, int64_t tokens, const SinkOptions& options);
  ~SinkMeter() override;

  void OnHidden(int64_t index, const at::Tensor& hidden_BPC) override;
  void OnAttention(int64_t layer, const AttentionView& attention) override;
  void OnNormed(const at::Tensor& hidden_BTC) override;

  SinkReport Report() const;

 private:
  struct Sums;
  std::unique_ptr<Sums> sums_;
};

// Measures the model on tokens [B, T], int64, T >= 2. Errors as the meter's.
SinkReport MeasureSinks(Transformer& model, const at::Tensor& tokens_BT, const SinkOptions& options);

}  // namespace sink
