// The transformer's forward pass and layout of parameters. Its backward pass is autograd over the operations of ops.h.
#include "model/transformer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <cmath>
#include <cstddef>
#include <string>

#include "model/attention.h"
#include "model/error.h"
#include "model/ops.h"

namespace sink {
namespace {

std::string LayerName(int64_t layer, const std::string& part) {
  return "model.layers." + std::to_string(layer) + "." + part + ".weight";
}

// Names and shapes of LlamaForCausalLM, with the study's deviations: N(0, 2 / (5 fan_in)) for embeddings and linears,
// 1 / sqrt(fan_in) / layers for down_proj, ones for norms. q, k, v and gate, up stand together so that each group is
// one matrix.
std::vector<ParameterBuffer::Entry> Layout(const ModelConfig& c) {
  if (c.num_attention_heads < 1 || c.hidden_size % c.num_attention_heads != 0 || c.head_dim() % 2 != 0 ||
      c.num_attention_heads % c.key_value_heads() != 0)
    throw ModelError("the hidden size must divide into heads of an even size, and the heads into key/value heads");
  const int64_t hidden = c.hidden_size, inner = c.intermediate_size;
  const int64_t query = c.num_attention_heads * c.head_dim(), key = c.key_value_heads() * c.head_dim();
  std::vector<ParameterBuffer::Entry> layout;
  const auto linear = [&](std::string name, int64_t out, int64_t in) {
    layout.push_back({std::move(name), {out, in}, std::sqrt(0.4 / static_cast<double>(in))});
  };
  const auto norm = [&](std::string name) { layout.push_back({std::move(name), {hidden}, 0}); };
  linear("model.embed_tokens.weight", c.vocab_size, hidden);
  for (int64_t n = 0; n < c.num_hidden_layers; ++n) {
    norm(LayerName(n, "input_layernorm"));
    linear(LayerName(n, "self_attn.q_proj"), query, hidden);
    linear(LayerName(n, "self_attn.k_proj"), key, hidden);
    linear(LayerName(n, "self_attn.v_proj"), key, hidden);
    linear(LayerName(n, "self_attn.o_proj"), hidden, query);
    norm(LayerName(n, "post_attention_layernorm"));
    linear(LayerName(n, "mlp.gate_proj"), inner, hidden);
    linear(LayerName(n, "mlp.up_proj"), inner, hidden);
    linear(LayerName(n, "mlp.down_proj"), hidden, inner);
    layout.back().deviation = 1 / std::sqrt(static_cast<double>(inner)) / static_cast<double>(c.num_hidden_layers);
  }
  norm("model.norm.weight");
  linear("lm_head.weight", c.vocab_size, hidden);
  return layout;
}

}  // namespace

Transformer::Transformer(const ModelConfig& config, at::Device device, at::ScalarType dtype)
    : config_(config), parameters_(Layout(config), device, dtype) {
  embedding_ = parameters_.Leaf("model.embed_tokens.weight");
  for (int64_t n = 0; n < config.num_hidden_layers; ++n)
    layers_.push_back({.input_norm = parameters_.Leaf(LayerName(n, "input_layernorm")),
                       .qkv = parameters_.Leaf(LayerName(n, "self_attn.q_proj"), 3),
                       .attention_output = parameters_.Leaf(LayerName(n, "self_attn.o_proj")),
                       .feed_forward_norm = parameters_.Leaf(LayerName(n, "post_attention_layernorm")),
                       .gate_up = parameters_.Leaf(LayerName(n, "mlp.gate_proj"), 2),
                       .down = parameters_.Leaf(LayerName(n, "mlp.down_proj"))});
  final_norm_ = parameters_.Leaf("model.norm.weight");
  head_ = parameters_.Leaf("lm_head.weight");
  rope_ = RopeTable(config.max_position_embeddings, config.head_dim(), config.rope_theta, values().options());
}

void Transformer::Initialize(uint64_t seed) { parameters_.Initialize(seed); }

void Transformer::ZeroGradients() { gradients().zero_(); }

void Transformer::CheckTokens(const at::Tensor& tokens_BT) const {
  if (tokens_BT.dim() != 2 || tokens_BT.numel() == 0 || tokens_BT.scalar_type() != at::kLong)
    throw ModelError("tokens must be a matrix of 64-bit integers, a sequence a row");
  if (tokens_BT.size(1) > config_.max_position_embeddings)
    throw ModelError("sequences of " + std::to_string(tokens_BT.size(1)) + " tokens, but the model has " +
                     std::to_string(config_.max_position_embeddings) + " positions");
  if (tokens_BT.min().item<int64_t>() < 0 || tokens_BT.max().item<int64_t>() >= config_.vocab_size)
    throw ModelError("a token id is outside the vocabulary of " + std::to_string(config_.vocab_size));
}

at::Tensor Transformer::Attention(int64_t layer, const at::Tensor& x_NC, int64_t batch, int64_t length,
                                  Observer* observer) {
  const AttentionShape shape{batch, length, config_.num_attention_heads, config_.key_value_heads(), config_.head_dim()};
  const Layer& weights = layers_[static_cast<size_t>(layer)];
  const at::Tensor qkv = Rope(Linear(x_NC, weights.qkv), rope_, length, shape.heads + shape.key_value_heads);
  if (observer) {
    const QueryKeyValue views = Split(qkv, shape);
    observer->OnAttention(layer, views.query, views.key, views.value);
  }
  return Linear(CausalAttention(qkv, shape), weights.attention_output);
}

at::Tensor Transformer::Hidden(const at::Tensor& tokens_BT, Observer* observer) {
  CheckTokens(tokens_BT);
  const int64_t batch = tokens_BT.size(0), length = tokens_BT.size(1);
  const auto show = [&](int64_t index, const at::Tensor& x_NC) {
    if (observer) observer->OnHidden(index, x_NC.view({batch, length, config_.hidden_size}));
  };
  at::Tensor x = Embedding(embedding_, tokens_BT.reshape({-1}));
  show(0, x);
  for (int64_t n = 0; n < config_.num_hidden_layers; ++n) {
    const Layer& layer = layers_[static_cast<size_t>(n)];
    x = x + Attention(n, RmsNorm(x, layer.input_norm, config_.rms_norm_eps), batch, length, observer);
    const at::Tensor y = RmsNorm(x, layer.feed_forward_norm, config_.rms_norm_eps);
    x = x + Linear(SwiGlu(Linear(y, layer.gate_up)), layer.down);
    show(n + 1, x);
  }
  return RmsNorm(x, final_norm_, config_.rms_norm_eps);
}

at::Tensor Transformer::LossAndGradients(const at::Tensor& tokens_BT, const at::Tensor& targets_BT, double scale) {
  CheckTokens(targets_BT);
  if (targets_BT.sizes() != tokens_BT.sizes()) throw ModelError("tokens and targets differ in shape");
  const at::Tensor hidden_NC = Hidden(tokens_BT, nullptr);
  at::Tensor gradient_NC;
  const at::Tensor loss = HeadLoss(hidden_NC, head_, targets_BT.reshape({-1}), scale, &gradient_NC);
  hidden_NC.backward(gradient_NC);
  return loss;
}

at::Tensor Transformer::Loss(const at::Tensor& tokens_BT, const at::Tensor& targets_BT) {
  const at::NoGradGuard no_gradients;
  CheckTokens(targets_BT);
  if (targets_BT.sizes() != tokens_BT.sizes()) throw ModelError("tokens and targets differ in shape");
  return HeadLoss(Hidden(tokens_BT, nullptr), head_, targets_BT.reshape({-1}), 1.0, nullptr);
}

at::Tensor Transformer::Logits(const at::Tensor& tokens_BT, Observer* observer) {
  const at::NoGradGuard no_gradients;
  const at::Tensor logits_NV = Linear(Hidden(tokens_BT, observer), head_);
  return logits_NV.view({tokens_BT.size(0), tokens_BT.size(1), config_.vocab_size});
}

void Transformer::Observe(const at::Tensor& tokens_BT, Observer& observer) {
  const at::NoGradGuard no_gradients;
  Hidden(tokens_BT, &observer);
}

}  // namespace sink
