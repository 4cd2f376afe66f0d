#include "model/train/run/job_file.h"

#include "model/backend/device.h"
#include "model/base/or_throw.h"
#include "model/train/link/train_error.h"
#include "proto/files/files.h"
#include "proto/run/set_fingerprint.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;

std::string ReadInput(const fs::path& path) { return OrThrow<UserError>(files::ReadFile(path, run::kMaxJobFileBytes)); }

}  // namespace

JobFile ReadJobFile(const fs::path& run_dir) {
  const std::string where = (run_dir / run::kJobFileName).string();
  const run::JobFileResult result = run::ParseJobFile(ReadInput(where));
  if (!result.job) throw UserError(where + ": " + result.error);
  const JobFile& job = *result.job;
  if (job.config.kind == JobKind::kEvaluate && job.model.empty())
    throw UserError(where + ": field 'model', the folder to measure, is missing; by hand, use sink-eval");
  if (!IsDeviceName(job.device)) throw UserError(where + ": device: must be \"cpu\" or \"cuda:N\"");
  return job;
}

void WriteJobFile(const fs::path& run_dir, const fs::path& config_file, const std::string& data_root,
                  const std::string& device) {
  const JobConfigResult config = ParseJobConfig(ReadInput(config_file));
  if (!config.config) {
    throw UserError(config_file.string() + ": " + (config.path.empty() ? "" : config.path + ": ") + config.error);
  }
  const JobFile job = {.job = JobId(*config.config),
                       .attempt = 1,
                       .config = *config.config,
                       .data_root = fs::absolute(data_root).lexically_normal().string(),
                       .model = {},
                       .device = device};
  const std::optional<std::string> text = run::PrintJobFile(job, PrintJobConfig(job.config));
  if (!text) throw UserError("--data-root, --device: must be UTF-8");
  const fs::path path = run_dir / run::kJobFileName;
  if (fs::exists(path) && ReadInput(path) != *text)
    throw UserError(path.string() + " exists and differs; leave out --config to resume it, or use another folder");
  OrThrow<UserError>(files::MakeFolders(run_dir));
  OrThrow<UserError>(files::ReplaceFile(path, *text));
}

std::string DataContent(const JobFile& job) {
  const auto content = run::SetFingerprint((fs::path(job.data_root) / job.config.data.set).string());
  return content.ok() ? *content : "";
}

}  // namespace sink::train
