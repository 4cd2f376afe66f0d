// See backup.h. The order of Make: database to sink.db.part, checkpoints beside those that are there, database into its
// place, then the checkpoints that nobody names any more.
#include "coordinator/backup/backup.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "coordinator/backup/data_folder.h"
#include "coordinator/backup/replacement.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/begun_salvage.h"
#include "coordinator/store/checkpoint_folder.h"
#include "coordinator/store/database_copy.h"
#include "coordinator/store/folder_lock.h"
#include "coordinator/store/lost_commits.h"
#include "proto/files/descriptor.h"
#include "proto/files/files.h"
#include "proto/files/hash.h"

namespace sink::backup {
namespace {

namespace fs = std::filesystem;
using store::DatabaseCopy;

constexpr int kTries = 4;  // a checkpoint that is pushed out while it is copied asks for a newer look at the database
constexpr mode_t kFolderMode = 0700, kFileMode = 0600, kPassableMode = 0755;
constexpr size_t kMostKeyBytes = 1 << 20, kBlockBytes = 1 << 20;

std::string IdentityPath(const std::string& folder) { return InFolder(folder, "tls"); }

// Only the folder itself is for its owner alone: who owns it, a user of the system's own perhaps, passes through those
// above it.
absl::Status MakeOwnFolder(std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  SINK_RETURN_IF_ERROR(ToStatus(files::MakeFolders(files::FolderOf(folder), kPassableMode)));
  return ToStatus(files::MakeFolders(folder, kFolderMode));
}

// OK when every byte is as it was committed.
absl::Status CheckFiles(const std::string& folder, const Checkpoint& row) {
  for (const CheckpointFile& file : row.files) {
    const std::string path = absl::StrCat(folder, "/", file.name);
    const auto digest = files::HashFile(path);
    if (!digest.ok()) return ToStatus(digest.error());
    if (*digest != files::FileDigest{file.size, file.xxh3}) {
      return absl::DataLossError(absl::StrCat(path, " is not what was committed"));
    }
  }
  return absl::OkStatus();
}

// A file that cannot be read is the checkpoint's damage, and no reason to have no copy of all else; one that cannot be
// written is.
absl::Status Unreadable(const files::FileError& error) {
  return error.code() == EIO ? absl::DataLossError(error.message()) : ToStatus(error);
}

absl::Status CopyFile(const std::string& from, const std::string& to) {
  std::error_code ignored;
  if (!fs::is_regular_file(from, ignored)) return absl::DataLossError(absl::StrCat(from, " is no file any more"));
  const auto source = files::Open(from, O_RDONLY);
  if (!source.ok()) return Unreadable(source.error());
  const auto target = files::Open(to, O_WRONLY | O_CREAT | O_EXCL, kFileMode);
  if (!target.ok()) return ToStatus(target.error());
  std::string block;
  uint64_t offset = 0;
  do {
    if (const auto failed = files::ReadAt(*source, from, offset, kBlockBytes, &block)) return Unreadable(failed);
    if (const auto failed = files::WriteAll(*target, to, block)) return ToStatus(failed);
    offset += block.size();
  } while (block.size() == kBlockBytes);
  return ToStatus(files::Sync(*target, to));
}

absl::Status CopyFolder(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::remove_all(to, error);
  SINK_RETURN_IF_ERROR(ToStatus(files::MakeFolders(to, kFolderMode)));
  for (fs::directory_iterator it(from, error), end; !error && it != end; it.increment(error)) {
    SINK_RETURN_IF_ERROR(CopyFile(it->path().string(), absl::StrCat(to, "/", it->path().filename().string())));
  }
  if (error) return SystemStatus(error.value(), "list", from);
  return ToStatus(files::SyncFolder(to));
}

// Of a checkpoint that is there already, whose files never change but for what their disk does to them.
enum class Present { kTaken, kReadAgain };

// NOT_FOUND or DATA_LOSS: the checkpoint itself is gone or damaged where it comes from.
absl::Status CopyCheckpoint(const std::string& from, const std::string& to, const Checkpoint& row, Present present,
                            uint64_t* bytes) {
  const std::string target = CheckpointPath(to, row), part = target + ".part";
  if (IsThere(target) && (present == Present::kTaken || CheckFiles(target, row).ok())) return absl::OkStatus();
  const auto remove_part = absl::MakeCleanup([&part] {
    std::error_code ignored;
    fs::remove_all(part, ignored);
  });
  if (!IsThere(CheckpointPath(from, row))) return absl::NotFoundError("the checkpoint's files are gone");
  SINK_RETURN_IF_ERROR(CopyFolder(CheckpointPath(from, row), part));
  SINK_RETURN_IF_ERROR(CheckFiles(part, row));
  for (const CheckpointFile& file : row.files) *bytes += file.size;
  std::error_code ignored;
  fs::remove_all(target, ignored);  // what was damaged
  return ToStatus(files::RenameDurably(part, target));
}

absl::StatusOr<std::vector<Checkpoint>> CopyCheckpoints(const std::string& from, const std::string& to,
                                                        const std::vector<Checkpoint>& rows, Present present,
                                                        uint64_t* bytes) {
  std::vector<Checkpoint> lost;
  for (const Checkpoint& row : rows) {
    const absl::Status status = CopyCheckpoint(from, to, row, present, bytes);
    if (absl::IsNotFound(status) || absl::IsDataLoss(status)) {
      lost.push_back(row);
    } else if (!status.ok()) {
      return status;
    }
  }
  return lost;
}

// What the copy of before in `to` names; nothing where there is none, or none that can be read. `place`: for a copy of
// its database, which may be an older program's.
absl::StatusOr<std::vector<Checkpoint>> ListFormer(const std::string& to, const std::string& place) {
  if (!IsThere(DatabasePath(to))) return std::vector<Checkpoint>();
  auto former = DatabaseCopy::Take(DatabasePath(to), place, store::Source::kAtRest);
  if (absl::IsDataLoss(former.status()) || absl::IsFailedPrecondition(former.status()))
    return std::vector<Checkpoint>();
  if (!former.ok()) return former.status();
  return former->ListCheckpoints();
}

// For each job that has lost some, the newest of those `before` that lies whole in `to`, where it is later than all
// that the job has left. None that is later than what it has lost: the job does not know it any more.
std::vector<Checkpoint> ChooseStandIns(const std::string& to, const std::vector<Checkpoint>& left,
                                       const std::vector<Checkpoint>& lost, std::vector<Checkpoint> before) {
  struct Newest {
    int64_t left = -1, lost = -1;
  };
  std::map<std::string, Newest> jobs;
  for (const Checkpoint& row : lost) jobs[row.job_id].lost = std::max(jobs[row.job_id].lost, row.step);
  for (const Checkpoint& row : left) {
    if (const auto job = jobs.find(row.job_id); job != jobs.end())
      job->second.left = std::max(job->second.left, row.step);
  }
  std::sort(before.begin(), before.end(), [](const Checkpoint& a, const Checkpoint& b) { return a.step > b.step; });
  std::vector<Checkpoint> chosen;
  for (const Checkpoint& row : before) {
    const auto job = jobs.find(row.job_id);
    if (job == jobs.end() || row.step <= job->second.left || row.step > job->second.lost) continue;
    if (!CheckFiles(CheckpointPath(to, row), row).ok()) continue;
    job->second.left = row.step;
    chosen.push_back(row);
  }
  return chosen;
}

// Names in `copy` what stands in for what was lost, out of `tried` and of what the copy of before names. `former`: as
// ListFormer's place.
absl::Status AddStandIns(const std::string& to, const std::string& former, const std::vector<Checkpoint>& lost,
                         const std::vector<Checkpoint>& tried, DatabaseCopy* copy) {
  SINK_ASSIGN_OR_RETURN(std::vector<Checkpoint> before, ListFormer(to, former));
  before.insert(before.end(), tried.begin(), tried.end());
  SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> left, copy->ListCheckpoints());
  return copy->Add(ChooseStandIns(to, left, lost, std::move(before)));
}

// Who may call (coordinator/identity/authority.h): the authority's key, the server's credential, and the databases of
// principals and of what they did. File by file, because none depends on how new another is.
absl::Status CopyIdentity(const std::string& from, const std::string& to, store::Source source) {
  if (!IsThere(from)) return absl::OkStatus();  // a coordinator of before there were certificates
  SINK_RETURN_IF_ERROR(ToStatus(files::MakeFolders(to, kFolderMode)));
  std::error_code error;
  for (fs::recursive_directory_iterator it(from, error), end; !error && it != end; it.increment(error)) {
    const std::string target = absl::StrCat(to, "/", fs::relative(it->path(), from).string());
    const std::string ending = it->path().extension().string();
    if (it->is_directory()) {
      SINK_RETURN_IF_ERROR(ToStatus(files::MakeFolders(target, kFolderMode)));
    } else if (ending == ".db") {
      const std::string part = target + ".part";
      SINK_RETURN_IF_ERROR(store::CopyDatabase(it->path().string(), part, source));
      SINK_RETURN_IF_ERROR(ToStatus(files::SyncFile(part)));
      store::RemoveLog(target);
      SINK_RETURN_IF_ERROR(ToStatus(files::RenameDurably(part, target)));
    } else if (ending == ".pem") {
      const auto text = files::ReadFile(it->path().string(), kMostKeyBytes);
      if (!text.ok()) return ToStatus(text.error());
      SINK_RETURN_IF_ERROR(ToStatus(files::ReplaceFile(target, *text, kFileMode)));
    }
  }
  return error ? SystemStatus(error.value(), "list", from) : absl::OkStatus();
}

// One that is there is newer: it knows who was revoked since.
absl::Status RestoreIdentity(const std::string& from, const std::string& data) {
  const std::string place = IdentityPath(data), part = place + ".part";
  if (IsThere(place) || !IsThere(IdentityPath(from))) return absl::OkStatus();
  std::error_code ignored;
  fs::remove_all(part, ignored);
  SINK_RETURN_IF_ERROR(CopyIdentity(IdentityPath(from), part, store::Source::kAtRest));
  return ToStatus(files::RenameDurably(part, place));
}

// The copy's database knows the folder that its checkpoints lie in, which is another than that of the original.
absl::Status KnowFolder(const std::string& folder, DatabaseCopy* copy) {
  SINK_ASSIGN_OR_RETURN(const int64_t id, store::GiveFolderId(CheckpointsFolder(folder)));
  return copy->SetFolderId(id);
}

// What is missing in a folder that is not the one of the database's checkpoints is not lost.
absl::Status RefuseAway(const std::string& data, const std::vector<Checkpoint>& rows, DatabaseCopy* copy) {
  const std::string folder = CheckpointsFolder(data);
  SINK_ASSIGN_OR_RETURN(const bool away, copy->IsAway(folder));
  if (!away || rows.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the checkpoints of ", data, " are away: ", folder,
                                                    " is not the folder that its database knows (",
                                                    store::kFolderIdName, "); mount their disk there, and try again"));
}

// A coordinator that has begun anew, after its folder was lost say, must not take the place of the copy of what it was:
// each start of one makes its epoch larger. `part`: the new copy of its database.
absl::Status RefuseYounger(const std::string& data, const std::string& part, const std::string& to) {
  const uint64_t here = store::EpochOf(part), there = store::EpochOf(DatabasePath(to));
  if (here >= there) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      to, " has the copy of a coordinator whose last start was number ", there, ", and that of the one in ", data,
      " was ", here,
      ": it was begun anew, or is another; put the copy back (sink-backup restore), or choose another folder"));
}

// Removes the checkpoints in a backup's folder that it does not name.
void Prune(const std::string& folder, const std::vector<Checkpoint>& rows) {
  std::set<std::string> named;
  for (const Checkpoint& row : rows) named.insert(CheckpointPath(folder, row));
  std::error_code error;
  std::vector<fs::path> unnamed, emptied;
  for (fs::recursive_directory_iterator it(CheckpointsFolder(folder), error), end; !error && it != end;
       it.increment(error)) {
    if (it.depth() == 0 && it->path() == SetAsideFolder(folder)) {
      it.disable_recursion_pending();
      continue;
    }
    if (it.depth() == 0 && it->path().filename() == store::kFolderIdName) continue;
    if (it.depth() < 2) {
      emptied.push_back(it->path());
      continue;
    }
    it.disable_recursion_pending();
    if (named.count(it->path().string()) == 0) unnamed.push_back(it->path());
  }
  for (const fs::path& path : unnamed) fs::remove_all(path, error);
  for (auto path = emptied.rbegin(); path != emptied.rend(); ++path) fs::remove(*path, error);  // only where empty
}

}  // namespace

absl::StatusOr<Report> Make(const std::string& data, const std::string& to, bool read_again) {
  std::error_code ignored;
  if (fs::equivalent(data, to, ignored)) {
    return absl::FailedPreconditionError(absl::StrCat(to, " is the data folder itself: choose another for the copy"));
  }
  SINK_RETURN_IF_ERROR(store::RefuseBegunSalvage(data));
  // Before anything in the copy changes.
  for (const char* name : kDatabases)
    SINK_RETURN_IF_ERROR(store::CheckLogAndCommits(InFolder(data, name), store::Use::kShared));
  SINK_RETURN_IF_ERROR(ToStatus(files::MakeFolders(to, kFolderMode)));
  SINK_ASSIGN_OR_RETURN(const int lock, store::LockFolder(to));
  const auto unlock = absl::MakeCleanup([lock] { close(lock); });
  SINK_RETURN_IF_ERROR(store::RefuseBegunSalvage(to));
  const std::string part = PartOf(DatabasePath(to)), former = DatabasePath(to) + ".former";
  const auto remove_parts = absl::MakeCleanup([&] {
    store::RemoveDatabase(part);
    store::RemoveDatabase(former);
  });
  Report report;
  const Present present = read_again ? Present::kReadAgain : Present::kTaken;
  std::vector<Checkpoint> rows, tried;
  std::set<std::string> behind;  // jobs whose checkpoints newer ones have pushed out: they are the first to be copied
  for (int tries = 1;; ++tries) {
    SINK_ASSIGN_OR_RETURN(DatabaseCopy copy, DatabaseCopy::Take(DatabasePath(data), part, store::Source::kInUse));
    SINK_ASSIGN_OR_RETURN(rows, copy.ListCheckpoints());
    SINK_RETURN_IF_ERROR(RefuseAway(data, rows, &copy));
    std::stable_partition(rows.begin(), rows.end(), [&](const Checkpoint& row) { return behind.contains(row.job_id); });
    SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> lost, CopyCheckpoints(data, to, rows, present, &report.bytes));
    if (!lost.empty() && tries < kTries) {
      tried.insert(tried.end(), rows.begin(), rows.end());
      behind.clear();
      for (const Checkpoint& row : lost) behind.insert(row.job_id);
      continue;
    }
    SINK_RETURN_IF_ERROR(copy.Forget(lost));
    report.lost_checkpoints = static_cast<int64_t>(lost.size());
    if (!lost.empty()) SINK_RETURN_IF_ERROR(AddStandIns(to, former, lost, tried, &copy));
    SINK_ASSIGN_OR_RETURN(report.begun_anew, copy.ListBegunAnew(lost));
    SINK_ASSIGN_OR_RETURN(rows, copy.ListCheckpoints());
    report.checkpoints = static_cast<int64_t>(rows.size());
    SINK_ASSIGN_OR_RETURN(report.jobs, copy.CountJobs());
    SINK_RETURN_IF_ERROR(KnowFolder(to, &copy));
    SINK_RETURN_IF_ERROR(copy.Close());
    break;
  }
  SINK_RETURN_IF_ERROR(RefuseYounger(data, part, to));
  SINK_RETURN_IF_ERROR(CopyIdentity(IdentityPath(data), IdentityPath(to), store::Source::kInUse));
  SINK_RETURN_IF_ERROR(ToStatus(files::SyncFile(part)));
  store::RemoveLog(DatabasePath(to));
  SINK_RETURN_IF_ERROR(ToStatus(files::RenameDurably(part, DatabasePath(to))));
  // Where files are gone that should be there, what the copy has of before may be all that there is.
  if (report.lost_checkpoints == 0) Prune(to, rows);
  return report;
}

absl::StatusOr<Report> Restore(const std::string& from, const std::string& data, const RestoreOptions& options) {
  SINK_RETURN_IF_ERROR(MakeOwnFolder(data));
  SINK_ASSIGN_OR_RETURN(const int lock, store::LockFolder(data));
  const auto unlock = absl::MakeCleanup([lock] { close(lock); });
  SINK_RETURN_IF_ERROR(store::RefuseBegunSalvage(data));
  const std::string place = DatabasePath(data), part = PartOf(place);
  if (IsThere(place) && !options.replace) {
    return absl::FailedPreconditionError(
        absl::StrCat(data, " has a database: restore into another folder, or take its place with --replace"));
  }
  auto remove_part = absl::MakeCleanup([&part] { store::RemoveDatabase(part); });
  Report report;
  Replacement replacement{.databases = {kJobsDatabase}, .checkpoints = {}};
  {
    SINK_ASSIGN_OR_RETURN(DatabaseCopy copy, DatabaseCopy::Take(DatabasePath(from), part, store::Source::kAtRest));
    SINK_ASSIGN_OR_RETURN(std::vector<Checkpoint> rows, copy.ListCheckpoints());
    SINK_RETURN_IF_ERROR(RefuseAway(from, rows, &copy));
    SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> lost,
                          CopyCheckpoints(from, data, rows, Present::kReadAgain, &report.bytes));
    SINK_RETURN_IF_ERROR(copy.Forget(lost));
    SINK_RETURN_IF_ERROR(copy.PrepareRestored(store::EpochOf(place), options.unix_seconds));
    report.lost_checkpoints = static_cast<int64_t>(lost.size());
    SINK_ASSIGN_OR_RETURN(report.begun_anew, copy.ListBegunAnew(lost));
    SINK_ASSIGN_OR_RETURN(rows, copy.ListCheckpoints());
    report.checkpoints = static_cast<int64_t>(rows.size());
    SINK_ASSIGN_OR_RETURN(report.jobs, copy.CountJobs());
    SINK_RETURN_IF_ERROR(KnowFolder(data, &copy));
    SINK_RETURN_IF_ERROR(copy.Close());
    SINK_ASSIGN_OR_RETURN(replacement.checkpoints, ListUnnamed(data, rows));
  }
  replacement.jobs = report.jobs;
  SINK_RETURN_IF_ERROR(RestoreIdentity(from, data));
  std::move(remove_part).Cancel();
  SINK_RETURN_IF_ERROR(BeginReplacement(data, replacement));
  SINK_ASSIGN_OR_RETURN(const Replaced replaced, FinishReplacement(data));
  if (!replaced.set_aside.empty()) report.set_aside = replaced.set_aside.front();
  report.checkpoints_set_aside = replaced.checkpoints;
  return report;
}

}  // namespace sink::backup
