// The attention block of one layer: projections, what a variant does to queries and keys, attention, and what it does
// to the output. Belongs to the model's thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "model/network/attention.h"
#include "model/network/parameter_layout.h"
#include "proto/config/job_config.h"

namespace sink {

// What an observer sees of one layer's attention. Queries and keys are those that the scores are made of: after RoPE
// and the feature map.
struct AttentionView {
  at::Tensor query_BHTD, key_BKTD, value_BKTD;
  at::Tensor output_BHTD;  // before gate and output projection
  at::Tensor gate_NG;      // sigmoid of the gate, G = 1 or D values a head; undefined without one
  const AttentionRule& rule;
  const AttentionTerms& terms;
  std::function<at::Tensor()> key_sums = {};  // as ObservedAttention has them

  // AttentionWeights of this layer.
  at::Tensor Weights(int64_t first, int64_t rows) const {
    return AttentionWeights(query_BHTD, key_BKTD, rule, terms, first, rows);
  }
};

// What all layers of a model share.
class AttentionContext {
 public:
  AttentionContext(const ModelConfig& config, const ParameterBuffer& parameters);

  const ModelConfig& config() const { return config_; }
  const AttentionRule& rule() const { return rule_; }
  const at::Tensor& rope_TD() const { return rope_; }  // undefined without RoPE
  // Of what enters attention beside queries, keys and values: the parameters' own type, whatever computes the products.
  const at::TensorOptions& term_options() const { return term_options_; }
  // Biases of a sequence of this length, [H, 2 length - 1]; undefined where positions are no biases. Differentiable in
  // T5's table.
  at::Tensor OffsetBias(int64_t length) const;

 private:
  ModelConfig config_;
  AttentionRule rule_;
  at::TensorOptions term_options_;
  at::Tensor rope_;        // [Positions, D]: cosines, then sines, D/2 each
  at::Tensor fixed_bias_;  // OffsetBias of Positions, the longest
  Weight learned_bias_;    // T5's table
  at::Tensor buckets_;     // where OffsetBias of Positions reads it
};

// Calls see(view) with what attention did, when given.
using SeeAttention = std::function<void(const AttentionView&)>;

// x_NC [B * T, C], normed where the variant norms it, to the block's output [B * T, C]. Differentiable.
at::Tensor AttentionLayer(const AttentionContext& context, const LayerParameters& weights, const at::Tensor& x_NC,
                          const at::Tensor& offset_bias, int64_t batch, int64_t length, const SeeAttention& see);

}  // namespace sink
