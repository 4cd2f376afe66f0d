// See job_row.h.
#include "coordinator/web/job_row.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/web/json_text.h"
#include "proto/pipe/metric_name.h"

namespace sink::web {
namespace {

constexpr size_t kMessageBytes = 200;

}  // namespace

const char kJobColumns[] =
    R"(["id","index","experiment","label","state","step","max_steps","tokens","tokens_per_second","attempt","worker",)"
    R"("started_ms","finished_ms","stopped_early","cancel_requested","message","train_loss","validation_loss",)"
    R"("sink_rate","alpha_mean","alpha_max","hidden_norm_ratio"])";

Measured Measure(const LatestValues& latest) {
  Measured found;
  pipe::ValidationLoss validation;
  std::string epsilon;
  latest.Visit([&](std::string_view text, double value) {
    const auto name = pipe::ParseMetricName(text);
    if (!name) return;
    const bool first = name->position == pipe::kFirstPosition;
    switch (name->kind) {
      case pipe::MetricKind::kTrainLoss:
        found.train_loss = value;
        break;
      case pipe::MetricKind::kValidationLoss:
        validation.Add(name->domain, value);
        break;
      case pipe::MetricKind::kSinkRate:
        if (!first || (!epsilon.empty() && !pipe::IsBetterEpsilon(name->epsilon, epsilon))) break;
        epsilon = std::string(name->epsilon);
        found.sink_rate = value;
        break;
      case pipe::MetricKind::kAlphaMean:
        if (first) found.alpha_mean = value;
        break;
      case pipe::MetricKind::kAlphaMax:
        if (first) found.alpha_max = value;
        break;
      case pipe::MetricKind::kHiddenNormRatio:
        found.hidden_norm_ratio = std::max(value, found.hidden_norm_ratio.value_or(value));
        break;
      case pipe::MetricKind::kLearningRate:
      case pipe::MetricKind::kGradientNorm:
      case pipe::MetricKind::kBosToken:
      case pipe::MetricKind::kEvalMetric:
        break;
    }
  });
  found.validation_loss = validation.value();
  return found;
}

void AppendJobRow(const Job& job, std::string* out) {
  static const Membership kNowhere;
  const Membership& place = job.sweeps.empty() ? kNowhere : job.sweeps.front();
  absl::StrAppend(out, "[", Quoted(job.id), ",", place.index, ",", Quoted(place.experiment), ",", Quoted(place.label),
                  ",\"", std::string(NameOf(job.state)), "\",", job.progress.step, ",", job.progress.max_steps, ",",
                  job.progress.tokens, ",");
  AppendNumber(job.progress.tokens_per_second, out);
  absl::StrAppend(out, ",", job.attempt, ",", Quoted(job.worker), ",", job.started_ms, ",", job.finished_ms, ",",
                  job.stop_message.empty() ? "false" : "true", ",", job.cancel_requested ? "true" : "false", ",",
                  Quoted(std::string_view(job.message).substr(0, kMessageBytes)));
  const Measured measured = Measure(job.progress.latest);
  for (const auto& value : {measured.train_loss, measured.validation_loss, measured.sink_rate, measured.alpha_mean,
                            measured.alpha_max, measured.hidden_norm_ratio}) {
    *out += ",";
    AppendNumber(value.value_or(NAN), out);
  }
  *out += "]";
}

}  // namespace sink::web
