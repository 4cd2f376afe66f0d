#include "model/open/layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <numbers>

#include "model/ops.h"

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
at::Tensor Deinterleave(const at::Tensor& x, int64_t heads) {
  return x.unflatten(0, {heads, 3, -1}).transpose(0, 1).flatten(0, 2).contiguous();
}

// One after another into one tensor, so that no more than one of them exists twice.
at::Tensor Join(const WeightFiles& files, const std::vector<std::string>& names, int64_t rows) {
  at::Tensor joined;
  int64_t first = 0;
  for (const std::string& name : names) {
    const at::Tensor part = files.View(name);
    if (!joined.defined()) {
      std::vector<int64_t> shape = part.sizes().vec();
      shape[0] = rows;
      joined = at::empty(shape, at::TensorOptions().dtype(at::kFloat));
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
  Affine map = LoadLinear(files, config, at_layer + family.qkv[0]);
  if (family.qkv_layout == QkvLayout::kInterleaved)
    map = {Deinterleave(map.weight, config.heads), Deinterleave(map.bias, config.heads)};
  return map;
}

void Rotate(const at::Tensor& table_T2R, int64_t dims, const at::Tensor& x_BTHD) {
  const int64_t half = dims / 2;
  const at::Tensor cosine = table_T2R.select(1, 0).unsqueeze(1), sine = table_T2R.select(1, 1).unsqueeze(1);
  const at::Tensor low = x_BTHD.narrow(3, 0, half), high = x_BTHD.narrow(3, half, half);
  const at::Tensor turned = low * cosine - high * sine;
  high.copy_(high * cosine + low * sine);
  low.copy_(turned);
}

at::Tensor SelfAttention(const OpenConfig& config, const OpenLayer& layer, const at::Tensor& rope_table,
                         const at::Tensor& x_NC, int64_t batch, int64_t length, const SeeAttention& see) {
  const AttentionShape shape{batch, length, config.heads, config.key_value_heads, config.head_dim};
  const AttentionRule rule{.window = config.window};
  const AttentionTerms terms;
  const at::Tensor qkv_NW = ApplyLinear(layer.qkv, x_NC);
  if (rope_table.defined()) {
    const int64_t rotated = config.heads + config.key_value_heads;
    Rotate(rope_table, config.rope.dims,
           qkv_NW.narrow(1, 0, rotated * config.head_dim).view({batch, length, rotated, config.head_dim}));
  }
  const at::Tensor out = Attention(qkv_NW, shape, rule, terms);
  if (see) {
    const QueryKeyValue x = Split(qkv_NW, shape);
    const at::Tensor out_BHTD = out.view({batch, length, shape.heads, shape.head_dim}).transpose(1, 2);
    see({x.query, x.key, x.value, out_BHTD, {}, rule, terms});
  }
  return ApplyLinear(layer.output, out);
}

at::Tensor Activate(OpenActivation activation, const at::Tensor& x) {
  switch (activation) {
    case OpenActivation::kSilu:
      return at::silu(x);
    case OpenActivation::kGelu:
      return at::gelu(x);
    case OpenActivation::kGeluTanh:
      return at::gelu(x, "tanh");
    case OpenActivation::kRelu:
      return at::relu(x);
  }
  return {};
}

at::Tensor OpenFeedForward(const OpenConfig& config, const OpenLayer& layer, const at::Tensor& x_NC) {
  const at::Tensor up = ApplyLinear(layer.up, x_NC);
  if (!layer.gate.weight.defined()) return ApplyLinear(layer.down, Activate(config.activation, up));
  return ApplyLinear(layer.down, Activate(config.activation, ApplyLinear(layer.gate, x_NC)).mul_(up));
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
  return at::stack({angle.cos(), angle.sin()}, 1).to(at::kFloat);
}

at::Tensor ApplyNorm(const OpenConfig& config, const Affine& norm, const at::Tensor& x_NC) {
  if (!norm.weight.defined()) return x_NC;
  if (config.family->norm == NormKind::kRmsNorm) return RmsNorm(x_NC, norm.weight, config.norm_epsilon);
  return at::layer_norm(x_NC, {x_NC.size(1)}, norm.weight, norm.bias, config.norm_epsilon);
}

at::Tensor ApplyLinear(const Affine& map, const at::Tensor& x_NC) {
  return map.weight.defined() ? at::linear(x_NC, map.weight, map.bias) : x_NC;
}

at::Tensor RunLayer(const OpenConfig& config, const OpenLayer& layer, const at::Tensor& rope_table,
                    const at::Tensor& x_NC, int64_t batch, int64_t length, const SeeAttention& see) {
  const auto norm = [&](const Affine& weights, const at::Tensor& x) { return ApplyNorm(config, weights, x); };
  const auto attend = [&](const at::Tensor& x) {
    return SelfAttention(config, layer, rope_table, x, batch, length, see);
  };
  switch (config.wiring) {
    case Wiring::kParallel:
      return x_NC + attend(norm(layer.input_norm, x_NC)) +
             OpenFeedForward(config, layer, norm(layer.feed_forward_norm, x_NC));
    case Wiring::kPostNorm: {
      const at::Tensor x = norm(layer.input_norm, x_NC + attend(x_NC));
      return norm(layer.feed_forward_norm, x + OpenFeedForward(config, layer, x));
    }
    case Wiring::kPreNorm:
      break;
  }
  const at::Tensor x = x_NC + attend(norm(layer.input_norm, x_NC));
  return x + OpenFeedForward(config, layer, norm(layer.feed_forward_norm, x));
}

}  // namespace sink
