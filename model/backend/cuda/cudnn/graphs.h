// Attention as cuDNN's graphs of operations, on the merged rows of queries, keys and values where they lie: plain
// causal softmax, or the last `window` keys. Graphs are only described here; a device is asked for when one is built.
// Any thread. Sources: NVIDIA's cuDNN front end, docs/operations/Attention.md, version 1.32.
#pragma once

#include <cudnn_frontend.h>

#include <cstdint>
#include <memory>

#include "kernels/cuda/attention.h"

namespace sink::cuda::cudnn {

// Names of tensors when a graph is run: bf16 rows of heads, log z in float [batch, heads, length].
enum Slot : int64_t {
  kQuery = 1,
  kKey,
  kValue,
  kOutput,
  kLogSum,
  kGradient,
  kQueryGradient,
  kKeyGradient,
  kValueGradient
};

using Graph = std::shared_ptr<cudnn_frontend::graph::Graph>;

// kQuery, kKey, kValue -> kOutput, kLogSum.
Graph ForwardGraph(const kernels::cuda::AttentionShape& shape, int64_t window);
// The above and kGradient -> the three gradients. Deterministic: the same bits from run to run, for which cuDNN 9.19
// takes 2 bytes a pair of one layer in its workspace on Hopper.
Graph BackwardGraph(const kernels::cuda::AttentionShape& shape, int64_t window, bool deterministic);

}  // namespace sink::cuda::cudnn
