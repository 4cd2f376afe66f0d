// The parameters of a model: names, shapes and initial values as functions of its configuration. Names and shapes are
// those of Hugging Face's LlamaForCausalLM, and for what LLaMA lacks those of design.md section 4 and model/README.md.
// Pure functions; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/network/parameters.h"
#include "proto/config/job_config.h"

namespace sink {

// Positions that the model itself counts: a sink token is one more than the text has.
inline int64_t Positions(const ModelConfig& c) { return c.max_position_embeddings + (c.variant.sink_token ? 1 : 0); }

// In the order in which a checkpoint lists them: embeddings, layers, final norm, head. Linear layers and embeddings
// start as N(0, 2 / (5 fan_in)), down_proj as N(0, 1 / (sqrt(fan_in) layers)^2), biases of attention as N(0, 0.02^2),
// norms as ones. ModelError when the configuration is impossible.
std::vector<ParameterBuffer::Entry> ParameterLayout(const ModelConfig& config);

// The parameters of one layer as the operations take them: q, k, v stacked, and gate over up. What a variant lacks is
// undefined.
struct LayerParameters {
  Weight input_norm, qkv, query_norm, key_norm, feature_map_0, feature_map_1;
  Weight key_bias, value_bias, sink_logit, gate, attention_output, post_attention_norm;
  Weight feed_forward_norm, gate_up, down, post_feed_forward_norm;
};
LayerParameters LayerWeights(const ParameterBuffer& parameters, const ModelConfig& config, int64_t layer);

}  // namespace sink
