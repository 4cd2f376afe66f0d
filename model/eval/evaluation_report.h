// What sink-eval prints and writes. Pure but for the file; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/eval/sink_metric.h"

namespace sink {

struct Evaluation {
  SinkReport sinks;
  std::optional<double> loss;      // mean cross-entropy over all targets, where it was asked for
  std::string inputs;              // what was measured on, one phrase
  std::optional<int64_t> bos;      // this token was put before every sequence
  std::string bos_reason;          // of texts: why; "" where nothing more is to be said
  std::vector<std::string> notes;  // a sentence each: what a reader of the numbers should know
  bool open = false;               // a Hugging Face folder, measured by open_model.h
  bool activations = false;        // print norms by layer and position
  at::Tensor logits;               // [B, T, V], only for a dump
};

// A table for people; epsilon, T and the BOS stand beside every rate.
std::string PrintText(const Evaluation& evaluation);

// One JSON object on a line: loss, epsilon, tokens, bos, sink_rate_percent (positions 1..n at the first epsilon), then
// sink_rates for every epsilon, mean and strongest alpha_1, the heat map, the hidden-norm ratios, and `metrics`: name
// to {"all", "layers"} (README.md). With activations also hidden_norm, key_norm and value_norm, [layer][position], and
// largest_activation of each row of hidden_norm: {"value", "position" from 1, "channel" from 0}.
// Numbers that are not finite, or were not asked for, are null.
std::string PrintJson(const Evaluation& evaluation);

// A header, then a line for each number: name,epsilon,layer,head,position,value; what does not apply is empty. Layers
// and heads from 0, positions from 1 (a model's bias is position "bias"); of hidden states, layer 0 is the embeddings
// and n the state after n layers. Rates in percent.
std::string PrintCsv(const Evaluation& evaluation);

// The next two write what a person names as the output (files::WriteOutput): whole or not at all. ModelError when it
// cannot be written.

// Mean alpha_1 by layer and head as an SVG file.
void DrawHeatMap(const Evaluation& evaluation, const std::string& path);

// logits, importance, hidden_norm, key_norm and value_norm as safetensors, with the golden vectors' names and shapes.
// The last row of an open model's hidden_norm is after the final norm, as transformers reports hidden states;
// residual_norm has all rows before it.
void Dump(const Evaluation& evaluation, const std::string& path);

}  // namespace sink
