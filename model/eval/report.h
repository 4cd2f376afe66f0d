// What sink-eval prints and writes. Pure but for the file; any thread.
#pragma once

#include <filesystem>
#include <string>

#include "model/eval/sink_metric.h"

namespace sink {

struct Evaluation {
  SinkReport sinks;
  double loss = 0;    // mean cross-entropy over all targets
  bool bos = false;   // a BOS token was put before every sequence
  at::Tensor logits;  // [N, T, V], only for a dump
};

// A table for people; epsilon, T and the BOS stand beside every rate.
std::string PrintText(const Evaluation& evaluation);

// One JSON object on a line: loss, epsilon, tokens, bos, sink_rate_percent (positions 1..n at the first epsilon), then
// sink_rates for every epsilon, mean and strongest alpha_1, the heat map, the hidden-norm ratios, and `metrics`: name
// to
// {"all", "layers"} (README.md). Numbers that are not finite are null.
std::string PrintJson(const Evaluation& evaluation);

// logits, importance, hidden_norm, key_norm and value_norm as safetensors, with the golden vectors' names and shapes.
void Dump(const Evaluation& evaluation, const std::filesystem::path& path);

}  // namespace sink
