// Tidy comma-separated values; see export.h.
#include "coordinator/export/export.h"

namespace sink::exports {
namespace {

std::string Field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

// Tokens of one optimizer step; 0 where the configuration does not say.
int64_t TokensAStep(const report::Run& run) {
  const report::Json& batch = report::Setting(run, "train.global_batch_size");
  const report::Json& length = report::Setting(run, "train.sequence_length");
  return batch.is_number() && length.is_number() ? batch.get<int64_t>() * length.get<int64_t>() : 0;
}

}  // namespace

std::string ToCsv(const report::Study& study) {
  std::string out = "sweep,experiment,label,job,state,attempt,metric,step,tokens,value\n";
  for (const PlacedRun& job : Jobs(study)) {
    const std::string place = Field(study.sweep) + "," + Field(job.experiment) + "," + Field(job.label) + "," +
                              job.run->id + "," + job.run->state + ",";
    for (const auto& [name, curve] : job.run->curves) {
      for (const report::Sample& sample : curve) {
        out += place + std::to_string(sample.attempt) + "," + Field(name) + "," + std::to_string(sample.step) + "," +
               std::to_string(sample.step * TokensAStep(*job.run)) + "," + ExactText(sample.value) + "\n";
      }
    }
  }
  return out;
}

}  // namespace sink::exports
