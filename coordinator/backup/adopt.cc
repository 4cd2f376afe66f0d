// See adopt.h. The row before the move: a coordinator that is started between the two misses the files and leaves them
// where they are, while one that finds files without a row removes them.
#include "coordinator/backup/adopt.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/backup/data_folder.h"
#include "coordinator/backup/ownership.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/job.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/begun_salvage.h"
#include "coordinator/store/restored.h"
#include "coordinator/store/sqlite_store.h"
#include "proto/files/files.h"
#include "proto/run/manifest.h"

namespace sink::backup {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kPlaceMode = 0700;

struct KnownJob {
  Job job;
  std::vector<Checkpoint> rows;  // newest first
  std::vector<Attempt> attempts;
};

absl::StatusOr<std::string> FindJob(store::Snapshot& rows, const std::string& name) {
  SINK_ASSIGN_OR_RETURN(const std::vector<std::string> ids, rows.FindJobs(name));
  if (ids.empty()) return absl::NotFoundError(absl::StrCat("no job ", name, " in the database"));
  if (ids.size() > 1) return absl::InvalidArgumentError(absl::StrCat("several jobs begin with ", name));
  return ids.front();
}

// Nothing for a job that the database does not know.
absl::StatusOr<std::optional<KnownJob>> GetJob(store::Snapshot& rows, const std::string& id) {
  KnownJob known;
  auto job = rows.GetJob(id);
  if (absl::IsNotFound(job.status())) return std::nullopt;
  if (!job.ok()) return job.status();
  known.job = *std::move(job);
  SINK_ASSIGN_OR_RETURN(known.rows, rows.ListCheckpoints(id));
  SINK_ASSIGN_OR_RETURN(known.attempts, rows.ListAttempts(id));
  return known;
}

// Those named, or all that have something set aside; none that has ended.
absl::StatusOr<std::vector<KnownJob>> ChooseJobs(store::JobStore& store, const std::string& aside,
                                                 const std::vector<std::string>& names) {
  std::vector<std::string> ids;
  if (names.empty()) {
    SINK_ASSIGN_OR_RETURN(const std::vector<CheckpointKey> all, ListComplete(aside));
    for (const CheckpointKey& key : all) ids.push_back(key.job_id);
  }
  std::vector<KnownJob> chosen;
  SINK_RETURN_IF_ERROR(store.Read([&](store::Snapshot& rows) -> absl::Status {
    for (const std::string& name : names) {
      SINK_ASSIGN_OR_RETURN(ids.emplace_back(), FindJob(rows, name));
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    for (const std::string& id : ids) {
      SINK_ASSIGN_OR_RETURN(std::optional<KnownJob> known, GetJob(rows, id));
      if (!known) continue;
      if (!IsFinal(known->job.state)) {
        chosen.push_back(*std::move(known));
      } else if (!names.empty()) {
        return absl::FailedPreconditionError(absl::StrCat("job ", id, " has ended, and goes on from no checkpoint"));
      }
    }
    return absl::OkStatus();
  }));
  return chosen;
}

// DATA_LOSS: the checkpoint is not whole, or not that of `row`, where there is one.
absl::StatusOr<run::Manifest> Verify(const std::string& folder, int64_t step, const Checkpoint* row) {
  const auto failed = [](const files::FileError& error) {
    for (const int damage : {files::kDamaged, ENOENT, ELOOP, ENOTDIR, EFBIG, EIO}) {
      if (error.code() == damage) return absl::DataLossError(error.message());
    }
    return ToStatus(error);
  };
  auto manifest = run::ReadManifest(folder);
  if (!manifest.ok()) return failed(manifest.error());
  if (manifest->step != step) {
    return absl::DataLossError(absl::StrCat(folder, "/", run::kManifestName, " is that of step ", manifest->step));
  }
  if (row != nullptr && row->manifest_hash != manifest->hash) {
    return absl::DataLossError(absl::StrCat(folder, " is not the checkpoint that the database names"));
  }
  if (const auto error = run::VerifyCheckpoint(folder, *manifest)) return failed(error);
  return *std::move(manifest);
}

const Checkpoint* RowOf(const KnownJob& known, const CheckpointKey& key) {
  const auto row = std::find_if(known.rows.begin(), known.rows.end(), [&](const auto& r) { return KeyOf(r) == key; });
  return row == known.rows.end() ? nullptr : &*row;
}

Checkpoint MakeRow(const KnownJob& known, const CheckpointKey& key, const run::Manifest& manifest,
                   const std::string& folder) {
  Checkpoint row{.job_id = key.job_id,
                 .step = key.step,
                 .attempt = known.job.attempt,
                 .fence = key.fence,
                 .manifest_hash = manifest.hash,
                 .files = {}};
  for (const run::ManifestFile& file : manifest.files) row.files.push_back({file.name, file.size, file.xxh3});
  for (const Attempt& attempt : known.attempts) {
    if (attempt.fence == key.fence) row.attempt = attempt.attempt;
  }
  struct stat info = {};
  const std::string path = InFolder(folder, run::kManifestName);
  if (stat(path.c_str(), &info) == 0) row.committed_ms = int64_t{info.st_mtime} * 1000;
  // What was measured since is not known.
  if (!known.rows.empty()) row.validation_loss = known.rows.front().validation_loss;
  return row;
}

// In the job's log, for who wonders at its curves.
LogLine AdoptionLine(const KnownJob& known, int64_t step, int64_t unix_seconds) {
  LogLine line;
  line.time_ms = unix_seconds * 1000;
  line.attempt = known.job.attempt;
  line.level = "warning";
  line.text =
      absl::StrCat("the checkpoint of step ", step, " was adopted (sink-backup adopt): the job goes on from there");
  if (known.job.progress.step < step)
    absl::StrAppend(&line.text, ", and its points between step ", known.job.progress.step, " and that are missing");
  return line;
}

absl::Status PutRow(store::JobStore& store, const Checkpoint& row, const LogLine& line) {
  return store.Write([&](store::Transaction& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const uint64_t epoch, rows.GetEpoch());
    const uint64_t given = store::EpochOfFence(row.fence);
    if (epoch < given) SINK_RETURN_IF_ERROR(rows.SetEpoch(given));
    SINK_RETURN_IF_ERROR(rows.AppendLogs(row.job_id, {line}));
    return rows.PutCheckpoint(row);
  });
}

absl::Status MoveBack(const std::string& from, const std::string& place) {
  SINK_RETURN_IF_ERROR(ToStatus(files::MakeFolders(files::FolderOf(place), kPlaceMode)));
  SINK_RETURN_IF_ERROR(ToStatus(files::RenameDurably(from, place)));
  std::error_code ignored;
  const fs::path fence = fs::path(from).parent_path();
  if (fs::remove(fence, ignored)) fs::remove(fence.parent_path(), ignored);  // only where empty
  return absl::OkStatus();
}

absl::Status Take(store::JobStore& store, const std::string& data, const KnownJob& known, const CheckpointKey& key,
                  const run::Manifest& manifest, int64_t unix_seconds) {
  const std::string name = CheckpointName(key);
  const std::string from = InFolder(SetAsideFolder(data), name), place = InFolder(CheckpointsFolder(data), name);
  if (RowOf(known, key) == nullptr) {
    // What is there without a row, and this is the same whole: the next start would remove it.
    std::error_code error;
    fs::remove_all(place, error);
    if (error) return SystemStatus(error.value(), "remove", place);
    SINK_RETURN_IF_ERROR(
        PutRow(store, MakeRow(known, key, manifest, from), AdoptionLine(known, key.step, unix_seconds)));
  }
  return MoveBack(from, place);
}

// Whether the job may have it: it is later than all that the database names, or named and not in its place.
bool IsWanted(const std::string& data, const KnownJob& known, const CheckpointKey& key) {
  const int64_t newest = known.rows.empty() ? -1 : known.rows.front().step;
  if (key.step > newest) return true;
  return key.step == newest && RowOf(known, key) != nullptr &&
         !IsThere(InFolder(CheckpointsFolder(data), CheckpointName(key)));
}

absl::Status AdoptFor(store::JobStore& store, const std::string& data, const KnownJob& known, int64_t unix_seconds,
                      Adoption* adoption) {
  SINK_ASSIGN_OR_RETURN(std::vector<CheckpointKey> keys, ListComplete(SetAsideFolder(data), known.job.id));
  std::sort(keys.begin(), keys.end(), [](const CheckpointKey& a, const CheckpointKey& b) {
    return std::pair(a.step, a.fence) > std::pair(b.step, b.fence);
  });
  for (const CheckpointKey& key : keys) {
    if (!IsWanted(data, known, key)) continue;
    const auto manifest = Verify(InFolder(SetAsideFolder(data), CheckpointName(key)), key.step, RowOf(known, key));
    if (absl::IsDataLoss(manifest.status())) {
      adoption->damaged.push_back(
          absl::StrCat("step ", key.step, " of job ", key.job_id, ": ", std::string(manifest.status().message())));
      continue;
    }
    if (!manifest.ok()) return manifest.status();
    SINK_RETURN_IF_ERROR(Take(store, data, known, key, *manifest, unix_seconds));
    adoption->jobs.push_back({known.job.id, key.step, known.job.progress.step});
    break;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Adopt(const std::string& data, const std::vector<std::string>& jobs, int64_t unix_seconds,
                   Adoption* adoption) {
  if (!IsThere(DatabasePath(data)) && !IsThere(store::SalvageNote(data))) {
    return absl::FailedPreconditionError(absl::StrCat("there is no coordinator's database ", DatabasePath(data)));
  }
  SINK_ASSIGN_OR_RETURN(const std::unique_ptr<store::SqliteStore> store, store::SqliteStore::Open(data));
  SINK_ASSIGN_OR_RETURN(const std::vector<KnownJob> chosen, ChooseJobs(*store, SetAsideFolder(data), jobs));
  absl::Status status;
  for (const KnownJob& known : chosen) {
    status = AdoptFor(*store, data, known, unix_seconds, adoption);
    if (!status.ok()) break;
  }
  status.Update(GiveToOwner(data));
  return status;
}

}  // namespace sink::backup
