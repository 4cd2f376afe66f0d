// The definitions of the metrics that a job may ask for by name (eval.metrics): for each one a function from what a
// forward pass shows to samples, and how samples become one number. README.md beside this file has the formulas and
// their sources. Adding a metric is one entry of the table and one name in proto/config. Pure functions; they belong to
// the thread of the model that is measured.
//
// "The first token" is the first of the text, wherever it lies: a sink token comes before it among the model's
// positions, and a column (key bias, sink logit) before all positions among the keys.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <variant>
#include <vector>

#include "model/eval/attention_blocks.h"
#include "model/network/attention_layer.h"

namespace sink {

// Residual stream of one sequence at one layer, in double; P positions of the model, of which text_start is the first
// token's.
struct HiddenView {
  at::Tensor hidden_PC;
  int64_t text_start = 0;
};

// A block without queries of a sink token. It may have no query at all.
struct BlockView {
  const AttentionView& attention;
  const AttentionBlock& block;
  int64_t text_start = 0;
  int64_t first_key = 0;  // of the first token, among the block's J keys
};

// A whole layer, after its blocks.
struct LayerView {
  const AttentionView& attention;
  at::Tensor first_weights_BHT;  // weight of the first token for every query of the text
  int64_t text_start = 0;
};

// Each returns samples of any shape, of which there may be none; an undefined tensor where the model lacks what is
// measured.
using HiddenSamples = at::Tensor (*)(const HiddenView&);
using BlockSamples = at::Tensor (*)(const BlockView&);
using LayerSamples = at::Tensor (*)(const LayerView&);

// How samples become one number.
enum class Reduction {
  kMean,
  kMax,
  kPairMean,  // samples are vectors, one a sequence: mean dot product of two different ones
};

struct Metric {
  const char* name;
  Reduction samples;  // of one layer, over sequences, heads and positions
  Reduction layers;   // to the number of the whole model: kMean or kMax
  std::variant<HiddenSamples, BlockSamples, LayerSamples> function;
};

// In the order of EvalMetrics().
const std::vector<Metric>& MetricTable();

}  // namespace sink
