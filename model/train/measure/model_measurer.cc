#include "model/train/measure/model_measurer.h"

#include <unistd.h>

#include <algorithm>
#include <string>

#include "model/eval/evaluate.h"
#include "model/train/learning/learner.h"
#include "model/train/measure/measurement.h"
#include "proto/pipe/metric_name.h"

namespace sink::train {
namespace {

// Thrown through the pass over the layers when the run is asked to stop.
struct StopAsked {};

EvaluateOptions OptionsOf(const JobFile& job) {
  const JobConfig& config = job.config;
  EvaluateOptions options{.model = job.model};
  options.device = job.device;
  options.inputs.kind = config.evaluate.inputs;
  if (options.inputs.kind == InputKind::kNatural)
    options.inputs.texts = std::filesystem::path(job.data_root) / config.evaluate.texts;
  options.inputs.seed = static_cast<uint64_t>(config.train.seed);
  options.inputs.probe_options.tokens = config.eval.tokens;
  options.inputs.probe_options.sequences = config.eval.sequences;
  options.sink_options = {
      .epsilon = config.eval.epsilon, .positions = config.eval.positions, .metrics = config.eval.metrics};
  return options;
}

}  // namespace

RunOutcome MeasureModel(const JobFile& job, EventSink& events, TrainerCommands& commands) {
  PrepareProcess(static_cast<int>(job.config.train.threads));
  EvaluateOptions options = OptionsOf(job);
  const int64_t tokens = job.config.eval.sequences * job.config.eval.tokens;
  int64_t layers = 1;
  options.on_model = [&](int64_t parameters, int64_t all) {
    layers = all;
    events.Send(pipe::Hello{pipe::kVersion, getpid(), job.device, 0, layers, parameters});
  };
  options.on_layer = [&](int64_t done, int64_t) {
    if (commands.StopRequested()) throw StopAsked();
    events.Send(pipe::Progress{done, tokens * done / layers, 0});
  };
  try {
    const Evaluation evaluation = Evaluate(options);
    events.Send(pipe::Log{"info", job.config.evaluate.model + ": " + evaluation.inputs +
                                      (evaluation.bos ? ", after token " + std::to_string(*evaluation.bos) : "")});
    Measurement measurement = MeasurementOf(evaluation.sinks, job.config.eval.positions);
    const auto add = [&measurement](const pipe::MetricName& name, double value) {
      measurement.metrics.values.emplace_back(pipe::FormatMetricName(name), value);
    };
    add({.kind = pipe::MetricKind::kValidationLoss, .domain = pipe::kAllDomains}, *evaluation.loss);
    if (evaluation.bos) add({.kind = pipe::MetricKind::kBosToken}, static_cast<double>(*evaluation.bos));
    measurement.metrics.step = layers;
    events.Send(measurement.metrics);
    for (pipe::Heatmap& heatmap : measurement.heatmaps) {
      heatmap.step = layers;
      events.Send(heatmap);
    }
  } catch (const StopAsked&) {
    return RunOutcome::kStopped;
  }
  events.Send(pipe::Finished{layers});
  return RunOutcome::kFinished;
}

}  // namespace sink::train
