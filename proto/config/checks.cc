// What no single field can check: which settings exclude each other, and why.
#include <algorithm>

#include "proto/config/job_config.h"

namespace sink {
namespace {

using Problem = std::pair<std::string, std::string>;  // path and reason; both empty: none

Problem CheckAttention(const ModelConfig& m) {
  const VariantConfig& v = m.variant;
  const bool softmax = v.similarity == "softmax", identity = v.similarity == "identity";
  if (v.position_embedding == "rope" && m.head_dim() % 2 != 0)
    return {"model.num_attention_heads", "hidden_size / num_attention_heads must be even for rotary embeddings"};
  if (v.position_embedding == "sinusoidal" && m.hidden_size % 2 != 0)
    return {"model.hidden_size", "must be even for sinusoidal embeddings"};
  if (identity &&
      (v.position_embedding == "alibi" || v.position_embedding == "relative" || v.position_embedding == "t5"))
    return {
        "model.variant.position_embedding",
        "cannot be " + v.position_embedding + " with similarity identity: a linear kernel has no score to add it to"};
  if (!identity && v.feature_map != "identity")
    return {"model.variant.feature_map", "needs similarity identity: only a linear kernel maps queries and keys"};
  if (!v.normalize && (softmax || v.similarity == "softpick"))
    return {"model.variant.normalize", "cannot be false with similarity " + v.similarity + ", which normalises itself"};
  if (!v.normalize && v.attention_sum != 1)
    return {"model.variant.attention_sum", "needs normalize true: other weights do not sum to a constant"};
  if (!softmax && v.key_bias != "none")
    return {"model.variant.key_bias", "needs similarity softmax, where one more key takes weight from the others"};
  if (!softmax && v.sink_logit != "none")
    return {"model.variant.sink_logit", "needs similarity softmax, where one more logit takes weight from the others"};
  if (v.sink_logit != "none" && v.key_bias != "none")
    return {"model.variant.sink_logit", "and key_bias are two forms of one column; choose one"};
  const bool fixed = v.value_bias == "unit" || v.value_bias == "uniform";
  if (fixed && v.key_bias == "none")
    return {"model.variant.value_bias", "cannot be " + v.value_bias + " without key_bias: it is the value of that key"};
  if (!fixed && v.value_bias_scale != 1) return {"model.variant.value_bias_scale", "needs value_bias unit or uniform"};
  if (v.prefix_length > m.max_position_embeddings)
    return {"model.variant.prefix_length", "must not exceed model.max_position_embeddings"};
  return {};
}

Problem CheckEvaluate(const JobConfig& c) {
  if (c.kind != "evaluate" && !c.evaluate.model.empty()) return {"evaluate.model", "needs kind: evaluate"};
  if (c.kind == "evaluate" && c.evaluate.model.empty())
    return {"evaluate.model", "is missing: kind evaluate needs the model to measure, such as openai-community/gpt2"};
  return {};
}

}  // namespace

Problem CheckModelConfig(const ModelConfig& m) {
  if (m.hidden_size % m.num_attention_heads != 0) return {"model.num_attention_heads", "must divide model.hidden_size"};
  if (m.num_attention_heads % m.key_value_heads() != 0)
    return {"model.num_key_value_heads", "must divide model.num_attention_heads"};
  return CheckAttention(m);
}

Problem CheckJobConfig(const JobConfig& c) {
  if (const Problem problem = CheckEvaluate(c); !problem.second.empty()) return problem;
  if (const Problem problem = CheckModelConfig(c.model); !problem.second.empty()) return problem;
  if (c.train.sequence_length > c.model.max_position_embeddings)
    return {"train.sequence_length", "must not exceed model.max_position_embeddings"};
  if (c.eval.tokens > c.train.sequence_length) return {"eval.tokens", "must not exceed train.sequence_length"};
  for (const std::string& name : c.eval.metrics)
    if (std::count(c.eval.metrics.begin(), c.eval.metrics.end(), name) > 1)
      return {"eval.metrics", "names " + name + " twice"};
  if (c.eval.positions > c.eval.tokens) return {"eval.positions", "must not exceed eval.tokens"};
  if (c.train.global_batch_size % c.train.micro_batch_size != 0)
    return {"train.micro_batch_size", "must divide train.global_batch_size"};
  if (c.train.min_learning_rate && *c.train.min_learning_rate > c.train.learning_rate)
    return {"train.min_learning_rate", "must not exceed train.learning_rate"};
  if (c.data.fixed_token_position > c.train.sequence_length)
    return {"data.fixed_token_position", "must not exceed train.sequence_length"};
  if (c.data.fixed_token_id >= c.model.vocab_size) return {"data.fixed_token_id", "must be below model.vocab_size"};
  if (c.data.random_tokens_end < c.data.random_tokens_start || c.data.random_tokens_end > c.train.sequence_length)
    return {"data.random_tokens_end", "must lie between data.random_tokens_start and train.sequence_length"};
  if (c.data.domains.size() != c.data.weights.size()) return {"data.weights", "must be one for each of data.domains"};
  for (const std::string& name : c.data.domains)
    if (std::count(c.data.domains.begin(), c.data.domains.end(), name) > 1)
      return {"data.domains", "names " + name + " twice"};
  if (!c.data.weights.empty() && std::count(c.data.weights.begin(), c.data.weights.end(), 0.0) ==
                                     static_cast<std::ptrdiff_t>(c.data.weights.size()))
    return {"data.weights", "must not all be 0"};
  if (c.train.ignore_loss >= c.train.sequence_length)
    return {"train.ignore_loss", "must leave a target: be below train.sequence_length"};
  if (c.train.loss_spike_factor != 0 && c.train.loss_spike_factor <= 1)
    return {"train.loss_spike_factor", "must be 0 (off) or above 1"};
  return {};
}

}  // namespace sink
