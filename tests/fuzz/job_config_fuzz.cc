// Any bytes as a job's configuration and as a model's config.json: read or refused, and what is read prints
// canonically.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proto/config/job_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto job = sink::ParseJobConfig(text); job.config) {
    const std::string printed = sink::PrintJobConfig(*job.config);
    const auto again = sink::ParseJobConfig(printed);
    if (!again.config || sink::PrintJobConfig(*again.config) != printed) std::abort();
  } else if (job.error.empty()) {
    std::abort();
  }
  if (const auto model = sink::ParseHuggingFaceConfig(text); model.config) {
    const auto again = sink::ParseHuggingFaceConfig(sink::PrintHuggingFaceConfig(*model.config));
    if (!again.config) std::abort();
  } else if (model.error.empty()) {
    std::abort();
  }
  return 0;
}
