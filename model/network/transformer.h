// The one transformer: every model of the study is a configuration of it. Its parameters lie in one buffer and their
// gradients in another of the same layout, so that the optimizer, clipping, all-reduce and checkpoints each see one
// tensor; the named parameters are views of them, with Hugging Face's names and shapes. A model that computes in
// bfloat16 has a third buffer, of the values rounded to it, which matrix products and embeddings read; values,
// gradients, norms, losses and what enters attention's scores stay in float. An object belongs to one thread at a time;
// the operations inside use ATen's threads (at::set_num_threads). With a fixed number of threads every result is
// bit-identical from run to run.
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
  // impossible. `type` is what it computes in: kFloat; kBFloat16, with values and gradients in float; kDouble for
  // tests.
  Transformer(const ModelConfig& config, at::Device device, at::ScalarType type = at::kFloat);

  // The study's initialisation (design.md section 4). A function of the seed, a parameter's name and the element's
  // index alone, whatever the device, the threads and the other parameters.
  void Initialize(uint64_t seed);

  const ModelConfig& config() const { return config_; }
  // In a fixed order: embeddings, layers, final norm, head.
  const std::vector<Parameter>& parameters() const { return parameters_.list(); }
  // All parameters, and all gradients, as one vector each: [parameter count].
  const at::Tensor& values() const { return parameters_.values(); }
  const at::Tensor& gradients() const { return parameters_.gradients(); }
  // What bfloat16 computes with, [parameter count]; undefined where that is the values. Who writes values refreshes it.
  const at::Tensor& copies() const { return parameters_.copies(); }
  void RefreshCopies() { parameters_.RefreshCopies(); }
  void ZeroGradients();

  // A second model on the same parameters that computes with the values themselves, for measuring what bfloat16 trains.
  Transformer Exact() const { return Transformer(config_, parameters_.WithoutCopies()); }

  // Tokens and targets are int64 [B, T] on the device, T <= max_position_embeddings, ids in [0, V): ModelError
  // otherwise, but for the ids of LossAndGradients: to look at them would make the host wait for the device at every
  // micro-batch, and who feeds training has seen them (data/loader/loader.h).
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
  // The residual stream, [B * P, C], and what the next block reads of it.
  struct Stream {
    at::Tensor x_NC, read_NC;
  };

  Transformer(const ModelConfig& config, ParameterBuffer buffer);
  void CheckShape(const at::Tensor& tokens_BT) const;
  void CheckTokens(const at::Tensor& tokens_BT) const;
  at::Tensor Embed(const at::Tensor& tokens_BT);
  at::Tensor FeedForward(const LayerParameters& weights, const at::Tensor& x_NC) const;
  at::Tensor Norm(const at::Tensor& x_NC, const Weight& weight_C) const;
  // Of what reads the stream after that layer; undefined where nothing norms it at once: a sink token's rows go first.
  const Weight& NextNorm(int64_t layer) const;
  // The stream after a block that left `block`: `output_norm` is the placement's norm of what is added, or of the sum,
  // `next_norm` that of the next block's input. Undefined norms pass their input on.
  Stream Join(const at::Tensor& x_NC, const at::Tensor& block_NC, const Weight& output_norm,
              const Weight& next_norm) const;
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
