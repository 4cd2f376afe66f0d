// What tells one family of open-weight models from another, as tables: names of tensors, kinds of norms and
// activations, how positions enter, how a layer is wired. One file a family fills a table in and reads its config.json;
// everything else (weight_files.h, layer.h, open_model.h) works from the table alone. Plain values and pure functions;
// any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/bias_activation.h"

namespace sink {

class ConfigReader;

enum class NormKind {
  kLayerNorm,  // (x - mean) / sqrt(var + eps) * weight + bias   (Ba et al. 1607.06450)
  kRmsNorm,    // x / sqrt(mean(x^2) + eps) * weight             (Zhang and Sennrich 1910.07467)
};

enum class QkvLayout {
  kSeparate,     // three matrices
  kMerged,       // one, rows q of all heads, then k, then v
  kInterleaved,  // one, rows q, k, v of the first head, then of the second, ...
};

enum class Wiring {
  kPreNorm,   // x += attention(norm1 x); x += ffn(norm2 x)
  kPostNorm,  // x = norm1(x + attention(x)); x = norm2(x + ffn(x))
  kParallel,  // x += attention(norm1 x) + ffn(norm2 x)
};

using OpenActivation = kernels::BiasActivation;

struct OpenConfig;

// Names are those of modules: ".weight", and ".bias" where there is one, follow. "" where the family has no such
// module.
struct Family {
  std::string model_type;             // of config.json
  std::vector<std::string> prefixes;  // of every name but the head's: one of these, the first that fits
  std::string embedding, positions, project_in, project_out, final_norm;
  std::string head;    // without prefix
  std::string layers;  // then "N.", then:
  std::string input_norm, feed_forward_norm;
  std::vector<std::string> qkv;  // three, or one that is merged
  std::string output, gate, up, down;
  NormKind norm = NormKind::kLayerNorm;
  QkvLayout qkv_layout = QkvLayout::kSeparate;
  bool bias = false;                 // of the linear maps of layers
  bool transposed = false;           // these are stored [in, out] (GPT-2's Conv1D), not [out, in]
  int64_t position_offset = 0;       // row of `positions` of the first token
  std::vector<std::string> buffers;  // ends of names that older files have and nobody needs
  // Fills in what config.json says; ModelError for what it asks of a model that this code cannot give.
  OpenConfig (*read)(const ConfigReader& config) = nullptr;
};

// LLaMA 3.1's frequencies (layer.cc has the formula).
struct RopeScaling {
  double factor = 8, low_frequency_factor = 1, high_frequency_factor = 4;
  int64_t original_positions = 8192;
};

struct RopeConfig {
  int64_t dims = 0;  // the first of a head that are rotated; 0: no RoPE
  double theta = 1e4;
  std::optional<RopeScaling> scaling;
};

// One model, whatever its family. Sizes are positive and consistent.
struct OpenConfig {
  const Family* family = nullptr;
  int64_t layers = 0, hidden_size = 0, heads = 0, key_value_heads = 0, head_dim = 0, intermediate_size = 0;
  int64_t vocab_size = 0, max_positions = 0;
  int64_t embedding_size = 0;  // width of the embedding table; other than hidden_size it is projected
  double norm_epsilon = 1e-5;
  Wiring wiring = Wiring::kPreNorm;
  OpenActivation activation = OpenActivation::kSilu;
  bool final_norm = true;
  bool tied = false;  // the head is the embedding table
  RopeConfig rope;
  int64_t window = 0;  // query i sees keys i-w+1 .. i; 0: all before it

  bool projected() const { return embedding_size != hidden_size; }
};

const Family& Gpt2Family();
const Family& GptNeoxFamily();
const Family& LlamaFamily();
const Family& MistralFamily();
const Family& OptFamily();

// The family whose model_type this is; null for others.
const Family* FindFamily(const std::string& model_type);

}  // namespace sink
