// What no single field can check: which settings exclude each other, and why.
#include <algorithm>

#include "proto/config/job_config.h"

namespace sink {
namespace {

using Problem = std::pair<std::string, std::string>;  // path and reason; both empty: none

// Whether positions are biases of the scores, which a linear kernel does not have.
bool AddsToScores(PositionEmbedding embedding) {
  switch (embedding) {
    case PositionEmbedding::kAlibi:
    case PositionEmbedding::kRelative:
    case PositionEmbedding::kT5:
      return true;
    case PositionEmbedding::kRope:
    case PositionEmbedding::kNope:
    case PositionEmbedding::kSinusoidal:
    case PositionEmbedding::kLearnable:
      break;
  }
  return false;
}

// Whether the weights of a row are a quotient by definition, so that there is no form without the division.
bool NormalizesItself(SimilarityFunction similarity) {
  switch (similarity) {
    case SimilarityFunction::kSoftmax:
    case SimilarityFunction::kSoftpick:
      return true;
    case SimilarityFunction::kSigmoid:
    case SimilarityFunction::kEluPlusOne:
    case SimilarityFunction::kIdentity:
      break;
  }
  return false;
}

std::string Text(auto value) { return std::string(NameOf(value)); }

Problem CheckPositions(const ModelConfig& m) {
  const VariantConfig& v = m.variant;
  if (v.position_embedding == PositionEmbedding::kRope && m.head_dim() % 2 != 0)
    return {"model.num_attention_heads", "hidden_size / num_attention_heads must be even for rotary embeddings"};
  if (v.position_embedding == PositionEmbedding::kSinusoidal && m.hidden_size % 2 != 0)
    return {"model.hidden_size", "must be even for sinusoidal embeddings"};
  if (v.similarity == SimilarityFunction::kIdentity && AddsToScores(v.position_embedding))
    return {"model.variant.position_embedding",
            "cannot be " + Text(v.position_embedding) +
                " with similarity identity: a linear kernel has no score to add it to"};
  return {};
}

Problem CheckAttention(const ModelConfig& m) {
  if (const Problem problem = CheckPositions(m); !problem.second.empty()) return problem;
  const VariantConfig& v = m.variant;
  const bool softmax = v.similarity == SimilarityFunction::kSoftmax;
  const bool has_key = v.key_bias != KeyBias::kNone, has_logit = v.sink_logit != SinkLogit::kNone;
  if (v.similarity != SimilarityFunction::kIdentity && v.feature_map != FeatureMap::kIdentity)
    return {"model.variant.feature_map", "needs similarity identity: only a linear kernel maps queries and keys"};
  if (!v.normalize && NormalizesItself(v.similarity))
    return {"model.variant.normalize",
            "cannot be false with similarity " + Text(v.similarity) + ", which normalises itself"};
  if (!v.normalize && v.attention_sum != 1)
    return {"model.variant.attention_sum", "needs normalize true: other weights do not sum to a constant"};
  if (!softmax && has_key)
    return {"model.variant.key_bias", "needs similarity softmax, where one more key takes weight from the others"};
  if (!softmax && has_logit)
    return {"model.variant.sink_logit", "needs similarity softmax, where one more logit takes weight from the others"};
  if (has_logit && has_key) return {"model.variant.sink_logit", "and key_bias are two forms of one column; choose one"};
  if (IsFixed(v.value_bias) && !has_key)
    return {"model.variant.value_bias",
            "cannot be " + Text(v.value_bias) + " without key_bias: it is the value of that key"};
  if (!IsFixed(v.value_bias) && v.value_bias_scale != 1)
    return {"model.variant.value_bias_scale", "needs value_bias unit or uniform"};
  if (v.prefix_length > m.max_position_embeddings)
    return {"model.variant.prefix_length", "must not exceed model.max_position_embeddings"};
  return {};
}

Problem CheckEvaluate(const JobConfig& c) {
  switch (c.kind) {
    case JobKind::kTrain:
      if (!c.evaluate.model.empty()) return {"evaluate.model", "needs kind: evaluate"};
      break;
    case JobKind::kEvaluate:
      if (c.evaluate.model.empty())
        return {"evaluate.model",
                "is missing: kind evaluate needs the model to measure, such as openai-community/gpt2"};
      break;
  }
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
  if (c.train.micro_batch_size > 0 && c.train.global_batch_size % c.train.micro_batch_size != 0)
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
