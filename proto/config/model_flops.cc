#include "proto/config/model_flops.h"

namespace sink {

TokenFlops TrainingFlops(const ModelConfig& model, int64_t sequence_length) {
  const VariantConfig& v = model.variant;
  const int64_t hidden = model.hidden_size, keys = model.key_value_heads() * model.head_dim();
  const int64_t gates = v.attention_gate == AttentionGate::kNone       ? 0
                        : v.attention_gate == AttentionGate::kHeadwise ? model.num_attention_heads
                                                                       : hidden;
  const int64_t matrices = v.ffn == Ffn::kNone ? 0 : IsGated(v.ffn) ? 3 : 2;
  const int64_t layer =
      2 * hidden * hidden + 2 * hidden * keys + hidden * gates + matrices * hidden * model.intermediate_size;
  const int64_t weights = model.num_hidden_layers * layer + model.vocab_size * hidden;
  const auto products = 6 * static_cast<double>(weights);
  const auto attention = 12 * static_cast<double>(model.num_hidden_layers * hidden * sequence_length);
  return {products + attention / 2, products + attention};
}

}  // namespace sink
