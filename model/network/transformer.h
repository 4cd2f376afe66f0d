// The one transformer: every model of the study is a configuration of it. Its parameters lie in one buffer and their
// gradients in another of the same layout, so that the optimizer, clipping, all-reduce and checkpoints each see one
// tensor; the named parameters are views of them, with Hugging Face's names and shapes.
// An object belongs to one thread at a time; the operations inside use ATen's threads (at::set_num_threads). With a
// fixed number of threads every result is bit-identical from run to run.
//
// Letters in names of tensors: B sequences, T positions, C hidden_size, H attention heads, K key/value heads,
// D head_dim, V vocab_size.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/feed_forward.h"
#include "model/network/attention_layer.h"
#include "model/network/parameter_layout.h"
#include "model/network/parameters.h"
#include "proto/config/job_config.h"

namespace sink {

// Sees the inside of a forward pass, layer by layer. The tensors are only valid during the call and must not be
// changed.
class Observer {
 public:
  virtual ~Observer() = default;
  // index 0: the embeddings, with positions where they are added; index n: the residual stream after layer n, before
  // the final norm. With a sink token, T + 1 positions, that token first.
  virtual void OnHidden(int64_t index, const at::Tensor& hidden_BTC) {}
  // layer from 0.
  virtual void OnAttention(int64_t layer, const AttentionView& attention) {}
  // What the head reads: the residual stream after the final norm (and the projection, of an open model) where there is
  // one. Positions of the text alone.
  virtual void OnNormed(const at::Tensor& hidden_BTC) {}
};

// Called in a backward pass, on its thread, as it goes from the model's end to its start: the gradients of the flat
// vector from element `first` on are final.
using GradientsReady = std::function<void(int64_t first)>;

class Transformer {
 public:
  // Allocates parameters (uninitialised) and gradients (zero) on the device. ModelError when the configuration is
  // impossible. dtype kDouble serves tests; training is in kFloat.
  Transformer(const ModelConfig& config, at::Device device, at::ScalarType dtype = at::kFloat);

  // The study's initialisation (design.md section 4). A function of the seed, a parameter's name and the element's
  // index alone, whatever the device, the threads and the other parameters.
  void Initialize(uint64_t seed);

  const ModelConfig& config() const { return config_; }
  // In a fixed order: embeddings, layers, final norm, head.
  const std::vector<Parameter>& parameters() const { return parameters_.list(); }
  // All parameters, and all gradients, as one vector each: [parameter count].
  const at::Tensor& values() const { return parameters_.values(); }
  const at::Tensor& gradients() const { return parameters_.gradients(); }
  void ZeroGradients();

  // Tokens and targets are int64 [B, T] on the device, T <= max_position_embeddings, ids in [0, V): ModelError
  // otherwise.
  //
  // Mean cross-entropy over the targets, a float scalar tensor on the device; adds scale * d(loss)/d(parameter) to the
  // gradients. With accumulation over n micro-batches, scale is 1/n. The first `ignore` targets of every sequence, in
  // [0, T), do not count: the mean is over the B * (T - ignore) others. `ready`, where given, hears of the layers' and
  // the head's gradients; those before the layers are final on return.
  at::Tensor LossAndGradients(const at::Tensor& tokens_BT, const at::Tensor& targets_BT, double scale = 1.0,
                              int64_t ignore = 0, const GradientsReady& ready = nullptr);
  // The same loss without gradients.
  at::Tensor Loss(const at::Tensor& tokens_BT, const at::Tensor& targets_BT, int64_t ignore = 0);
  // Logits [B, T, V] without gradients; the observer, where given, sees the pass.
  at::Tensor Logits(const at::Tensor& tokens_BT, Observer* observer = nullptr);
  // A pass for the observer alone: no logits are computed.
  void Observe(const at::Tensor& tokens_BT, Observer& observer);

 private:
  void CheckTokens(const at::Tensor& tokens_BT) const;
  at::Tensor Embed(const at::Tensor& tokens_BT);
  at::Tensor FeedForward(const LayerParameters& weights, const at::Tensor& x_NC) const;
  at::Tensor Norm(const at::Tensor& x_NC, const Weight& weight_C) const;
  // The residual stream after the last layer and the final norm, a row for each token of the text, [B*T, C].
  at::Tensor Hidden(const at::Tensor& tokens_BT, Observer* observer, const GradientsReady& ready = nullptr);

  ModelConfig config_;
  ParameterBuffer parameters_;
  AttentionContext attention_;
  kernels::Activation activation_;
  Weight embedding_, final_norm_, head_;
  Weight positions_;   // learned or sinusoidal [Positions, C]; undefined for other kinds
  Weight sink_token_;  // [1, C]; undefined without one
  std::vector<LayerParameters> layers_;
  std::vector<int64_t> layer_begins_;  // in the flat vector; the last is the end of the last layer
};

}  // namespace sink
