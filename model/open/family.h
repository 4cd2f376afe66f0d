// What tells one family of open-weight models from another, as tables: names of tensors, kinds of norms and
// activations, how positions enter, how a layer is wired. One file a group of families fills tables in and reads their
// config.json; everything else (weight_files.h, layer.h, open_model.h) works from the table alone. Plain values and
// pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/bias_activation.h"
#include "model/open/rope.h"

namespace sink {

class ConfigReader;

enum class NormKind {
  kLayerNorm,  // (x - mean) / sqrt(var + eps) * weight + bias   (Ba et al. 1607.06450)
  kRmsNorm,    // x / sqrt(mean(x^2) + eps) * weight             (Zhang and Sennrich 1910.07467)
};

enum class QkvLayout {
  kSeparate,     // three matrices
  kMerged,       // one, rows q of all heads, then k, then v
  kInterleaved,  // one, rows of the first key/value head: q of the heads that read it, k, v; then of the second, ...
};

enum class Wiring {
  kPreNorm,   // x += attention(norm1 x); x += ffn(norm2 x)
  kPostNorm,  // x = norm1(x + attention(x)); x = norm2(x + ffn(x))
  kParallel,  // x += attention(norm1 x) + ffn(norm2 x); without a norm2 norm1
};

// What queries and keys are normed over before RoPE turns them, in the family's kind of norm and without a bias.
enum class QueryKeyNorm {
  kNone,
  kHead,      // each head by itself, one weight for all of them
  kEachHead,  // each head by itself, with a weight of its own: [H, D], or a module "norms.N" a head
  kWhole,     // all heads together
};

using OpenActivation = kernels::BiasActivation;

// How a mixture of experts lies in the files and what it computes. The k experts of the largest router logits; their
// weights are a softmax over those k.
enum class ExpertKind {
  kNone,
  kSeparate,  // three matrices w1 (gate), w3 (up), w2 (down) an expert (Jiang et al. 2401.04088)
  kMerged,    // of all experts in one tensor, stored [in, out], gate and up rows in turns, with biases;
              // (up + 1) * gate * sigmoid(1.702 gate), gate at most 7, up from -7 to 7 (gpt-oss)
};

struct OpenConfig;

// Names are those of modules: ".weight", and ".bias" where there is one, follow. "" where the family has no such
// module.
struct Family {
  std::string model_type;             // of config.json
  std::vector<std::string> prefixes;  // of every name but the head's: one of these, the first that fits
  std::string embedding, embedding_norm, positions, project_in, project_out, final_norm;
  std::string head;                                       // without prefix
  std::string layers;                                     // then "N.", then:
  std::string input_norm, feed_forward_norm;              // of what a block reads
  std::string attention_out_norm, feed_forward_out_norm;  // of what it adds
  std::string query_norm, key_norm;
  std::vector<std::string> qkv;  // three, or one that is merged
  std::string output, gate, up, down;
  std::string gate_up;                 // gate and up in one, rows gate, then up
  std::string router, experts, sinks;  // sinks: the whole name of a tensor
  NormKind norm = NormKind::kLayerNorm;
  bool norm_bias = true;       // of a LayerNorm
  bool norm_from_one = false;  // files hold weight - 1
  QkvLayout qkv_layout = QkvLayout::kSeparate;
  bool bias = false;                 // of the linear maps of layers, unless config.json says otherwise
  bool transposed = false;           // these are stored [in, out] (GPT-2's Conv1D), not [out, in]
  int64_t position_offset = 0;       // row of `positions` of the first token
  std::vector<std::string> buffers;  // ends of names that older files have and nobody needs
  // Fills in what config.json says; ModelError for what it asks of a model that this code cannot give.
  OpenConfig (*read)(const ConfigReader& config) = nullptr;
};

// What differs between the layers of a model.
struct LayerKind {
  int64_t window = 0;      // query i sees keys i-w+1 .. i; 0: all before it
  int rope = 0;            // index of OpenConfig::ropes; -1: no RoPE here
  double query_scale = 1;  // of the scores, beside OpenConfig::score_scale
};

// One model, whatever its family. Sizes are positive and consistent.
struct OpenConfig {
  const Family* family = nullptr;
  int64_t layers = 0, hidden_size = 0, heads = 0, key_value_heads = 0, head_dim = 0, intermediate_size = 0;
  int64_t vocab_size = 0;
  int64_t max_positions = 0;   // rows of a table of positions; 0: sequences may be of any length
  int64_t embedding_size = 0;  // width of the embedding table; other than hidden_size it is projected
  double norm_epsilon = 1e-5;
  Wiring wiring = Wiring::kPreNorm;
  OpenActivation activation = OpenActivation::kSilu;
  bool final_norm = true;
  bool tied = false;  // the head is the embedding table, unless the files have another head
  std::vector<RopeConfig> ropes;
  bool alibi = false;            // AlibiBias of position.h
  std::vector<LayerKind> kinds;  // of each layer
  QueryKeyNorm query_key_norm = QueryKeyNorm::kNone;
  std::optional<bool> qkv_bias, output_bias, feed_forward_bias;  // else the family's
  bool head_bias = false;
  double embedding_scale = 1;  // of rows of the table
  double residual_scale = 1;   // of what blocks add
  double score_scale = 0;      // of q . k; 0: 1 / sqrt(D)
  double score_cap = 0;        // scores s become c tanh(s / c); 0: they stay
  double logit_scale = 1, logit_cap = 0;
  ExpertKind expert_kind = ExpertKind::kNone;
  int64_t experts = 0, experts_per_token = 0;
  bool experts_in_mxfp4 = false;  // their matrices, which are then stored [out, in] (kMerged; mxfp4.h)

  bool projected() const { return embedding_size != hidden_size; }
};

// The family whose model_type this is; null for others.
const Family* FindFamily(const std::string& model_type);
std::vector<std::string> FamilyNames();  // of all model_types, in the order of the alphabet

// The tables, a function a file (or a group of families that are read alike).
std::vector<const Family*> Gpt2Families();     // gpt2.cc
std::vector<const Family*> GptNeoxFamilies();  // gpt_neox.cc
std::vector<const Family*> LlamaFamilies();    // llama.cc
std::vector<const Family*> GemmaFamilies();    // gemma.cc
std::vector<const Family*> CohereFamilies();   // cohere.cc
std::vector<const Family*> FalconFamilies();   // falcon.cc
std::vector<const Family*> GptOssFamilies();   // gpt_oss.cc
std::vector<const Family*> OptFamilies();      // opt.cc

}  // namespace sink
