// The table. Sources: sections, tables and figures of Gu et al., "When Attention Sink Emerges in Language Models", ICLR
// 2025 (arXiv 2410.10781). To add one: the experiment's name in its sweep file, the sentence, and the claim of
// claims.h.
#include "coordinator/report/takeaways.h"

namespace sink::report {
namespace {

const Where kSoftmax = {{"model.variant.similarity", "softmax"}};
const Where kSigmoid = {{"model.variant.similarity", "sigmoid"}, {"model.variant.normalize", "false"}};
const Where kNormalizedSigmoid = {{"model.variant.similarity", "sigmoid"}, {"model.variant.normalize", "true"}};
const Where kUnnormalizedElu = {{"model.variant.similarity", "elu_plus_one"}, {"model.variant.normalize", "false"}};
const Where kEluKernel = {{"model.variant.similarity", "identity"},
                          {"model.variant.feature_map", "elu_plus_one"},
                          {"model.variant.normalize", "true"}};
const Where kMlpKernel = {{"model.variant.similarity", "identity"}, {"model.variant.feature_map", "mlp"}};
const Where kLinear = {{"model.variant.similarity", "identity"},
                       {"model.variant.feature_map", "identity"},
                       {"model.variant.normalize", "false"}};
const Where kNormalizedSoftmax = {{"model.variant.similarity", "softmax"}, {"model.variant.normalize", "true"}};
// Tokens at the first positions up to `end` are random.
Where RandomUpTo(const char* end) { return {{"data.random_tokens_start", "0"}, {"data.random_tokens_end", end}}; }
const Where kKeyBias = {{"model.variant.key_bias", "per_head"}, {"model.variant.value_bias", "none"}};
const Where kKeyAndValueBias = {{"model.variant.key_bias", "per_head"}, {"model.variant.value_bias", "per_head"}};
const Where kValueBias = {{"model.variant.key_bias", "none"}, {"model.variant.value_bias", "per_head"}};
const Where kSharedKeyBias = {{"model.variant.key_bias", "shared"}};
using Place = SitsAt::Place;

}  // namespace

const std::vector<Takeaway>& Takeaways() {
  static const auto* const kTakeaways = new std::vector<Takeaway>{
      // Optimization.
      {{"default"}, "Pre-training brings a sink about: the default run ends with one", "section 4, Table 9", Present{}},
      {{"learning_rate_and_steps", "learning_rate"},
       "A larger learning rate gives a stronger sink after equally many steps",
       "section 4, Figure 4, Table 9",
       Trend{.key = "train.learning_rate", .equal_steps = true}},
      {{"learning_rate_and_steps", "learning_rate"},
       "With a larger learning rate the sink emerges earlier",
       "section 4, Figure 4",
       Earlier{.key = "train.learning_rate"}},
      {{"default", "learning_rate_and_steps"},
       "The loss falls before the sink emerges",
       "section 4, Figure 4",
       AfterTheLoss{}},
      {{"learning_rate_and_steps"},
       "At a small learning rate, longer training strengthens the sink",
       "section 4, Table 9",
       Trend{.key = "train.max_steps", .within = "train.learning_rate"}},
      {{"batch_size"},
       "The batch size has no effect on the sink",
       "section 4, Table 10",
       NoEffect{.key = "train.global_batch_size"}},

      // Open models.
      {{"gpt2", "llama2", "llama3", "mistral", "pythia", "opt"},
       "The sink is there in open models of every family and size",
       "section 3, Figure 4, Table 1",
       Present{}},
      {{"rotary_positions"},
       "With rotary embeddings, one token repeated leaves no sink",
       "section 3.3, Table 1",
       Absent{.where = {{"evaluate.inputs", "repeat"}}, .control = {{"evaluate.inputs", "natural"}}}},
      {{"learned_positions"},
       "With learned positions, the sink outlasts a repeated token",
       "section 3.3, Table 1",
       Present{.where = {{"evaluate.inputs", "repeat"}}}},

      // Data distribution.
      {{"unique_tokens"},
       "With too little unique training data no sink emerges",
       "section 5, Figure 5",
       Removed{.key = "data.fraction", .smallest = true}},
      {{"random_tokens"},
       "With a random first token the sink stays on the first token",
       "section 5",
       SitsAt{Place::kFirst, RandomUpTo("1")}},
      {{"random_tokens"},
       "With two random first tokens the sink moves to the second",
       "section 5",
       SitsAt{Place::kLastRandomToken, RandomUpTo("2")}},
      {{"random_tokens"},
       "With the second token alone random the sink stays on the first token",
       "section 5",
       SitsAt{Place::kFirst, {{"data.random_tokens_start", "1"}, {"data.random_tokens_end", "2"}}}},
      {{"random_tokens"},
       "With three random first tokens there is no sink on the first",
       "section 5",
       Absent{RandomUpTo("3"), RandomUpTo("1")}},
      {{"random_tokens"},
       "With five random first tokens there is no sink on the first",
       "section 5",
       Absent{RandomUpTo("5"), RandomUpTo("1")}},
      {{"fixed_token"},
       "A token fixed at a position takes the sink to that position",
       "section 5",
       SitsAt{Place::kFixedToken}},

      // Loss function.
      {{"weight_decay"},
       "Moderate weight decay strengthens the sink",
       "section 6, Table 2",
       Increases{.key = "train.weight_decay"}},
      {{"weight_decay"},
       "Extreme weight decay removes the sink",
       "section 6, Table 2",
       Removed{.key = "train.weight_decay"}},
      {{"prefix_length"},
       "With prefix language modelling the sink is among the tokens of the prefix",
       "section 6, Figure 6",
       SitsAt{Place::kPrefix}},
      {{"window"},
       "With a wide window the sink is on the absolute first token",
       "section 6, Figure 6",
       SitsAt{Place::kFirst, {}, "model.variant.window"}},
      {{"window"}, "A small window suppresses the sink", "section 6, Figure 6", Trend{.key = "model.variant.window"}},

      // Model architecture.
      {{"position_embedding"},
       "Every kind of position embedding, none included, has a sink",
       "section 7.1, Table 3",
       Present{}},
      {{"feed_forward"},
       "The kind of feed-forward block does not prevent the sink",
       "section 7.1, Table 11",
       Present{}},
      {{"norm_placement"}, "Normalisation after the blocks does not prevent the sink", "section 7.1", Present{}},
      {{"heads"}, "The number of heads does not prevent the sink", "section 7.1, Table 12", Present{}},
      {{"sink_token"},
       "A learnable sink token takes the sink over from the first token",
       "section 7.2, Table 4",
       SitsAt{Place::kBias}},
      {{"biases_per_head"},
       "A learnable key bias, its value 0, takes the sink over",
       "section 7.2, Table 4",
       SitsAt{Place::kBias, kKeyBias}},
      {{"biases_per_head"},
       "Learnable key and value biases take the sink over",
       "section 7.2, Table 4",
       SitsAt{Place::kBias, kKeyAndValueBias}},
      {{"biases_per_head"},
       "A value bias alone leaves the sink on the first token",
       "section 7.2, Table 4",
       Present{kValueBias}},
      {{"biases_shared"},
       "Key biases shared by the heads take the sink over, too",
       "section 7.2, Table 12",
       SitsAt{Place::kBias, kSharedKeyBias}},
      {{"fixed_value"},
       "The larger the fixed value of the key bias, the more of the sink returns to the first token",
       "section 7.2, Table 5",
       Trend{.key = "model.variant.value_bias_scale", .where = {{"model.variant.value_bias", "unit"}}}},
      {{"fixed_value"},
       "The larger a fixed value that lies evenly on all components, the more of the sink returns",
       "section 7.2, Table 5",
       Trend{.key = "model.variant.value_bias_scale", .where = {{"model.variant.value_bias", "uniform"}}}},
      {{"attention_operation", "attention_sink"},
       "Sigmoid weights without normalisation have no sink",
       "section 7.3, Table 6; at 1B, section 7.3",
       Absent{kSigmoid, kSoftmax}},
      {{"attention_operation"},
       "ELU weights without normalisation have no sink",
       "section 7.3, Table 6",
       Absent{kUnnormalizedElu, kSoftmax}},
      {{"attention_operation"},
       "Sigmoid weights with normalisation have a sink",
       "section 7.3, Table 6",
       Present{kNormalizedSigmoid}},
      {{"attention_operation"},
       "An ELU kernel with normalisation has a sink",
       "section 7.3, Table 6",
       Present{kEluKernel}},
      {{"attention_operation"},
       "An MLP kernel has no sink, with normalisation or without",
       "section 7.3, Tables 6 and 15",
       Absent{kMlpKernel, kNormalizedSoftmax}},
      {{"attention_operation"},
       "Attention without softmax, kernel or normalisation has no sink",
       "section 7.3, Tables 6 and 15",
       Absent{kLinear, kNormalizedSoftmax}},
      {{"attention_operation", "attention_sink"},
       "Softmax attention has a sink",
       "section 7.3, Table 6; at 1B, section 7.3",
       Present{kSoftmax}},
      {{"attention_sum"},
       "The less the weights of a row sum to, the weaker the sink",
       "section 7.3, Table 14",
       Trend{.key = "model.variant.attention_sum"}},
      {{"sigmoid_robustness"},
       "Sigmoid attention stays without a sink whatever the learning rate and weight decay",
       "section 7.3, Table 14",
       Absent{kSigmoid, kSoftmax}},
  };
  return *kTakeaways;
}

}  // namespace sink::report
