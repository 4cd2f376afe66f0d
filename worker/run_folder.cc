// See run_folder.h.
#include "worker/run_folder.h"

#include <errno.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "proto/files/files.h"
#include "proto/run/checkpoint_names.h"
#include "proto/run/job_file.h"

namespace sink::worker {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxLeaseBytes = 64 << 10;
constexpr size_t kMaxOutcomeBytes = 1 << 20;

std::string EncodeLease(const v1::LeaseRef& lease) {
  return nlohmann::json{
      {"job", lease.job_id()}, {"attempt", lease.attempt()}, {"fence", lease.fence()}, {"lease", lease.lease_id()}}
      .dump();
}

std::optional<v1::LeaseRef> DecodeLease(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  for (const char* key : {"job", "lease"}) {
    if (!json.contains(key) || !json[key].is_string()) return std::nullopt;
  }
  for (const char* key : {"attempt", "fence"}) {
    if (!json.contains(key) || !json[key].is_number_unsigned()) return std::nullopt;
  }
  v1::LeaseRef lease;
  lease.set_job_id(json["job"].get<std::string>());
  lease.set_attempt(json["attempt"].get<int32_t>());
  lease.set_fence(json["fence"].get<uint64_t>());
  lease.set_lease_id(json["lease"].get<std::string>());
  return lease;
}

std::vector<fs::path> Subfolders(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error)) found.push_back(it->path());
  }
  return found;
}

// Every run folder under `data`, grouped by job.
std::map<std::string, std::vector<fs::path>> ListRuns(const std::string& data) {
  std::map<std::string, std::vector<fs::path>> runs;
  for (const fs::path& job : Subfolders(fs::path(data) / "jobs")) runs[job.filename()] = Subfolders(job);
  return runs;
}

// Without its lease nothing of a run can be delivered; its checkpoints stay as those of one that is closed.
void SetAside(const fs::path& lease) {
  const std::string to = lease.string() + ".damaged";
  spdlog::error(
      "{} is damaged, or another folder's: what this attempt had still to deliver is not delivered. The file is now {}",
      lease.string(), to);
  if (const auto failed = files::RenameDurably(lease, to)) spdlog::error("{}", failed.message());
}

int64_t BytesIn(const fs::path& folder) {
  int64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored)) bytes += it->file_size(ignored);
  }
  return bytes;
}

}  // namespace

RunFolder::RunFolder(const std::string& data, const v1::LeaseRef& lease)
    : path_(absl::StrCat(data, "/jobs/", lease.job_id(), "/", lease.attempt(), "-", lease.fence())) {
  std::error_code ignored;
  if (const std::string own = absl::StrCat(path_, "-", lease.lease_id()); fs::exists(own, ignored)) path_ = own;
  marker_ = path_;
}

RunFolder RunFolder::ForNew(const std::string& data, const v1::LeaseRef& lease) {
  RunFolder folder(data, lease);
  std::error_code ignored;
  if (fs::exists(folder.path_, ignored)) folder.path_ = absl::StrCat(folder.path_, "-", lease.lease_id());
  folder.marker_ = folder.path_;
  return folder;
}

RunFolder RunFolder::OfRank(int rank) const {
  const std::string below = absl::StrCat("/rank-", rank);
  return {rank == 0 ? path_ : path_ + below, path_ + below};
}

absl::Status RunFolder::Create(const v1::LeaseRef& lease) const {
  if (const auto failed = files::MakeFolders(checkpoints())) return ToStatus(failed);
  return ToStatus(files::ReplaceFile(path_ + "/lease.json", EncodeLease(lease)));
}

absl::Status RunFolder::WriteJob(const v1::Grant& grant, const std::string& data_root, const std::string& model,
                                 const std::string& device) const {
  const run::JobFile job{.job = grant.lease().job_id(),
                         .attempt = grant.lease().attempt(),
                         .config = {},
                         .data_root = data_root,
                         .model = model,
                         .device = device};
  const std::optional<std::string> text = run::PrintJobFile(job, grant.config_json());
  if (!text)
    return absl::InvalidArgumentError("the job's configuration is not a JSON object, or a path here is not UTF-8");
  if (const auto failed = files::MakeFolders(checkpoints())) return ToStatus(failed);
  if (grant.has_gang()) {
    if (const auto failed = files::ReplaceFile(token(), grant.gang().token())) return ToStatus(failed);
  }
  return ToStatus(files::ReplaceFile(path_ + "/" + run::kJobFileName, *text));
}

absl::Status RunFolder::SaveOutcome(const Outcome& outcome) const {
  return ToStatus(files::ReplaceFile(path_ + "/outcome.json", EncodeOutcome(outcome)));
}

std::optional<Outcome> RunFolder::LoadOutcome() const {
  const std::string path = path_ + "/outcome.json";
  const auto text = files::ReadFile(path, kMaxOutcomeBytes);
  if (!text.ok() && text.error().code() == ENOENT) return std::nullopt;
  const auto outcome = text.ok() ? DecodeOutcome(*text) : ToStatus(text.error());
  if (outcome.ok()) return *outcome;
  return Failure(v1::INFRA, absl::StrCat("worker restarted, and how this attempt ended is lost: ", path,
                                         " is damaged: ", outcome.status().message()));
}

absl::Status RunFolder::Close() const {
  std::error_code ignored;
  fs::remove_all(spool(), ignored);
  fs::remove_all(upload(), ignored);
  fs::remove(token(), ignored);
  for (const fs::path& below : Subfolders(path_)) {
    if (absl::StartsWith(below.filename().string(), "rank-")) fs::remove(below / "token", ignored);
  }
  if (unlink((path_ + "/lease.json").c_str()) != 0 && errno != ENOENT) {
    return SystemStatus(errno, "delete", path_ + "/lease.json");
  }
  return ToStatus(files::SyncFolder(path_));
}

void RunFolder::Remove() const {
  std::error_code ignored;
  // The lease goes first: a half-deleted folder must not look like an attempt to deliver.
  fs::remove(path_ + "/lease.json", ignored);
  fs::remove_all(path_, ignored);
  fs::remove(fs::path(path_).parent_path(), ignored);  // the job's folder, if this was its last run
}

std::vector<v1::LeaseRef> FindOpenLeases(const std::string& data) {
  std::vector<v1::LeaseRef> leases;
  for (const auto& [job, runs] : ListRuns(data)) {
    for (const fs::path& run : runs) {
      const fs::path path = run / "lease.json";
      const auto text = files::ReadFile(path, kMaxLeaseBytes);
      if (!text.ok()) {
        if (text.error().code() != ENOENT)
          spdlog::error("this attempt is not gone on with, and its folder stays: {}", text.error().message());
        continue;
      }
      auto lease = DecodeLease(*text);
      if (lease && fs::path(RunFolder(data, *lease).path()) == run) {
        leases.push_back(*lease);
      } else {
        SetAside(path);
      }
    }
  }
  return leases;
}

std::vector<std::string> FindCheckpoints(const std::string& data, const std::string& job_id, int64_t step) {
  std::vector<std::string> found;
  for (const fs::path& run : Subfolders(fs::path(data) / "jobs" / job_id)) {
    const fs::path folder = run / run::kCheckpointsFolder / run::CheckpointFolderName(step);
    std::error_code ignored;
    if (fs::is_directory(folder, ignored)) found.push_back(folder.string());
  }
  return found;
}

void ApplyRetention(const std::string& data, const RetentionLimits& limits) {
  struct Run {
    fs::file_time_type closed_at;
    fs::path path;
    int64_t bytes;
  };
  std::vector<Run> kept;
  int64_t total = 0;
  std::error_code error;
  for (const auto& [job, runs] : ListRuns(data)) {
    std::vector<Run> closed;
    for (const fs::path& run : runs) {
      const int64_t bytes = BytesIn(run);
      total += bytes;
      if (!fs::exists(run / "lease.json", error)) closed.push_back({fs::last_write_time(run, error), run, bytes});
    }
    std::sort(closed.begin(), closed.end(), [](const Run& a, const Run& b) { return a.closed_at > b.closed_at; });
    for (size_t i = 0; i < closed.size(); ++i) {
      if (static_cast<int>(i) < limits.runs_per_job) {
        kept.push_back(closed[i]);
      } else {
        fs::remove_all(closed[i].path, error);
        total -= closed[i].bytes;
      }
    }
  }
  std::sort(kept.begin(), kept.end(), [](const Run& a, const Run& b) { return a.closed_at < b.closed_at; });
  for (const Run& run : kept) {
    if (total <= limits.total_bytes) break;
    fs::remove_all(run.path, error);
    fs::remove(run.path.parent_path(), error);
    total -= run.bytes;
  }
}

}  // namespace sink::worker
