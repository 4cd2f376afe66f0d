// A model directory measured on inputs.
#include "model/eval/evaluate.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <string>
#include <vector>

#include "model/backend/device.h"
#include "model/base/memory.h"
#include "model/base/model_error.h"
#include "model/open/config_reader.h"
#include "model/storage/model_directory.h"

namespace sink {
namespace {

// T inputs of each sequence, and its T targets.
struct Tokens {
  at::Tensor inputs_BT, targets_BT;
};
Tokens Read(const EvaluateOptions& options, int64_t vocab_size, Evaluation& evaluation) {
  const Inputs inputs = LoadInputs(options.inputs, options.model, vocab_size);
  evaluation.bos = inputs.bos;
  evaluation.inputs = inputs.description;
  evaluation.bos_reason = inputs.bos_reason;
  evaluation.notes.insert(evaluation.notes.end(), inputs.notes.begin(), inputs.notes.end());
  const int64_t tokens = options.inputs.probe_options.tokens;
  return {inputs.ids_BT.narrow(1, 0, tokens), inputs.ids_BT.narrow(1, 1, tokens)};
}

// A model of the study: resident, a batch of sequences at a time.
void MeasureOwn(const EvaluateOptions& options, at::Device device, Evaluation& evaluation) {
  Transformer model = LoadModel(options.model, device);
  Tokens tokens = Read(options, model.config().vocab_size, evaluation);
  tokens = {tokens.inputs_BT.to(device), tokens.targets_BT.to(device)};
  const int64_t layers = model.config().num_hidden_layers;
  if (options.on_model) options.on_model(model.values().numel(), layers);
  evaluation.sinks = MeasureSinks(model, tokens.inputs_BT, options.sink_options);
  if (options.on_layer) options.on_layer(layers, layers);
  if (!options.loss) return;
  const int64_t count = tokens.inputs_BT.size(0);
  double sum = 0;
  std::vector<at::Tensor> logits;
  for (int64_t first = 0; first < count; first += options.sink_options.batch) {
    const int64_t rows = std::min(options.sink_options.batch, count - first);
    const at::Tensor input = tokens.inputs_BT.narrow(0, first, rows);
    const at::Tensor loss = model.Loss(input, tokens.targets_BT.narrow(0, first, rows));
    sum += loss.item<double>() * static_cast<double>(rows);
    if (options.keep_logits) logits.push_back(model.Logits(input));
  }
  evaluation.loss = sum / static_cast<double>(count);
  if (options.keep_logits) evaluation.logits = at::cat(logits).cpu();
}

// A folder of Hugging Face's: streamed, all sequences through each layer once.
void MeasureOpen(const EvaluateOptions& options, at::Device device, Evaluation& evaluation) {
  KeepFreedMemory();
  OpenModel model(options.model, device, /*head=*/options.loss,
                  options.precision == "bf16" ? at::kBFloat16 : at::kFloat);
  evaluation.notes = model.notes();
  const Tokens tokens = Read(options, model.config().vocab_size, evaluation);
  SinkMeter meter(model.Sizes(), tokens.inputs_BT.size(0), tokens.inputs_BT.size(1), options.sink_options);
  if (options.on_model) options.on_model(model.parameters(), model.config().layers);
  const at::Tensor states = model.Stream(tokens.inputs_BT, meter, options.on_layer);
  evaluation.open = true;
  evaluation.sinks = meter.Report();
  if (!options.loss) return;
  evaluation.loss = model.Loss(states, tokens.targets_BT, options.keep_logits ? &evaluation.logits : nullptr);
}

}  // namespace

Evaluation Evaluate(const EvaluateOptions& options) {
  Evaluation evaluation;
  evaluation.activations = options.activations;
  const at::Device device = OpenDevice(options.device);
  if (IsOpenModel(options.model))
    MeasureOpen(options, device, evaluation);
  else if (options.precision != "fp32")
    throw ModelError(options.model.string() + " is a folder of ours, which is measured in fp32; --precision " +
                     options.precision + " is for open models");
  else
    MeasureOwn(options, device, evaluation);
  if (evaluation.sinks.unknown_heads > 0)
    evaluation.notes.push_back("attention is not a number in " + std::to_string(evaluation.sinks.unknown_heads) +
                               " of " + std::to_string(evaluation.sinks.importance.select(3, 0).numel()) +
                               " heads of sequences: a weight is NaN, or values overflowed");
  return evaluation;
}

}  // namespace sink
