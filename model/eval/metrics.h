// Gathers the metrics of metric_table.h, those that were asked for, during forward passes that someone else observes.
// Belongs to the thread of the model.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/eval/attention_blocks.h"
#include "model/eval/metric_table.h"
#include "proto/config/job_config.h"

namespace sink {

// Attention has a value for each layer, from 0. Hidden states have one more: 0 is the embeddings, n the residual stream
// after n layers, before the final norm. `all` is the mean or the largest of them (README.md says which).
struct MetricSeries {
  std::string name;
  std::vector<double> layers;
  double all = 0;
};

class MetricCollector {
 public:
  // Names of EvalMetrics(), in any order: ModelError on another.
  MetricCollector(const std::vector<std::string>& names, const ModelConfig& config);

  // Whether a metric that was asked for is made of weights or their blocks: OnBlock and OnAttention need not be called
  // otherwise.
  bool needs_blocks() const;

  // As an Observer's. A layer's blocks, in order, come before its OnAttention.
  void OnHidden(int64_t index, const at::Tensor& hidden_BPC);
  void OnBlock(int64_t layer, const AttentionView& attention, const AttentionBlock& block);
  void OnAttention(int64_t layer, const AttentionView& attention);

  // What all passes so far gave, in the order of EvalMetrics(). What the model lacks is left out; what has no sample is
  // NaN.
  std::vector<MetricSeries> Series() const;

 private:
  struct Total {
    at::Tensor value;  // sum, largest or vector sum of the samples, in double on the CPU
    int64_t count = 0;
  };
  struct Chosen {
    const Metric* metric;
    std::vector<Total> layers;
  };

  template <typename Samples, typename View>
  void Add(int64_t index, const View& view);

  const int64_t text_start_;
  std::vector<Chosen> chosen_;
  std::vector<at::Tensor> first_weights_;  // of the blocks of a layer, [B, H, R]
};

}  // namespace sink
