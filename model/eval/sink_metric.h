// What the study measures on a model (design.md section 5): how much attention each position gets, in how many heads it
// is a sink, and how the hidden states, keys and values of the first token stand out. No T x T matrix of more than a
// block of queries of one layer exists at a time. A measurement uses the model, so it belongs to the model's thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/transformer.h"

namespace sink {

struct SinkOptions {
  std::vector<double> epsilon = {0.3};
  int64_t positions = 10;  // positions 1..n of the sink rates
  int64_t batch = 16;      // sequences per forward pass
};

// All tensors are float on the CPU; N sequences, L layers, H heads, T positions.
struct SinkReport {
  int64_t sequences = 0;
  int64_t tokens = 0;  // T
  std::vector<double> epsilon;
  // Share of (sequence, layer, head) whose importance of the position exceeds epsilon, 0..1: [epsilon][position - 1].
  std::vector<std::vector<double>> sink_rate;
  // alpha_k = mean over queries i >= k of A[i, k]: [N, L, H, T].
  at::Tensor importance;
  // Mean alpha_1 over the sequences: [L, H], the heat map; then its mean and its largest value with the place (from 0).
  at::Tensor first_importance;
  double mean_first_importance = 0;
  double strongest_first_importance = 0;
  int64_t strongest_layer = 0, strongest_head = 0;
  // Mean L2 norms: of hidden states [L + 1, T] (row 0: embeddings; before the final norm), of keys after RoPE and of
  // values [L, T] (over sequences and key/value heads).
  at::Tensor hidden_norm, key_norm, value_norm;
  // Hidden norm of position 1 over the mean of the others, for each row of hidden_norm.
  std::vector<double> hidden_norm_ratio;
};

// Column sums of the causal probabilities over the queries that may see the column, divided by how many there are:
// importance [B, H, T] of one layer's queries [B, H, T, D] and keys [B, K, T, D].
at::Tensor Importance(const at::Tensor& query_BHTD, const at::Tensor& key_BKTD);

// Measures the model on tokens [N, T], int64, T >= 2. ModelError when positions exceed T.
SinkReport MeasureSinks(Transformer& model, const at::Tensor& tokens_NT, const SinkOptions& options);

}  // namespace sink
