// The resolved configuration of one job: what a sweep file expands to, what a job's id is the hash of, and
// what sink-trainer obeys. One list of fields (VisitFields) gives the parser, the printer and the schema, so that a
// field exists everywhere or nowhere. Neutral: standard library types in the header, linked by both families. Plain
// values; functions are pure and may be called from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/config/choices.h"

namespace sink {

// Where a model deviates from LLaMA: the "variant" object of its config.json (design.md section 4; model/README.md has
// formulas and sources). Every default is LLaMA's.
struct VariantConfig {
  PositionEmbedding position_embedding = PositionEmbedding::kRope;
  Ffn ffn = Ffn::kSwiglu;
  NormPlacement norm_placement = NormPlacement::kPre;
  SimilarityFunction similarity = SimilarityFunction::kSoftmax;
  FeatureMap feature_map = FeatureMap::kIdentity;  // others need similarity identity
  bool normalize = true;                           // divide weights by sigmoid, elu_plus_one or identity by their sum
  double attention_sum = 1.0;                      // what the weights of a row sum to, where they sum to one by nature
  KeyBias key_bias = KeyBias::kNone;
  ValueBias value_bias = ValueBias::kNone;  // added to the output where there is no key_bias
  double value_bias_scale = 1.0;            // the length of a fixed value
  SinkLogit sink_logit = SinkLogit::kNone;
  bool sink_token = false;  // a learned token before every sequence
  AttentionGate attention_gate = AttentionGate::kNone;
  bool qk_norm = false;       // RMSNorm of queries and keys, per head, before RoPE
  int64_t prefix_length = 0;  // keys 1..p are visible to every query
  int64_t window = 0;         // query i sees keys i-w+1..i; 0: all

  bool operator==(const VariantConfig&) const = default;
};

// Field names of the model follow Hugging Face's LLaMA config.json.
struct ModelConfig {
  int64_t hidden_size = 768;
  int64_t intermediate_size = 1536;
  int64_t num_hidden_layers = 10;
  int64_t num_attention_heads = 8;
  int64_t num_key_value_heads = 0;  // 0: as many as attention heads
  int64_t vocab_size = 50432;
  int64_t max_position_embeddings = 2048;
  double rms_norm_eps = 1e-5;
  double rope_theta = 1e4;
  VariantConfig variant;

  int64_t key_value_heads() const { return num_key_value_heads == 0 ? num_attention_heads : num_key_value_heads; }
  int64_t head_dim() const { return hidden_size / num_attention_heads; }
};

struct TrainConfig {
  double learning_rate = 4e-4;
  std::optional<double> min_learning_rate;  // absent: constant after warm-up; else cosine down to it
  int64_t warmup_steps = 100;               // optimizer steps
  int64_t max_steps = 20000;                // optimizer steps
  int64_t global_batch_size = 512;          // sequences per optimizer step, over all ranks
  int64_t micro_batch_size = 8;             // sequences per forward pass of one rank; 0: auto, the most that fit
  int64_t sequence_length = 2048;
  double weight_decay = 0.1;  // decoupled, on every parameter
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double max_gradient_norm = 1.0;  // 0: no clipping
  int64_t seed = 42;
  Precision precision = Precision::kAuto;
  int64_t threads = 1;      // CPU threads of one rank; part of the result's identity
  int64_t log_every = 10;   // steps between train_loss points
  int64_t ignore_loss = 0;  // the loss leaves out the first n targets of every sequence
  OptimizerKind optimizer = OptimizerKind::kAdamw;
  double muon_learning_rate = 0.02;  // at the peak of the schedule
  double muon_momentum = 0.95;
  DivergencePolicy on_divergence = DivergencePolicy::kStop;
  double loss_spike_factor = 0;  // a step's loss above this many times the running mean diverges; 0: off
  int64_t max_roll_backs = 3;    // a job that has gone back so often stops
  bool shard_optimizer = false;  // each of several ranks holds a part of the optimizer's state (ZeRO stage 1)
};

struct DataConfig {
  std::string set = "regmix";        // folder of LITPKDS files under the worker's data root
  double fraction = 1.0;             // the share of the training files that is read
  int64_t fixed_token_position = 0;  // 1-based; 0: off
  int64_t fixed_token_id = 1;
  int64_t random_tokens_start = 0;  // [start, end), 0-based positions, uniform over the vocabulary; equal: off
  int64_t random_tokens_end = 0;
  std::vector<std::string> domains;  // to mix in training, each once; empty: the files as they come
  std::vector<double> weights;       // one a domain; only their ratios count
};

struct EvalConfig {
  int64_t every = 500;      // steps between sink measurements; also at step 0 and at the end
  int64_t sequences = 100;  // held-out probes
  int64_t tokens = 64;      // T of the sink metric
  std::vector<double> epsilon = {0.3};
  int64_t positions = 10;             // positions 1..n
  int64_t validation_sequences = 64;  // for validation_loss, train.sequence_length tokens each
  std::vector<std::string> metrics;   // more to measure: names of EvalMetrics()
};

struct CheckpointConfig {
  int64_t every = 1000;     // steps; also at the end
  int64_t keep = 2;         // newest complete ones kept, on the worker's disk and the coordinator's
  int64_t keep_period = 0;  // the coordinator also keeps those of its multiples, in steps; 0: none
  bool keep_best = false;   // and, of those that it has, the one with the lowest validation loss
};

// What kind evaluate measures, with the sizes of EvalConfig.
struct EvaluateConfig {
  std::string model;  // "owner/name" or "name": a Hugging Face folder under the worker's model root
  InputKind inputs = InputKind::kNatural;  // ids without meaning are drawn with train.seed
  std::string texts = "texts.jsonl";       // JSON lines under the worker's data root, for natural inputs
};

struct JobConfig {
  JobKind kind = JobKind::kTrain;
  ModelConfig model;
  TrainConfig train;
  DataConfig data;
  EvalConfig eval;
  CheckpointConfig checkpoint;
  EvaluateConfig evaluate;
};

// What eval.metrics may list, in the order of the table in model/eval/README.md, which defines them.
const std::vector<std::string>& EvalMetrics();

enum class FieldType { kInteger, kNumber, kOptionalNumber, kBoolean, kString, kNumberList, kNameList };

// One settable field, as a sweep file or `--set` names it.
struct FieldInfo {
  std::string path;  // "train.learning_rate"
  FieldType type;
  double min = 0, max = 0;           // inclusive bounds of numbers
  std::vector<std::string> choices;  // what strings and lists of names may be; empty: any [A-Za-z0-9._-]{1,64}.
                                     // Of whole numbers: the words that may stand for one
};

// Every field, in printing order.
const std::vector<FieldInfo>& JobConfigFields();

struct JobConfigResult {
  std::optional<JobConfig> config;
  std::string path;   // the offending field, when there is no config
  std::string error;  // one sentence with the fix
};

// Strict: unknown fields, wrong types, values out of bounds and impossible combinations are errors. Absent fields take
// the defaults above. Never throws; input over 64 KiB is refused.
JobConfigResult ParseJobConfig(std::string_view json);

// Canonical JSON: keys sorted, numbers in shortest round-trip form, no white space. Fields of the first release are all
// there; those that came later only where they differ from their default, so that a new field renames no job. Equal
// configurations give equal bytes; a job's id is XXH3-128 of it, as 32 hex digits.
std::string PrintJobConfig(const JobConfig& config);
std::string JobId(const JobConfig& config);
std::string JobIdOfPrinted(const std::string& printed);  // by whom PrintJobConfig was called already
// The same with every field, later ones at their default, too.
std::string PrintEveryField(const JobConfig& config);

// Checks that no single field can make: head counts that divide, sequence_length against the context, batch sizes that
// divide, variants that exclude each other. Returns (path, error), both empty when the configuration is possible.
std::pair<std::string, std::string> CheckModelConfig(const ModelConfig& config);
std::pair<std::string, std::string> CheckJobConfig(const JobConfig& config);

// The model part alone, as Hugging Face's config.json of a LlamaForCausalLM (model_type "llama"); where the variant is
// not LLaMA's, model_type "sink" with a "variant" object of what differs.
std::string PrintHuggingFaceConfig(const ModelConfig& config);
struct ModelConfigResult {
  std::optional<ModelConfig> config;
  std::string error;
};
// Reads such a config.json. Fields it does not need are ignored; what would change the forward pass (another model
// type, biases, tied embeddings, scaled RoPE, a head_dim of its own, an unknown field of "variant") is refused by name.
ModelConfigResult ParseHuggingFaceConfig(std::string_view json);

}  // namespace sink
