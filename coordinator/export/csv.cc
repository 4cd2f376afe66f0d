// Tidy comma-separated values; see export.h.
#include <optional>

#include "coordinator/export/export.h"
#include "coordinator/report/emergence.h"
#include "coordinator/report/measures.h"

namespace sink::exports {
namespace {

std::string Field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

// What one run came to, from its seed on; numbers of runs that succeeded alone.
std::string ResultOf(const report::Run& run) {
  using report::Measure;
  std::string row = report::SettingText(run, "train.seed") + "," + run.id + "," + run.state;
  const auto add = [&](const std::optional<double>& value) {
    row += "," + (run.succeeded() && value ? ExactText(*value) : std::string());
  };
  const auto onset = [&run](Measure measure, double level) -> std::optional<double> {
    const auto step = report::Onset(run, report::MetricName(run, measure, "1"), level);
    return step ? std::optional(static_cast<double>(*step)) : std::nullopt;
  };
  add(report::Value(run, Measure::kAlphaMax));
  add(report::Value(run, Measure::kSinkRate));
  add(report::Value(run, Measure::kAlphaMax, "bias"));
  add(report::Value(run, Measure::kValidationLoss));
  add(onset(Measure::kAlphaMax, report::kOnsetAlpha));
  add(onset(Measure::kSinkRate, report::kOnsetPercent / 100));
  return row;
}

}  // namespace

std::string ToCsv(const report::Study& study) {
  std::string out = "sweep,experiment,label,job,state,attempt,metric,step,tokens,value,data_content\n";
  for (const PlacedRun& job : Jobs(study)) {
    const std::string place = Field(study.sweep) + "," + Field(job.experiment) + "," + Field(job.label) + "," +
                              job.run->id + "," + job.run->state + ",";
    const std::optional<int64_t> tokens_a_step = report::TokensOfAStep(*job.run);
    for (const auto& [name, curve] : job.run->curves) {
      for (const report::Sample& sample : curve) {
        out += place + std::to_string(sample.attempt) + "," + Field(name) + "," + std::to_string(sample.step) + "," +
               (tokens_a_step ? std::to_string(sample.step * *tokens_a_step) : "") + "," + ExactText(sample.value) +
               "," + job.run->data_content + "\n";
      }
    }
  }
  return out;
}

std::string ToResults(const std::vector<const report::Study*>& studies) {
  std::string out =
      "sweep,experiment,setting,seed,job,state,alpha_1,sink_rate_percent,alpha_bias,validation_loss,alpha_onset_step,"
      "rate_onset_step\n";
  for (const report::Study* study : studies)
    for (const PlacedRun& job : Jobs(*study))
      out += Field(study->sweep) + "," + Field(job.experiment) + "," + Field(job.setting) + "," + ResultOf(*job.run) +
             "\n";
  return out;
}

}  // namespace sink::exports
