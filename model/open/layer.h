// One layer of an open model: which tensors it has, how they are read, and what it computes. Activations are float,
// whatever the type of products (product.h), [N, C] with N = B * T rows, sequence by sequence, on the device of the
// files. Pure functions but for the files; they use ATen's threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/network/attention_layer.h"
#include "model/open/family.h"
#include "model/open/weight_files.h"

namespace sink {

// y = x W^T + b, or a norm. A tensor that a family lacks is undefined, and an undefined weight maps x to itself.
struct Affine {
  at::Tensor weight;  // [out, in], whatever the file has; [C] of a norm
  at::Tensor bias;    // [out]
};

struct OpenLayer {
  Affine input_norm, feed_forward_norm, attention_out_norm, feed_forward_out_norm;
  at::Tensor query_norm, key_norm;  // [D], [H, D] or [H * D], as QueryKeyNorm says
  Affine qkv;                       // rows as AttentionShape merges them: queries of all heads, keys, values
  Affine output, gate, up, down, router;
  at::Tensor sinks_H;
};

// What all layers of a pass share.
struct PositionTables {
  std::vector<at::Tensor> ropes;  // of OpenConfig::ropes: cosines, then sines, [T, R] for R rotated dimensions
  at::Tensor alibi_HS;            // as AttentionTerms::offset_bias_HS
};

// A tensor that the files must hold.
struct ExpectedTensor {
  std::string name;
  std::vector<int64_t> shape;
  TensorKind kind = TensorKind::kNumbers;
};

// "<prefix>layers.N."
std::string LayerPrefix(const OpenConfig& config, const std::string& prefix, int64_t layer);

// Of one layer, names with their prefix.
std::vector<ExpectedTensor> ExpectedOfLayer(const OpenConfig& config, const std::string& prefix, int64_t layer);

// In float, of tensors that were checked to be there with their shapes; all but the experts.
OpenLayer LoadLayer(const WeightFiles& files, const OpenConfig& config, const std::string& prefix, int64_t layer);

// Brings the matrices that activations are multiplied with to this type; a router stays in float, as it decides.
void SetProductType(at::ScalarType type, OpenLayer* layer);

// A module of this name, with the bias that its kind has.
Affine LoadNorm(const WeightFiles& files, const OpenConfig& config, const std::string& module);

// For sequences of this length.
PositionTables TablesOf(const OpenConfig& config, int64_t length, at::Device device);

// Normalises rows; x itself without a weight.
at::Tensor ApplyNorm(const OpenConfig& config, const Affine& norm, const at::Tensor& x_NC);
at::Tensor ApplyLinear(const Affine& map, const at::Tensor& x_NC);

// Takes the residual stream x [N, C] through the layer, in place; of a layer of experts through its attention alone.
// `see` is shown the attention.
void RunLayer(const OpenConfig& config, const OpenLayer& layer, const LayerKind& kind, const PositionTables& positions,
              const at::Tensor& x_NC, int64_t batch, int64_t length, const SeeAttention& see);

}  // namespace sink
