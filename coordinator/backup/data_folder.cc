// See data_folder.h.
#include "coordinator/backup/data_folder.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/restored.h"

namespace sink::backup {
namespace {

namespace fs = std::filesystem;

constexpr size_t kJobIdDigits = 32;

// The coordinator touches no other folder there.
bool IsJobId(const std::string& name) {
  return name.size() == kJobIdDigits && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// Nothing for what is still on its way, or is no checkpoint, such as one with a fence that no coordinator gives.
std::optional<CheckpointKey> ParseName(const fs::path& name) {
  CheckpointKey key{.job_id = name.parent_path().parent_path().string(), .fence = 0, .step = 0};
  const std::string fence = name.parent_path().filename().string(), step = name.filename().string();
  if (!absl::SimpleAtoi(fence, &key.fence) || store::EpochOfFence(key.fence) > store::kMostRestoredEpoch) return {};
  if (!step.starts_with("step-") || !absl::SimpleAtoi(step.substr(5), &key.step) || key.step < 0) return {};
  if (CheckpointName(key) != name.string()) return {};
  return key;
}

absl::StatusOr<std::vector<fs::path>> PathsIn(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  if (fs::status(folder, error).type() == fs::file_type::not_found) return paths;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    paths.push_back(it->path());
  }
  if (error && error != std::errc::not_a_directory) return SystemStatus(error.value(), "list", folder.string());
  return paths;
}

}  // namespace

std::string InFolder(const std::string& folder, const std::string& name) { return absl::StrCat(folder, "/", name); }
std::string DatabasePath(const std::string& folder) { return InFolder(folder, kJobsDatabase); }
std::string PartOf(const std::string& database) { return absl::StrCat(database, ".part"); }
std::string CheckpointsFolder(const std::string& folder) { return InFolder(folder, "checkpoints"); }
std::string SetAsideFolder(const std::string& folder) { return InFolder(CheckpointsFolder(folder), "set-aside"); }

std::string CheckpointName(const CheckpointKey& key) {
  return absl::StrCat(key.job_id, "/", key.fence, "/step-", key.step);
}

std::string CheckpointPath(const std::string& folder, const Checkpoint& row) {
  return InFolder(CheckpointsFolder(folder), CheckpointName(KeyOf(row)));
}

CheckpointKey KeyOf(const Checkpoint& row) { return {.job_id = row.job_id, .fence = row.fence, .step = row.step}; }

absl::StatusOr<std::vector<CheckpointKey>> ListComplete(const std::string& checkpoints, const std::string& job_id) {
  std::vector<CheckpointKey> found;
  SINK_ASSIGN_OR_RETURN(const std::vector<fs::path> jobs, PathsIn(checkpoints));
  for (const fs::path& job : jobs) {
    const std::string id = job.filename().string();
    if (!IsJobId(id) || (!job_id.empty() && id != job_id)) continue;
    SINK_ASSIGN_OR_RETURN(const std::vector<fs::path> fences, PathsIn(job));
    for (const fs::path& fence : fences) {
      SINK_ASSIGN_OR_RETURN(const std::vector<fs::path> steps, PathsIn(fence));
      for (const fs::path& step : steps) {
        const auto key = ParseName(fs::path(id) / fence.filename() / step.filename());
        std::error_code ignored;
        // A link would move without what it leads to.
        if (key && fs::is_directory(fs::symlink_status(step, ignored))) found.push_back(*key);
      }
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool IsThere(const std::string& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

}  // namespace sink::backup
