#include "model/open/layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <numbers>

#include "model/network/operations.h"
#include "model/open/rows.h"

namespace sink {
namespace {

std::string LayerPrefix(const OpenConfig& config, const std::string& prefix, int64_t layer) {
  return prefix + config.family->layers + std::to_string(layer) + ".";
}

Affine LoadLinear(const WeightFiles& files, const OpenConfig& config, const std::string& module) {
  Affine map{.weight = files.Read(module + ".weight"), .bias = {}};
  if (config.family->transposed) map.weight = map.weight.t();
  if (config.family->bias) map.bias = files.Read(module + ".bias");
  return map;
}

// Rows (or elements of a bias) of the first head's q, k, v, then of the second's, brought to q of all heads, k, v.
at::Tensor Deinterleave(const WeightFiles& files, const std::string& name, int64_t heads) {
  const at::Tensor x = files.Load(name).unflatten(0, {heads, 3, -1}).transpose(0, 1);
  const at::Tensor parts = files.Buffer(x.sizes()).copy_(x);
  files.Release();
  return parts.flatten(0, 2);
}

// One after another into one tensor, so that no more than one of them exists twice.
at::Tensor Join(const WeightFiles& files, const std::vector<std::string>& names, int64_t rows) {
  at::Tensor joined;
  int64_t first = 0;
  for (const std::string& name : names) {
    const at::Tensor part = files.Load(name);
    if (!joined.defined()) {
      std::vector<int64_t> shape = part.sizes().vec();
      shape[0] = rows;
      joined = files.Buffer(shape);
    }
    joined.narrow(0, first, part.size(0)).copy_(part);
    first += part.size(0);
    files.Release();
  }
  return joined;
}

Affine LoadQkv(const WeightFiles& files, const OpenConfig& config, const std::string& at_layer) {
  const Family& family = *config.family;
  if (family.qkv_layout == QkvLayout::kSeparate) {
    const int64_t rows = (config.heads + 2 * config.key_value_heads) * config.head_dim;
    std::vector<std::string> weights, biases;
    for (const std::string& module : family.qkv) {
      weights.push_back(at_layer + module + ".weight");
      biases.push_back(at_layer + module + ".bias");
    }
    return {Join(files, weights, rows), family.bias ? Join(files, biases, rows) : at::Tensor()};
  }
  const std::string module = at_layer + family.qkv[0];
  if (family.qkv_layout == QkvLayout::kMerged) return LoadLinear(files, config, module);
  return {Deinterleave(files, module + ".weight", config.heads), Deinterleave(files, module + ".bias", config.heads)};
}

// x += y W^T + b: what a block adds to the residual stream, without a tensor of its own.
void AddLinear(const Affine& map, const at::Tensor& y_NC, const at::Tensor& x_NC) {
  if (map.bias.defined()) x_NC.add_(map.bias);
  x_NC.addmm_(y_NC, map.weight.t());
}

// What the heads put out, [N, H * D].
at::Tensor Attend(const OpenConfig& config, const OpenLayer& layer, const at::Tensor& rope_table,
                  const at::Tensor& x_NC, int64_t batch, int64_t length, const SeeAttention& see) {
  const AttentionShape shape{batch, length, config.heads, config.key_value_heads, config.head_dim};
  const AttentionRule rule{.window = config.window};
  const AttentionTerms terms;
  const at::Tensor qkv_NW = ApplyLinear(layer.qkv, x_NC);
  if (rope_table.defined())
    RotateRows(qkv_NW, rope_table, length, config.heads + config.key_value_heads, config.head_dim);
  const at::Tensor out = Attention(qkv_NW, shape, rule, terms);
  if (see) {
    const QueryKeyValue x = Split(qkv_NW, shape);
    const at::Tensor out_BHTD = out.view({batch, length, shape.heads, shape.head_dim}).transpose(1, 2);
    see({x.query, x.key, x.value, out_BHTD, {}, rule, terms});
  }
  return out;
}

// What the feed-forward block's last map reads, [N, F].
at::Tensor Inner(const OpenConfig& config, const OpenLayer& layer, const at::Tensor& x_NC) {
  const bool gated = layer.gate.weight.defined();
  const Affine& map = gated ? layer.gate : layer.up;
  const at::Tensor inner = at::mm(x_NC, map.weight.t());
  ActivateRows(config.activation, map.bias, inner);
  return gated ? inner.mul_(ApplyLinear(layer.up, x_NC)) : inner;
}

}  // namespace

std::vector<ExpectedTensor> ExpectedOfLayer(const OpenConfig& config, const std::string& prefix, int64_t layer) {
  const Family& family = *config.family;
  const std::string at_layer = LayerPrefix(config, prefix, layer);
  const int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const int64_t query = config.heads * config.head_dim, key = config.key_value_heads * config.head_dim;
  std::vector<ExpectedTensor> tensors;
  const auto norm = [&](const std::string& module) {
    tensors.push_back({at_layer + module + ".weight", {hidden}});
    if (family.norm == NormKind::kLayerNorm) tensors.push_back({at_layer + module + ".bias", {hidden}});
  };
  const auto linear = [&](const std::string& module, int64_t out, int64_t in) {
    if (module.empty()) return;
    tensors.push_back({at_layer + module + ".weight",
                       family.transposed ? std::vector<int64_t>{in, out} : std::vector<int64_t>{out, in}});
    if (family.bias) tensors.push_back({at_layer + module + ".bias", {out}});
  };
  norm(family.input_norm);
  norm(family.feed_forward_norm);
  const bool separate = family.qkv_layout == QkvLayout::kSeparate;
  for (size_t i = 0; i < family.qkv.size(); ++i)
    linear(family.qkv[i], !separate ? query + 2 * key : i == 0 ? query : key, hidden);
  linear(family.output, hidden, query);
  linear(family.gate, inner, hidden);
  linear(family.up, inner, hidden);
  linear(family.down, hidden, inner);
  return tensors;
}

OpenLayer LoadLayer(const WeightFiles& files, const OpenConfig& config, const std::string& prefix, int64_t layer) {
  const Family& family = *config.family;
  const std::string at_layer = LayerPrefix(config, prefix, layer);
  const auto linear = [&](const std::string& module) {
    return module.empty() ? Affine() : LoadLinear(files, config, at_layer + module);
  };
  return {.input_norm = LoadNorm(files, config, at_layer + family.input_norm),
          .feed_forward_norm = LoadNorm(files, config, at_layer + family.feed_forward_norm),
          .qkv = LoadQkv(files, config, at_layer),
          .output = linear(family.output),
          .gate = linear(family.gate),
          .up = linear(family.up),
          .down = linear(family.down)};
}

Affine LoadNorm(const WeightFiles& files, const OpenConfig& config, const std::string& module) {
  Affine norm{.weight = files.Read(module + ".weight"), .bias = {}};
  if (config.family->norm == NormKind::kLayerNorm) norm.bias = files.Read(module + ".bias");
  return norm;
}

// LLaMA 3.1: with wavelength w = 2 pi / f and P original positions, f stays where w < P / high, is divided by `factor`
// where w > P / low, and between them is (1 - s) f / factor + s f, s = (P / w - low) / (high - low).
at::Tensor OpenRopeTable(const RopeConfig& rope, int64_t length) {
  if (rope.dims == 0) return {};
  std::vector<double> frequencies;
  for (int64_t i = 0; i < rope.dims / 2; ++i) {
    double f = std::pow(rope.theta, -2.0 * static_cast<double>(i) / static_cast<double>(rope.dims));
    if (rope.scaling) {
      const RopeScaling& scaling = *rope.scaling;
      const double turns = static_cast<double>(scaling.original_positions) * f / (2 * std::numbers::pi);  // P / w
      const double low = scaling.low_frequency_factor, high = scaling.high_frequency_factor;
      const double s = turns > high ? 1 : turns < low ? 0 : (turns - low) / (high - low);
      f = (1 - s) * f / scaling.factor + s * f;
    }
    frequencies.push_back(f);
  }
  const at::Tensor angle =
      at::outer(at::arange(length, at::kDouble), at::tensor(at::ArrayRef<double>(frequencies), at::kDouble));
  return at::cat({angle.cos(), angle.sin()}, 1).to(at::kFloat);
}

at::Tensor ApplyNorm(const OpenConfig& config, const Affine& norm, const at::Tensor& x_NC) {
  if (!norm.weight.defined()) return x_NC;
  if (config.family->norm == NormKind::kRmsNorm)
    return RmsNorm(x_NC, {.compute = norm.weight, .gradient = {}}, config.norm_epsilon);
  return at::layer_norm(x_NC, {x_NC.size(1)}, norm.weight, norm.bias, config.norm_epsilon);
}

at::Tensor ApplyLinear(const Affine& map, const at::Tensor& x_NC) {
  return map.weight.defined() ? at::linear(x_NC, map.weight, map.bias) : x_NC;
}

void RunLayer(const OpenConfig& config, const OpenLayer& layer, const at::Tensor& rope_table, const at::Tensor& x_NC,
              int64_t batch, int64_t length, const SeeAttention& see) {
  const auto attend = [&](const at::Tensor& x) { return Attend(config, layer, rope_table, x, batch, length, see); };
  const auto normed = [&](const Affine& norm) { return ApplyNorm(config, norm, x_NC); };
  switch (config.wiring) {
    case Wiring::kPreNorm:
      AddLinear(layer.output, attend(normed(layer.input_norm)), x_NC);
      AddLinear(layer.down, Inner(config, layer, normed(layer.feed_forward_norm)), x_NC);
      break;
    case Wiring::kPostNorm:
      AddLinear(layer.output, attend(x_NC), x_NC);
      x_NC.copy_(normed(layer.input_norm));
      AddLinear(layer.down, Inner(config, layer, x_NC), x_NC);
      x_NC.copy_(normed(layer.feed_forward_norm));
      break;
    case Wiring::kParallel: {
      const at::Tensor out = attend(normed(layer.input_norm)), other = normed(layer.feed_forward_norm);
      AddLinear(layer.output, out, x_NC);
      AddLinear(layer.down, Inner(config, layer, other), x_NC);
      break;
    }
  }
}

}  // namespace sink
