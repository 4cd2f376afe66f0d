#include "model/train/run/job_file.h"

#include <nlohmann/json.hpp>
#include <system_error>

#include "model/backend/device.h"
#include "model/train/link/train_error.h"
#include "model/train/run/files.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr size_t kMaxBytes = 128 * 1024;

std::string ReadInput(const fs::path& path) {
  try {
    return ReadFile(path, kMaxBytes);
  } catch (const std::system_error& e) {
    throw UserError(e.what());
  }
}

JobConfig ParseConfig(const std::string& text, const std::string& where) {
  JobConfigResult result = ParseJobConfig(text);
  if (!result.config) throw UserError(where + ": " + (result.path.empty() ? "" : result.path + ": ") + result.error);
  return *result.config;
}

}  // namespace

JobFile ReadJobFile(const fs::path& run_dir) {
  const std::string where = (run_dir / "job.json").string();
  const Json root = Json::parse(ReadInput(where), nullptr, /*allow_exceptions=*/false);
  if (!root.is_object()) throw UserError(where + ": not a JSON object");
  JobFile job;
  for (const auto& [key, value] : root.items()) {
    const auto text = [&, key = key, &value = value] {
      if (!value.is_string()) throw UserError(where + ": " + key + ": must be a string");
      return value.get<std::string>();
    };
    if (key == "job") {
      job.job = text();
    } else if (key == "data_root") {
      job.data_root = text();
    } else if (key == "model") {
      job.model = text();
    } else if (key == "device") {
      job.device = text();
    } else if (key == "attempt") {
      if (!value.is_number_unsigned()) throw UserError(where + ": attempt: must be a whole number");
      job.attempt = value.get<int64_t>();
    } else if (key == "config") {
      job.config = ParseConfig(value.dump(), where + ": config");
    } else {
      throw UserError(where + ": unknown field '" + key +
                      "'; known are job, attempt, config, data_root, model, device");
    }
  }
  for (const char* key : {"job", "config", "data_root"})
    if (!root.contains(key)) throw UserError(where + ": field '" + key + "' is missing");
  if (job.config.kind == JobKind::kEvaluate && job.model.empty())
    throw UserError(where + ": field 'model', the folder to measure, is missing; by hand, use sink-eval");
  if (!IsDeviceName(job.device)) throw UserError(where + ": device: must be \"cpu\" or \"cuda:N\"");
  return job;
}

void WriteJobFile(const fs::path& run_dir, const fs::path& config_file, const std::string& data_root,
                  const std::string& device) {
  const JobConfig config = ParseConfig(ReadInput(config_file), config_file.string());
  const Json root = {{"job", JobId(config)},
                     {"attempt", 1},
                     {"config", Json::parse(PrintJobConfig(config))},
                     {"data_root", fs::absolute(data_root).lexically_normal().string()},
                     {"device", device}};
  const std::string text = root.dump(2) + "\n";
  const fs::path path = run_dir / "job.json";
  if (fs::exists(path) && ReadInput(path) != text)
    throw UserError(path.string() + " exists and differs; leave out --config to resume it, or use another folder");
  try {
    fs::create_directories(run_dir);
    WriteFile(path, text);
  } catch (const std::system_error& e) {
    throw UserError(e.what());
  }
}

}  // namespace sink::train
