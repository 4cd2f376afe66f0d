// A model directory measured on a probe.
#include "model/eval/evaluate.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <vector>

#include "model/model_directory.h"

namespace sink {

Evaluation Evaluate(const EvaluateOptions& options) {
  const at::Tensor probe = LoadProbe(options.probe, options.probe_options);
  Transformer model = LoadModel(options.model, at::kCPU);
  const int64_t tokens = options.probe_options.tokens, count = probe.size(0);
  const at::Tensor inputs = probe.narrow(1, 0, tokens), targets = probe.narrow(1, 1, tokens);
  Evaluation evaluation;
  evaluation.bos = options.probe_options.bos.has_value();
  evaluation.sinks = MeasureSinks(model, inputs, options.sink_options);
  std::vector<at::Tensor> logits;
  for (int64_t first = 0; first < count; first += options.sink_options.batch) {
    const int64_t rows = std::min(options.sink_options.batch, count - first);
    const at::Tensor input = inputs.narrow(0, first, rows);
    evaluation.loss += model.Loss(input, targets.narrow(0, first, rows)).item<double>() * static_cast<double>(rows);
    if (options.keep_logits) logits.push_back(model.Logits(input));
  }
  evaluation.loss /= static_cast<double>(count);
  if (options.keep_logits) evaluation.logits = at::cat(logits);
  return evaluation;
}

}  // namespace sink
