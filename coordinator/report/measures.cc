// See measures.h.
#include "coordinator/report/measures.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "proto/pipe/metric_name.h"

namespace sink::report {
namespace {

std::optional<double> At(const Run& run, const std::string& metric, int64_t step) {
  const auto curve = run.curves.find(metric);
  if (curve == run.curves.end()) return std::nullopt;
  std::optional<double> value;
  for (const Sample& sample : curve->second) {
    if (sample.step > step) break;
    value = sample.value;
  }
  return value && std::isfinite(*value) ? value : std::nullopt;
}

// For runs that have no validation loss of all domains.
std::optional<double> MeanOfDomains(const Run& run, int64_t step) {
  pipe::ValidationLoss loss;
  for (const auto& [text, curve] : run.curves) {
    const auto name = pipe::ParseMetricName(text);
    if (!name || name->kind != pipe::MetricKind::kValidationLoss) continue;
    if (const auto value = At(run, text, step)) loss.Add(name->domain, *value);
  }
  return loss.value();
}

}  // namespace

std::string Epsilon(const Run& run) {
  std::string_view best;
  for (const auto& [text, curve] : run.curves) {
    const auto name = pipe::ParseMetricName(text);
    if (!name || name->kind != pipe::MetricKind::kSinkRate) continue;
    if (best.empty() || pipe::IsBetterEpsilon(name->epsilon, best)) best = name->epsilon;
  }
  return std::string(best);
}

std::string MetricName(const Run& run, Measure measure, const std::string& position) {
  const std::string epsilon = measure == Measure::kSinkRate ? Epsilon(run) : "";
  pipe::MetricName parts;
  switch (measure) {
    case Measure::kSinkRate:
      parts = {.kind = pipe::MetricKind::kSinkRate, .epsilon = epsilon, .position = position};
      break;
    case Measure::kAlphaMean:
      parts = {.kind = pipe::MetricKind::kAlphaMean, .position = position};
      break;
    case Measure::kAlphaMax:
      parts = {.kind = pipe::MetricKind::kAlphaMax, .position = position};
      break;
    case Measure::kValidationLoss:
      parts = {.kind = pipe::MetricKind::kValidationLoss, .domain = pipe::kAllDomains};
      break;
    case Measure::kTrainLoss:
      parts = {.kind = pipe::MetricKind::kTrainLoss};
      break;
  }
  const std::string name = pipe::FormatMetricName(parts);
  return run.curves.contains(name) ? name : "";
}

std::optional<double> Value(const Run& run, Measure measure, const std::string& position, int64_t step) {
  const std::string name = MetricName(run, measure, position);
  if (name.empty()) return measure == Measure::kValidationLoss ? MeanOfDomains(run, step) : std::nullopt;
  const auto value = At(run, name, step);
  return value && measure == Measure::kSinkRate ? std::optional(100 * *value) : value;
}

Summary Summarize(const Study& study, const Point& point, Measure measure, const std::string& position, int64_t step,
                  bool unfinished) {
  std::vector<double> values;
  for (const std::string& id : point.runs) {
    const Run& run = study.run(id);
    if (!run.succeeded() && !unfinished) continue;
    if (const auto value = Value(run, measure, position, step)) values.push_back(*value);
  }
  return Summarize(values);
}

std::optional<int64_t> Onset(const Run& run, const std::string& metric, double level, int64_t end) {
  const auto curve = run.curves.find(metric);
  if (curve == run.curves.end() || IsEvaluation(run)) return std::nullopt;
  std::optional<int64_t> step, newest;
  for (const Sample& sample : curve->second) {
    if (sample.step > end) break;
    newest = sample.step;
    if (!(sample.value >= level))
      step.reset();
    else if (!step)
      step = sample.step;
  }
  return step == newest ? std::nullopt : step;
}

std::optional<int64_t> TokensOfAStep(const Run& run) {
  const Json& batch = Setting(run, "train.global_batch_size");
  const Json& length = Setting(run, "train.sequence_length");
  if (IsEvaluation(run) || !batch.is_number() || !length.is_number()) return std::nullopt;
  return batch.get<int64_t>() * length.get<int64_t>();
}

double UniformAlpha(int64_t position, int64_t tokens) {
  if (position < 1 || position > tokens) return 0;
  double sum = 0;
  for (int64_t i = position; i <= tokens; ++i) sum += 1.0 / static_cast<double>(i);
  return sum / static_cast<double>(tokens - position + 1);
}

std::string Fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return std::string(text) == "-0" || std::atof(text) == 0 ? (text[0] == '-' ? text + 1 : text) : text;
}

std::string ShowSummary(const Summary& summary, int decimals) {
  if (summary.n == 0) return "";
  std::string text = Fixed(summary.mean, decimals);
  if (summary.n > 1) text += " ± " + Fixed(summary.deviation, decimals);
  return text;
}

}  // namespace sink::report
