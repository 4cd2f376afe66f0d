#include "proto/run/job_file.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace sink::run {
namespace {

using Json = nlohmann::json;

// Sets the field `key` of the job; returns what is wrong with the value, "" if nothing is.
std::string SetField(const std::string& key, const Json& value, JobFile* job) {
  const std::pair<const char*, std::string*> texts[] = {
      {"job", &job->job}, {"data_root", &job->data_root}, {"model", &job->model}, {"device", &job->device}};
  for (const auto& [name, field] : texts) {
    if (key != name) continue;
    if (!value.is_string()) return key + ": must be a string";
    *field = value.get<std::string>();
    return "";
  }
  if (key == "attempt") {
    if (!value.is_number_unsigned()) return "attempt: must be a whole number";
    job->attempt = value.get<int64_t>();
    return "";
  }
  if (key == "config") {
    const JobConfigResult config = ParseJobConfig(value.dump());
    if (!config.config) return "config: " + (config.path.empty() ? "" : config.path + ": ") + config.error;
    job->config = *config.config;
    return "";
  }
  return "unknown field '" + key + "'; known are job, attempt, config, data_root, model, device";
}

}  // namespace

std::optional<std::string> PrintJobFile(const JobFile& job, const std::string& config_json) {
  Json config = Json::parse(config_json, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) return std::nullopt;
  Json root = {{"job", job.job},
               {"attempt", job.attempt},
               {"config", std::move(config)},
               {"data_root", job.data_root},
               {"device", job.device}};
  if (!job.model.empty()) root["model"] = job.model;
  try {
    return root.dump(2) + "\n";
  } catch (const Json::type_error&) {
    return std::nullopt;
  }
}

JobFileResult ParseJobFile(const std::string& text) {
  const Json root = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object()) return {std::nullopt, "not a JSON object"};
  JobFile job;
  for (const auto& [key, value] : root.items()) {
    if (const std::string error = SetField(key, value, &job); !error.empty()) return {std::nullopt, error};
  }
  for (const char* key : {"job", "config", "data_root"}) {
    if (!root.contains(key)) return {std::nullopt, std::string("field '") + key + "' is missing"};
  }
  return {std::move(job), ""};
}

}  // namespace sink::run
