// The transformer's forward pass. Its backward pass is autograd over the operations of operations.h and attention.h.
#include "model/network/transformer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include <algorithm>
#include <string>
#include <utility>

#include "model/backend/backend.h"
#include "model/base/model_error.h"
#include "model/network/operations.h"
#include "model/network/position.h"
#include "model/network/residual_block.h"

namespace sink {
namespace {

kernels::Activation ActivationOf(Ffn ffn) {
  switch (ffn) {
    case Ffn::kGeglu:
    case Ffn::kGelu:
      return kernels::Activation::kGelu;
    case Ffn::kReglu:
    case Ffn::kRelu:
      return kernels::Activation::kRelu;
    case Ffn::kSwiglu:
    case Ffn::kSwish:
    case Ffn::kNone:  // has nothing to activate
      break;
  }
  return kernels::Activation::kSilu;
}

std::vector<int64_t> LayerBegins(const std::vector<Parameter>& parameters, int64_t layers) {
  std::vector<int64_t> begins;
  auto next = parameters.begin();
  for (int64_t n = 0; n < layers; ++n) {
    const std::string prefix = "model.layers." + std::to_string(n) + ".";
    const auto in_layer = [&](const Parameter& parameter) { return parameter.name.starts_with(prefix); };
    next = std::find_if(next, parameters.end(), in_layer);
    begins.push_back(next->value.storage_offset());
    next = std::find_if_not(next, parameters.end(), in_layer);
  }
  begins.push_back(next->value.storage_offset());
  return begins;
}

// Leaves out the first `ignore` of every `length` rows. Dense, as the operations want their rows: of sequences that
// keep one row, the slice alone would be strided.
at::Tensor DropRows(const at::Tensor& x, int64_t length, int64_t ignore) {
  if (ignore < 0 || ignore >= length) throw ModelError("the loss must leave out fewer targets than a sequence has");
  if (ignore == 0) return x;
  return x.unflatten(0, {-1, length}).narrow(1, ignore, length - ignore).flatten(0, 1).contiguous();
}

}  // namespace

Transformer::Transformer(const ModelConfig& config, at::Device device, at::ScalarType type)
    : Transformer(config, ParameterBuffer(ParameterLayout(config), device, SummedType(type),
                                          /*copies=*/SummedType(type) != type)) {}

Transformer::Transformer(const ModelConfig& config, ParameterBuffer buffer)
    : config_(config),
      parameters_(std::move(buffer)),
      attention_(config, parameters_),
      activation_(ActivationOf(config.variant.ffn)) {
  embedding_ = parameters_.WeightOf("model.embed_tokens.weight");
  switch (config.variant.position_embedding) {
    case PositionEmbedding::kLearnable:
      positions_ = parameters_.WeightOf("model.embed_positions.weight");
      break;
    case PositionEmbedding::kSinusoidal:
      positions_ = {SinusoidTable(Positions(config), config.hidden_size, embedding_.compute.options()), {}};
      break;
    case PositionEmbedding::kRope:  // attention has these
    case PositionEmbedding::kNope:
    case PositionEmbedding::kAlibi:
    case PositionEmbedding::kRelative:
    case PositionEmbedding::kT5:
      break;
  }
  if (config.variant.sink_token) sink_token_ = parameters_.WeightOf("model.sink_token");
  for (int64_t n = 0; n < config.num_hidden_layers; ++n) layers_.push_back(LayerWeights(parameters_, config, n));
  layer_begins_ = LayerBegins(parameters(), config.num_hidden_layers);
  if (NormsInput(config.variant.norm_placement)) final_norm_ = parameters_.ExactWeightOf("model.norm.weight");
  head_ = parameters_.WeightOf("lm_head.weight");
}

void Transformer::Initialize(uint64_t seed) { parameters_.Initialize(seed); }

void Transformer::ZeroGradients() { gradients().zero_(); }

void Transformer::CheckShape(const at::Tensor& tokens_BT) const {
  if (tokens_BT.dim() != 2 || tokens_BT.numel() == 0 || tokens_BT.scalar_type() != at::kLong)
    throw ModelError("tokens must be a matrix of 64-bit integers, a sequence a row");
  if (tokens_BT.size(1) > config_.max_position_embeddings)
    throw ModelError("sequences of " + std::to_string(tokens_BT.size(1)) + " tokens, but the model has " +
                     std::to_string(config_.max_position_embeddings) + " positions");
}

void Transformer::CheckTokens(const at::Tensor& tokens_BT) const {
  CheckShape(tokens_BT);
  if (tokens_BT.min().item<int64_t>() < 0 || tokens_BT.max().item<int64_t>() >= config_.vocab_size)
    throw ModelError("a token id is outside the vocabulary of " + std::to_string(config_.vocab_size));
}

at::Tensor Transformer::Embed(const at::Tensor& tokens_BT) {
  const int64_t batch = tokens_BT.size(0);
  at::Tensor x = Embedding(embedding_, tokens_BT.reshape({-1}));
  if (sink_token_.defined()) {
    const at::Tensor token = Value(sink_token_).unsqueeze(0).expand({batch, 1, -1});
    x = at::cat({token, x.view({batch, -1, config_.hidden_size})}, 1).view({-1, config_.hidden_size});
  }
  if (!positions_.defined()) return x;
  const int64_t length = x.size(0) / batch;
  return (x.view({batch, length, -1}) + Value(positions_).narrow(0, 0, length)).view({batch * length, -1});
}

at::Tensor Transformer::FeedForward(const LayerParameters& weights, const at::Tensor& x_NC) const {
  return Linear(FeedForwardUnit(Linear(x_NC, weights.gate_up), activation_, IsGated(config_.variant.ffn)),
                weights.down);
}

at::Tensor Transformer::Norm(const at::Tensor& x_NC, const Weight& weight_C) const {
  return weight_C.defined() ? RmsNorm(x_NC, weight_C, config_.rms_norm_eps) : x_NC;
}

const Weight& Transformer::NextNorm(int64_t layer) const {
  static const Weight kNone;
  if (layer + 1 < config_.num_hidden_layers) return layers_[static_cast<size_t>(layer + 1)].input_norm;
  return sink_token_.defined() ? kNone : final_norm_;
}

Transformer::Stream Transformer::Join(const at::Tensor& x_NC, const at::Tensor& block_NC, const Weight& output_norm,
                                      const Weight& next_norm) const {
  // Post-norm normalises the sum, the other placements what is added.
  if (!NormsInput(config_.variant.norm_placement)) {
    const at::Tensor x = AddRmsNorm(x_NC, block_NC, output_norm, config_.rms_norm_eps).normed_NC;
    return {x, x};
  }
  const at::Tensor added = Norm(block_NC, output_norm);
  if (!next_norm.defined()) {
    const at::Tensor x = x_NC + added;
    return {x, x};
  }
  const AddedAndNormed out = AddRmsNorm(x_NC, added, next_norm, config_.rms_norm_eps);
  return {out.sum_NC, out.normed_NC};
}

at::Tensor Transformer::Hidden(const at::Tensor& tokens_BT, Observer* observer, const GradientsReady& ready) {
  const int64_t batch = tokens_BT.size(0), length = tokens_BT.size(1) + (sink_token_.defined() ? 1 : 0);
  // The gradient of what a block left is known when everything behind it has had its turn.
  const auto tell_ready = [&](const at::Tensor& x_NC, int64_t layers) {
    if (ready)
      x_NC.register_hook(
          [&ready, first = layer_begins_[static_cast<size_t>(layers)]](const at::Tensor&) { ready(first); });
  };
  const auto show = [&](int64_t index, const at::Tensor& x_NC) {
    if (observer) observer->OnHidden(index, x_NC.view({batch, length, config_.hidden_size}));
  };
  const bool feeds = config_.variant.ffn != Ffn::kNone;
  const at::Tensor bias = attention_.OffsetBias(length);
  const at::Tensor embedded = Embed(tokens_BT);
  tell_ready(embedded, 0);
  show(0, embedded);
  if (!observer && HasWholeBlocks(config_) && KernelsFor(embedded).whole_blocks) {
    at::Tensor x = embedded;
    for (int64_t n = 0; n < config_.num_hidden_layers; ++n) {
      const LayerParameters& layer = layers_[static_cast<size_t>(n)];
      x = AttentionBlock(attention_, layer, x, bias, batch, length);
      if (feeds) x = FeedForwardBlock(config_, activation_, layer, x);
      tell_ready(x, n + 1);
    }
    return Norm(sink_token_.defined() ? DropRows(x, length, 1) : x, final_norm_);
  }
  Stream stream{embedded, Norm(embedded, layers_.front().input_norm)};
  for (int64_t n = 0; n < config_.num_hidden_layers; ++n) {
    const LayerParameters& layer = layers_[static_cast<size_t>(n)];
    SeeAttention see;
    if (observer) see = [&](const AttentionView& view) { observer->OnAttention(n, view); };
    at::Tensor block = AttentionLayer(attention_, layer, stream.read_NC, bias, batch, length, see);
    if (feeds) {
      stream = Join(stream.x_NC, block, layer.post_attention_norm, layer.feed_forward_norm);
      block = FeedForward(layer, stream.read_NC);
    }
    tell_ready(block, n + 1);
    stream = Join(stream.x_NC, block, feeds ? layer.post_feed_forward_norm : layer.post_attention_norm, NextNorm(n));
    show(n + 1, stream.x_NC);
  }
  at::Tensor x = stream.read_NC;
  if (sink_token_.defined()) x = Norm(DropRows(x, length, 1), final_norm_);
  if (observer) observer->OnNormed(x.view({batch, tokens_BT.size(1), config_.hidden_size}));
  return x;
}

at::Tensor Transformer::LossAndGradients(const at::Tensor& tokens_BT, const at::Tensor& targets_BT, double scale,
                                         int64_t ignore, const GradientsReady& ready) {
  CheckShape(tokens_BT);
  CheckShape(targets_BT);
  if (targets_BT.sizes() != tokens_BT.sizes()) throw ModelError("tokens and targets differ in shape");
  const int64_t length = tokens_BT.size(1);
  const at::Tensor hidden_NC = DropRows(Hidden(tokens_BT, nullptr, ready), length, ignore);
  const at::Tensor targets_N = DropRows(targets_BT.reshape({-1}), length, ignore);
  at::Tensor gradient_NC;
  const at::Tensor loss = HeadLoss(hidden_NC, head_, targets_N, scale, &gradient_NC);
  hidden_NC.backward(gradient_NC);
  return loss;
}

at::Tensor Transformer::Loss(const at::Tensor& tokens_BT, const at::Tensor& targets_BT, int64_t ignore) {
  const at::NoGradGuard no_gradients;
  CheckTokens(tokens_BT);
  CheckTokens(targets_BT);
  if (targets_BT.sizes() != tokens_BT.sizes()) throw ModelError("tokens and targets differ in shape");
  const int64_t length = tokens_BT.size(1);
  const at::Tensor hidden_NC = DropRows(Hidden(tokens_BT, nullptr), length, ignore);
  return HeadLoss(hidden_NC, head_, DropRows(targets_BT.reshape({-1}), length, ignore), 1.0, nullptr);
}

at::Tensor Transformer::Logits(const at::Tensor& tokens_BT, Observer* observer) {
  const at::NoGradGuard no_gradients;
  CheckTokens(tokens_BT);
  const at::Tensor logits_NV = Linear(Hidden(tokens_BT, observer), head_);
  return logits_NV.view({tokens_BT.size(0), tokens_BT.size(1), config_.vocab_size});
}

void Transformer::Observe(const at::Tensor& tokens_BT, Observer& observer) {
  const at::NoGradGuard no_gradients;
  CheckTokens(tokens_BT);
  Hidden(tokens_BT, &observer);
}

}  // namespace sink
