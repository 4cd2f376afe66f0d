// What a token of training costs in matrix products: the measure behind a model's FLOP utilisation. Neutral, pure; any
// thread.
#pragma once

#include <cstdint>

#include "proto/config/job_config.h"

namespace sink {

// Floating-point operations of one token's forward and backward pass: 6 for each weight of a matrix (the embedding is
// none), and for attention 12 x layers x hidden x length where every query meets every key (the count of Chowdhery et
// al. 2022, PaLM, appendix B), half of that where it meets those before it. Nothing that is computed twice counts
// twice.
struct TokenFlops {
  double causal = 0, full = 0;
};
TokenFlops TrainingFlops(const ModelConfig& model, int64_t sequence_length);

}  // namespace sink
