#include "model/open/layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <utility>

#include "model/backend/product.h"
#include "model/network/operations.h"
#include "model/network/position.h"
#include "model/open/experts.h"
#include "model/open/rows.h"

namespace sink {
namespace {

Affine LoadLinear(const WeightFiles& files, const OpenConfig& config, const std::string& module, bool bias) {
  if (module.empty()) return {};
  Affine map{.weight = files.Read(module + ".weight"), .bias = {}};
  if (config.family->transposed) map.weight = map.weight.t();
  if (bias) map.bias = files.Read(module + ".bias");
  return map;
}

// Rows (or elements of a bias) of the first key/value head's queries, key and value, then of the second's, brought to
// queries of all heads, keys, values.
at::Tensor Deinterleave(const WeightFiles& files, const std::string& name, const OpenConfig& config) {
  const int64_t kv = config.key_value_heads, group = config.heads / kv, dim = config.head_dim;
  const at::Tensor loaded = files.Load(name);
  const at::Tensor x = loaded.unflatten(0, {kv, group + 2, dim});
  const at::Tensor parts = files.Buffer(loaded.sizes());
  parts.narrow(0, 0, config.heads * dim).unflatten(0, {kv, group, dim}).copy_(x.narrow(1, 0, group));
  for (int64_t i = 0; i < 2; ++i)
    parts.narrow(0, (config.heads + i * kv) * dim, kv * dim).unflatten(0, {kv, dim}).copy_(x.select(1, group + i));
  files.Release();
  return parts;
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

// The first values of each head, in which neighbours are a pair for RoPE, brought to the order of RotateRows, in place.
// x is [heads * D, ...].
void SplitPairs(const at::Tensor& x, const OpenConfig& config) {
  if (!x.defined() || config.ropes.empty() || !config.ropes[0].interleaved) return;
  const int64_t dims = config.ropes[0].dims;
  const at::Tensor pairs = x.unflatten(0, {-1, config.head_dim}).narrow(1, 0, dims);
  const at::Tensor even = pairs.slice(1, 0, dims, 2), odd = pairs.slice(1, 1, dims, 2);
  pairs.copy_(at::cat({even, odd}, 1));
}

Affine LoadQkv(const WeightFiles& files, const OpenConfig& config, const std::string& at_layer) {
  const Family& family = *config.family;
  const bool bias = config.qkv_bias.value_or(family.bias);
  const int64_t turned = (config.heads + config.key_value_heads) * config.head_dim;
  Affine qkv;
  if (family.qkv_layout == QkvLayout::kSeparate) {
    const int64_t rows = turned + config.key_value_heads * config.head_dim;
    std::vector<std::string> weights, biases;
    for (const std::string& module : family.qkv) {
      weights.push_back(at_layer + module + ".weight");
      biases.push_back(at_layer + module + ".bias");
    }
    qkv = {Join(files, weights, rows), bias ? Join(files, biases, rows) : at::Tensor()};
  } else if (const std::string module = at_layer + family.qkv[0]; family.qkv_layout == QkvLayout::kMerged) {
    qkv = LoadLinear(files, config, module, bias);
  } else {
    qkv = {Deinterleave(files, module + ".weight", config),
           bias ? Deinterleave(files, module + ".bias", config) : at::Tensor()};
  }
  SplitPairs(qkv.weight.narrow(0, 0, turned), config);
  if (bias) SplitPairs(qkv.bias.narrow(0, 0, turned), config);
  return qkv;
}

// Names of the tensors that hold a norm of queries or of keys, `heads` of them.
std::vector<std::string> NamesOfHeadNorm(const OpenConfig& config, const std::string& module, int64_t heads) {
  if (config.query_key_norm != QueryKeyNorm::kEachHead || !module.ends_with(".norms")) return {module + ".weight"};
  std::vector<std::string> names;
  for (int64_t n = 0; n < heads; ++n) names.push_back(module + "." + std::to_string(n) + ".weight");
  return names;
}

at::Tensor LoadHeadNorm(const WeightFiles& files, const OpenConfig& config, const std::string& module, int64_t heads) {
  const std::vector<std::string> names = NamesOfHeadNorm(config, module, heads);
  at::Tensor weight = names.size() == 1 ? files.Read(names[0]) : Join(files, names, heads * config.head_dim);
  if (config.family->norm_from_one) weight.add_(1);
  if (config.query_key_norm == QueryKeyNorm::kEachHead) weight = weight.reshape({heads, config.head_dim});
  SplitPairs(weight.flatten(), config);
  return weight;
}

// Norms queries or keys, heads first .. first+heads-1 of the merged rows, in place.
void NormHeads(const OpenConfig& config, const at::Tensor& weight, const at::Tensor& qkv_NW, int64_t first,
               int64_t heads) {
  const int64_t dim = config.head_dim;
  const bool whole = config.query_key_norm == QueryKeyNorm::kWhole;
  const at::Tensor rows = qkv_NW.narrow(1, first * dim, heads * dim);
  const at::Tensor x = rows.unflatten(1, {whole ? 1 : heads, whole ? heads * dim : dim});
  if (config.family->norm == NormKind::kLayerNorm) x.sub_(x.mean(-1, /*keepdim=*/true));
  x.mul_((x.square().mean(-1, /*keepdim=*/true) + config.norm_epsilon).rsqrt()).mul_(weight);
}

// x += what a block adds to the residual stream: y W^T + b, normed and scaled where the family does so.
void AddBlock(const OpenConfig& config, const Affine& map, const Affine& norm, const at::Tensor& y_NC,
              const at::Tensor& x_NC) {
  if (norm.weight.defined() || config.residual_scale != 1) {
    x_NC.add_(ApplyNorm(config, norm, ApplyLinear(map, y_NC)), config.residual_scale);
    return;
  }
  if (map.bias.defined()) x_NC.add_(map.bias);
  AddProduct(y_NC, map.weight, x_NC);
}

// What the heads put out, [N, H * D].
at::Tensor Attend(const OpenConfig& config, const OpenLayer& layer, const LayerKind& kind,
                  const PositionTables& positions, const at::Tensor& x_NC, int64_t batch, int64_t length,
                  const SeeAttention& see) {
  const AttentionShape shape{batch, length, config.heads, config.key_value_heads, config.head_dim};
  const AttentionRule rule{.window = kind.window, .soft_cap = config.score_cap};
  const AttentionTerms terms{.offset_bias_HS = positions.alibi_HS, .column_logit_H = layer.sinks_H};
  const at::Tensor qkv_NW = ApplyLinear(layer.qkv, x_NC);
  if (layer.query_norm.defined()) {
    NormHeads(config, layer.query_norm, qkv_NW, 0, config.heads);
    NormHeads(config, layer.key_norm, qkv_NW, config.heads, config.key_value_heads);
  }
  if (kind.rope >= 0 && !positions.ropes.empty())
    RotateRows(qkv_NW, positions.ropes[static_cast<size_t>(kind.rope)], length, config.heads + config.key_value_heads,
               config.head_dim);
  // Attention divides by sqrt(D) itself.
  const double root = std::sqrt(static_cast<double>(config.head_dim));
  const double scale = kind.query_scale * (config.score_scale == 0 ? 1 : config.score_scale * root);
  if (scale != 1) qkv_NW.narrow(1, 0, config.heads * config.head_dim).mul_(scale);
  ObservedAttention observed;
  if (see) observed = ObserveAttention(qkv_NW, shape, rule, terms);
  const at::Tensor out = see ? observed.output_NC : Attention(qkv_NW, shape, rule, terms);
  if (see) {
    const QueryKeyValue x = Split(qkv_NW, shape);
    const at::Tensor out_BHTD = out.view({batch, length, shape.heads, shape.head_dim}).transpose(1, 2);
    see({x.query, x.key, x.value, out_BHTD, {}, rule, terms, observed.key_sums});
  }
  return out;
}

// What the feed-forward block's last map reads, [N, F].
at::Tensor Inner(const OpenConfig& config, const OpenLayer& layer, const at::Tensor& x_NC) {
  const bool gated = layer.gate.weight.defined();
  const Affine& map = gated ? layer.gate : layer.up;
  const at::Tensor inner = Product(x_NC, map.weight);
  ActivateRows(config.activation, map.bias, inner);
  return gated ? inner.mul_(ApplyLinear(layer.up, x_NC)) : inner;
}

at::Tensor TurnTable(const RopeConfig& rope, int64_t length) {
  const std::vector<double> frequencies = RopeFrequencies(rope, length);
  const at::Tensor angle =
      at::outer(at::arange(length, at::kDouble), at::tensor(at::ArrayRef<double>(frequencies), at::kDouble));
  return (at::cat({angle.cos(), angle.sin()}, 1) * rope.attention_factor).to(at::kFloat);
}

}  // namespace

std::string LayerPrefix(const OpenConfig& config, const std::string& prefix, int64_t layer) {
  return prefix + config.family->layers + std::to_string(layer) + ".";
}

std::vector<ExpectedTensor> ExpectedOfLayer(const OpenConfig& config, const std::string& prefix, int64_t layer) {
  const Family& family = *config.family;
  const std::string at_layer = LayerPrefix(config, prefix, layer);
  const int64_t hidden = config.hidden_size, inner = config.intermediate_size, dim = config.head_dim;
  const int64_t query = config.heads * dim, key = config.key_value_heads * dim;
  std::vector<ExpectedTensor> tensors;
  const auto norm = [&](const std::string& module) {
    if (module.empty()) return;
    tensors.push_back({at_layer + module + ".weight", {hidden}});
    if (family.norm == NormKind::kLayerNorm && family.norm_bias)
      tensors.push_back({at_layer + module + ".bias", {hidden}});
  };
  const auto linear = [&](const std::string& module, int64_t out, int64_t in, std::optional<bool> bias) {
    if (module.empty()) return;
    tensors.push_back({at_layer + module + ".weight",
                       family.transposed ? std::vector<int64_t>{in, out} : std::vector<int64_t>{out, in}});
    if (bias.value_or(family.bias)) tensors.push_back({at_layer + module + ".bias", {out}});
  };
  const auto head_norm = [&](const std::string& module, int64_t heads) {
    const std::vector<std::string> names = NamesOfHeadNorm(config, module, heads);
    const bool whole = config.query_key_norm == QueryKeyNorm::kWhole;
    std::vector<int64_t> shape{whole ? heads * dim : dim};
    if (config.query_key_norm == QueryKeyNorm::kEachHead && names.size() == 1) shape = {heads, dim};
    for (const std::string& name : names) tensors.push_back({at_layer + name, shape});
  };
  for (const std::string& module :
       {family.input_norm, family.feed_forward_norm, family.attention_out_norm, family.feed_forward_out_norm})
    norm(module);
  if (config.query_key_norm != QueryKeyNorm::kNone) {
    head_norm(family.query_norm, config.heads);
    head_norm(family.key_norm, config.key_value_heads);
  }
  const bool separate = family.qkv_layout == QkvLayout::kSeparate;
  for (size_t i = 0; i < family.qkv.size(); ++i)
    linear(family.qkv[i], !separate ? query + 2 * key : i == 0 ? query : key, hidden, config.qkv_bias);
  linear(family.output, hidden, query, config.output_bias);
  linear(family.gate, inner, hidden, config.feed_forward_bias);
  linear(family.up, inner, hidden, config.feed_forward_bias);
  linear(family.gate_up, 2 * inner, hidden, config.feed_forward_bias);
  linear(family.down, hidden, inner, config.feed_forward_bias);
  linear(family.router, config.experts, hidden, config.expert_kind == ExpertKind::kMerged);
  if (!family.sinks.empty()) tensors.push_back({at_layer + family.sinks, {config.heads}});
  for (ExpectedTensor& tensor : ExpectedOfExperts(config, at_layer)) tensors.push_back(std::move(tensor));
  return tensors;
}

OpenLayer LoadLayer(const WeightFiles& files, const OpenConfig& config, const std::string& prefix, int64_t layer) {
  const Family& family = *config.family;
  const std::string at_layer = LayerPrefix(config, prefix, layer);
  const auto norm = [&](const std::string& module) {
    return module.empty() ? Affine() : LoadNorm(files, config, at_layer + module);
  };
  const auto linear = [&](const std::string& module, std::optional<bool> bias) {
    return module.empty() ? Affine() : LoadLinear(files, config, at_layer + module, bias.value_or(family.bias));
  };
  OpenLayer loaded{.input_norm = norm(family.input_norm),
                   .feed_forward_norm = norm(family.feed_forward_norm),
                   .attention_out_norm = norm(family.attention_out_norm),
                   .feed_forward_out_norm = norm(family.feed_forward_out_norm),
                   .query_norm = {},
                   .key_norm = {},
                   .qkv = LoadQkv(files, config, at_layer),
                   .output = linear(family.output, config.output_bias),
                   .gate = linear(family.gate, config.feed_forward_bias),
                   .up = linear(family.up, config.feed_forward_bias),
                   .down = linear(family.down, config.feed_forward_bias),
                   .router = linear(family.router, config.expert_kind == ExpertKind::kMerged),
                   .sinks_H = {}};
  if (config.query_key_norm != QueryKeyNorm::kNone) {
    loaded.query_norm = LoadHeadNorm(files, config, at_layer + family.query_norm, config.heads);
    loaded.key_norm = LoadHeadNorm(files, config, at_layer + family.key_norm, config.key_value_heads);
  }
  if (!family.gate_up.empty()) {
    const at::Tensor both = files.Read(at_layer + family.gate_up + ".weight");
    loaded.gate.weight = both.narrow(0, 0, config.intermediate_size);
    loaded.up.weight = both.narrow(0, config.intermediate_size, config.intermediate_size);
  }
  if (!family.sinks.empty()) loaded.sinks_H = files.Read(at_layer + family.sinks);
  return loaded;
}

void SetProductType(at::ScalarType type, OpenLayer* layer) {
  for (Affine* map : {&layer->qkv, &layer->output, &layer->gate, &layer->up, &layer->down})
    if (map->weight.defined()) map->weight = map->weight.to(type);
}

Affine LoadNorm(const WeightFiles& files, const OpenConfig& config, const std::string& module) {
  const Family& family = *config.family;
  Affine norm{.weight = files.Read(module + ".weight"), .bias = {}};
  if (family.norm_from_one) norm.weight.add_(1);
  if (family.norm == NormKind::kLayerNorm && family.norm_bias) norm.bias = files.Read(module + ".bias");
  return norm;
}

PositionTables TablesOf(const OpenConfig& config, int64_t length, at::Device device) {
  PositionTables positions;
  for (const RopeConfig& rope : config.ropes) positions.ropes.push_back(TurnTable(rope, length).to(device));
  if (config.alibi) positions.alibi_HS = AlibiBias(length, config.heads, at::TensorOptions(device).dtype(at::kFloat));
  return positions;
}

at::Tensor ApplyNorm(const OpenConfig& config, const Affine& norm, const at::Tensor& x_NC) {
  if (!norm.weight.defined()) return x_NC;
  if (config.family->norm == NormKind::kRmsNorm)
    return RmsNorm(x_NC, {.compute = norm.weight, .gradient = {}}, config.norm_epsilon);
  return at::layer_norm(x_NC, {x_NC.size(1)}, norm.weight, norm.bias, config.norm_epsilon);
}

at::Tensor ApplyLinear(const Affine& map, const at::Tensor& x_NC) {
  return map.weight.defined() ? Product(x_NC, map.weight, map.bias) : x_NC;
}

void RunLayer(const OpenConfig& config, const OpenLayer& layer, const LayerKind& kind, const PositionTables& positions,
              const at::Tensor& x_NC, int64_t batch, int64_t length, const SeeAttention& see) {
  const auto attend = [&](const at::Tensor& x) {
    return Attend(config, layer, kind, positions, x, batch, length, see);
  };
  const auto normed = [&](const Affine& norm) { return ApplyNorm(config, norm, x_NC); };
  const auto add_attention = [&](const at::Tensor& y) {
    AddBlock(config, layer.output, layer.attention_out_norm, y, x_NC);
  };
  const auto add_feed_forward = [&](const at::Tensor& y) {
    AddBlock(config, layer.down, layer.feed_forward_out_norm, y, x_NC);
  };
  switch (config.wiring) {
    case Wiring::kPreNorm:
      add_attention(attend(normed(layer.input_norm)));
      if (config.expert_kind == ExpertKind::kNone)
        add_feed_forward(Inner(config, layer, normed(layer.feed_forward_norm)));
      break;
    case Wiring::kPostNorm:
      add_attention(attend(x_NC));
      x_NC.copy_(normed(layer.input_norm));
      add_feed_forward(Inner(config, layer, x_NC));
      x_NC.copy_(normed(layer.feed_forward_norm));
      break;
    case Wiring::kParallel: {
      const at::Tensor first = normed(layer.input_norm);
      const bool shared = !layer.feed_forward_norm.weight.defined();
      const at::Tensor inner = Inner(config, layer, shared ? first : normed(layer.feed_forward_norm));
      add_attention(attend(first));
      add_feed_forward(inner);
      break;
    }
  }
}

}  // namespace sink
