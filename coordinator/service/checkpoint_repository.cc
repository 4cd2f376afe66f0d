// See checkpoint_repository.h.
#include "coordinator/service/checkpoint_repository.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <system_error>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/service/validate.h"
#include "coordinator/store/checkpoint_folder.h"
#include "proto/files/descriptor.h"
#include "proto/files/files.h"
#include "proto/files/hash.h"
#include "proto/run/checkpoint_names.h"
#include "proto/run/checkpoint_settings.h"
#include "proto/run/manifest.h"

namespace sink {
namespace {

namespace fs = std::filesystem;

constexpr char kListName[] = ".files";  // no file of a checkpoint starts with a dot
constexpr size_t kMaxListBytes = 1 << 20;
constexpr size_t kMaxOpen = 2;  // uploads of one attempt
constexpr mode_t kFolderMode = 0700;
constexpr mode_t kFileMode = 0600;

// What a missing or short file is called: bytes still to come, or damage.
absl::Status Missing(const std::string& file, uint64_t have, uint64_t want) {
  return absl::FailedPreconditionError(absl::StrCat(file, " has ", have, " of ", want, " bytes: write the rest first"));
}

// No link is followed out of the repository.
files::FileResult<files::Fd> OpenToRead(const std::string& path) { return files::Open(path, O_RDONLY | O_NOFOLLOW); }

bool Exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

// How much has come of a file; nothing where it cannot be read.
uint64_t SizeHere(const std::string& path) {
  const auto fd = OpenToRead(path);
  if (!fd.ok()) return 0;
  const auto size = files::SizeOf(*fd, path);
  return size.ok() ? *size : 0;
}

// Whether the file on disk is what the list says.
absl::Status CheckFile(const std::string& path, const CheckpointFile& file) {
  const auto fd = OpenToRead(path);
  if (!fd.ok()) return fd.error().code() == ENOENT ? Missing(file.name, 0, file.size) : ToStatus(fd.error());
  const auto size = files::SizeOf(*fd, path);
  if (!size.ok()) return ToStatus(size.error());
  if (*size < file.size) return Missing(file.name, *size, file.size);
  const auto digest = files::HashFile(*fd, path);
  if (!digest.ok()) return ToStatus(digest.error());
  if (*digest != files::FileDigest{file.size, file.xxh3}) {
    return absl::AbortedError(
        absl::StrCat(file.name, " does not have the hash in the checkpoint's list: it was discarded, send it again"));
  }
  return ToStatus(files::Sync(*fd, path));
}

// What keeps a manifest from being that of the checkpoint of this step and these files; "": nothing.
std::string FaultInManifest(const std::string& text, int64_t step, const std::vector<CheckpointFile>& files) {
  const auto manifest = run::ParseManifest(text, run::kManifestName);
  if (!manifest.ok()) return manifest.error().message();
  if (manifest->step != step) return absl::StrCat(run::kManifestName, " is that of step ", manifest->step);
  const auto sorted = [](const auto& listed) {
    std::vector<std::tuple<std::string, uint64_t, std::string>> all;
    for (const auto& file : listed) all.emplace_back(file.name, file.size, file.xxh3);
    std::sort(all.begin(), all.end());
    return all;
  };
  if (sorted(manifest->files) == sorted(files)) return "";
  return absl::StrCat(run::kManifestName, " lists other files than the checkpoint has");
}

// Whoever opens the checkpoint must not be told by it to run somebody's code, and whoever goes on from it knows it by
// its manifest alone.
absl::Status CheckContent(const std::string& folder, int64_t step, const std::vector<CheckpointFile>& files) {
  for (const CheckpointFile& file : files) {
    const bool is_manifest = file.name == run::kManifestName;
    if (!is_manifest && !run::IsSettingsFile(file.name)) continue;
    const auto text = files::ReadFile(absl::StrCat(folder, "/", file.name),
                                      is_manifest ? run::kMaxManifestBytes : run::kMaxSettingsBytes);
    if (!text.ok() && text.error().code() != EFBIG) return ToStatus(text.error());
    const std::string fault = !text.ok()    ? absl::StrCat(file.name, " is too large")
                              : is_manifest ? FaultInManifest(*text, step, files)
                                            : run::FaultInSettings(file.name, *text);
    if (!fault.empty()) return absl::InvalidArgumentError(absl::StrCat("files: ", fault));
  }
  return absl::OkStatus();
}

absl::Status Damaged(const std::string& what) {
  return absl::DataLossError(absl::StrCat("the checkpoint is damaged: ", what));
}

// A file that is not there or is no file any more is damage. One that the disk does not give may lie on bad sectors, or
// the disk as a whole does not answer for a while. Anything else, such as too many open files, is not the checkpoint's
// fault.
absl::Status Unreadable(const files::FileError& error) {
  switch (error.code()) {
    case ENOENT:
    case ELOOP:
    case ENOTDIR:
      return Damaged(error.message());
    case EIO:
      return absl::UnknownError(absl::StrCat("the disk does not give the checkpoint's bytes: ", error.message()));
    default:
      return ToStatus(error);
  }
}

uint64_t BytesOf(const std::vector<CheckpointFile>& files) {
  uint64_t bytes = 0;
  for (const CheckpointFile& file : files) bytes += file.size;
  return bytes;
}

bool HasRow(const std::vector<Checkpoint>& rows, uint64_t fence, int64_t step) {
  return std::any_of(rows.begin(), rows.end(),
                     [&](const Checkpoint& row) { return row.fence == fence && row.step == step; });
}

// "step-12" or "step-12.part" -> 12.
std::optional<int64_t> StepOf(absl::string_view name) {
  int64_t step = 0;
  absl::ConsumeSuffix(&name, ".part");
  if (!absl::ConsumePrefix(&name, "step-") || !absl::SimpleAtoi(name, &step)) return std::nullopt;
  return step;
}

// Names in a folder; none where there is no folder, or no more.
absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename());
  }
  if (error && error != std::errc::no_such_file_or_directory) return SystemStatus(error.value(), "list", folder);
  return names;
}

absl::Status RemoveAll(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return error ? SystemStatus(error.value(), "remove", path) : absl::OkStatus();
}

}  // namespace

struct CheckpointRepository::FileList {
  std::string manifest_hash;
  std::vector<CheckpointFile> files;

  bool operator==(const FileList&) const = default;
  const CheckpointFile* Find(const std::string& name) const {
    const auto it = std::find_if(files.begin(), files.end(), [&](const auto& file) { return file.name == name; });
    return it == files.end() ? nullptr : &*it;
  }
  // The manifest's hash, then "xxh3 size name" for each file, a line each.
  std::string ToText() const {
    std::string text = manifest_hash + "\n";
    for (const CheckpointFile& file : files) absl::StrAppend(&text, file.xxh3, " ", file.size, " ", file.name, "\n");
    return text;
  }
};

absl::Status CheckpointRepository::CheckHere() const {
  if (id_ == 0) return absl::OkStatus();
  const auto found = store::ReadFolderId(folder_);
  if (found.ok() && *found == id_) return absl::OkStatus();
  const std::string path = absl::StrCat(folder_, "/", store::kFolderIdName);
  const std::string why = !found.ok()   ? std::string(found.status().message())
                          : *found == 0 ? absl::StrCat(path, " is missing")
                                        : absl::StrCat(path, " is that of another folder");
  return absl::ResourceExhaustedError(absl::StrCat(
      "the coordinator's checkpoints are away: ", why, "; mount their disk at ", folder_,
      " again, or, where what lies there now is all that is left of them, write ", id_, " into that file"));
}

std::string CheckpointRepository::FencePath(const CheckpointKey& key) const {
  return absl::StrCat(folder_, "/", key.job_id, "/", key.fence);
}

std::string CheckpointRepository::FinalPath(const CheckpointKey& key) const {
  return absl::StrCat(FencePath(key), "/step-", key.step);
}

Mutex& CheckpointRepository::LockOf(const CheckpointKey& key) {
  return locks_[std::hash<std::string>()(FinalPath(key)) % locks_.size()];
}

absl::Status CheckpointRepository::RemovePart(const CheckpointKey& key) {
  absl::Status removed = RemoveAll(PartPath(key));
  if (removed.ok()) space_.Release(key);
  return removed;
}

absl::Status CheckpointRepository::MakeFolder(const std::string& path) {
  MutexLock lock(&folders_);
  return ToStatus(files::MakeFolders(path, kFolderMode));
}

void CheckpointRepository::RemoveIfEmpty(const std::string& path) {
  MutexLock lock(&folders_);
  rmdir(path.c_str());
}

absl::StatusOr<CheckpointRepository::FileList> CheckpointRepository::ReadList(const std::string& folder) const {
  const std::string path = absl::StrCat(folder, "/", kListName);
  const auto fd = OpenToRead(path);
  if (!fd.ok()) return ToStatus(fd.error());
  const auto text = files::ReadRest(*fd, path, kMaxListBytes);
  if (!text.ok()) return ToStatus(text.error());
  std::vector<std::string> lines = absl::StrSplit(*text, '\n', absl::SkipEmpty());
  if (lines.empty()) return absl::NotFoundError(absl::StrCat(folder, " has an empty list of files"));
  FileList list{.manifest_hash = lines[0], .files = {}};
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> words = absl::StrSplit(lines[i], ' ');
    CheckpointFile file;
    if (words.size() != 3 || !absl::SimpleAtoi(words[1], &file.size) || !run::IsCheckpointFileName(words[2])) {
      return absl::NotFoundError(absl::StrCat(folder, " has a damaged list of files"));
    }
    file.xxh3 = words[0];
    file.name = words[2];
    list.files.push_back(std::move(file));
  }
  return list;
}

std::vector<int64_t> CheckpointRepository::OtherOpenSteps(const CheckpointKey& key,
                                                          const std::vector<Checkpoint>& rows) const {
  std::vector<int64_t> others;
  const auto names = NamesIn(FencePath(key));
  if (!names.ok()) return others;  // what Begin writes there fails, and says why
  for (const std::string& name : *names) {
    const auto step = StepOf(name);
    if (!step || *step == key.step || !absl::EndsWith(name, ".part")) continue;
    if (!HasRow(rows, key.fence, *step)) others.push_back(*step);
  }
  std::sort(others.begin(), others.end());
  return others;
}

absl::Status CheckpointRepository::CheckShare(const CheckpointKey& key, const std::vector<CheckpointFile>& files,
                                              const std::vector<Checkpoint>& rows) const {
  uint64_t others = 0;
  for (const Checkpoint& row : rows) {
    if (row.step != key.step) others += BytesOf(row.files);
  }
  for (const int64_t step : OtherOpenSteps(key, rows)) {
    const auto list = ReadList(PartPath({key.job_id, key.fence, step}));
    if (list.ok()) others += BytesOf(list->files);
  }
  const uint64_t bytes = BytesOf(files);
  if (bytes <= bytes_per_job_ && others <= bytes_per_job_ - bytes) return absl::OkStatus();
  constexpr uint64_t kMb = 1'000'000;  // as the option counts; of what is needed never less
  return absl::ResourceExhaustedError(absl::StrCat(kTooMuchForOneJob, ": the checkpoint needs ",
                                                   (bytes + kMb - 1) / kMb, " MB beside ", (others + kMb - 1) / kMb,
                                                   " MB of the job's others, and a job may have ", bytes_per_job_ / kMb,
                                                   " MB (sink-coordinator --checkpoint-bytes-per-job)"));
}

void CheckpointRepository::LimitOthers(const CheckpointKey& key, const std::vector<Checkpoint>& rows, size_t most) {
  const std::vector<int64_t> others = OtherOpenSteps(key, rows);
  for (size_t i = 0; i + most < others.size(); ++i) {
    const CheckpointKey old{key.job_id, key.fence, others[i]};
    MutexLock lock(&LockOf(old));
    RemovePart(old).IgnoreError();
  }
}

absl::StatusOr<std::vector<uint64_t>> CheckpointRepository::Begin(const CheckpointKey& key,
                                                                  const std::string& manifest_hash,
                                                                  const std::vector<CheckpointFile>& files,
                                                                  const std::vector<Checkpoint>& rows) {
  SINK_RETURN_IF_ERROR(CheckHere());
  LimitOthers(key, rows, kMaxOpen - 1);
  MutexLock lock(&LockOf(key));
  const FileList list{manifest_hash, files};
  std::vector<uint64_t> here(files.size(), 0);
  if (const auto complete = ReadList(FinalPath(key)); complete.ok()) {
    if (*complete != list)
      return absl::InvalidArgumentError("this step's checkpoint is already here, with other files");
    for (size_t i = 0; i < files.size(); ++i) here[i] = files[i].size;
    return here;
  }
  if (absl::Status status = CheckShare(key, files, rows); !status.ok()) return status;
  const std::string part = PartPath(key);
  const auto before = ReadList(part);
  const bool goes_on = before.ok() && *before == list;
  if (!goes_on) {
    if (absl::Status status = RemovePart(key); !status.ok()) return status;
    if (absl::Status status = MakeFolder(part); !status.ok()) return status;
  }
  uint64_t to_come = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    if (goes_on) here[i] = SizeHere(absl::StrCat(part, "/", files[i].name));
    to_come += files[i].size - std::min(files[i].size, here[i]);
  }
  if (absl::Status status = space_.Reserve(key, to_come); !status.ok()) return status;
  if (!goes_on) {
    const auto failed = files::ReplaceFile(absl::StrCat(part, "/", kListName), list.ToText(), kFileMode);
    if (failed) return ToStatus(failed);
  }
  return here;
}

void CheckpointRepository::RemoveOthers(const CheckpointKey& key, const std::vector<Checkpoint>& rows) {
  LimitOthers(key, rows, 0);
}

absl::Status CheckpointRepository::Write(const CheckpointKey& key, const std::string& file, uint64_t offset,
                                         std::string_view data) {
  MutexLock lock(&LockOf(key));
  const auto list = ReadList(PartPath(key));
  if (!list.ok()) return absl::NotFoundError("no such checkpoint was begun");
  const CheckpointFile* entry = list->Find(file);
  if (entry == nullptr) return absl::NotFoundError(absl::StrCat(file, " is not a file of this checkpoint"));
  const std::string path = absl::StrCat(PartPath(key), "/", file);
  const auto fd = files::Open(path, O_WRONLY | O_CREAT | O_NOFOLLOW, kFileMode);
  if (!fd.ok()) return ToStatus(fd.error());
  const auto size = files::SizeOf(*fd, path);
  if (!size.ok()) return ToStatus(size.error());
  if (offset != *size) {
    return absl::OutOfRangeError(absl::StrCat(file, " has ", *size, " bytes here: the next offset is not ", offset));
  }
  if (data.size() > entry->size - std::min(entry->size, offset)) {
    return absl::OutOfRangeError(absl::StrCat(file, " would have more than the ", entry->size, " bytes announced"));
  }
  if (absl::Status status = space_.Take(key, data.size()); !status.ok()) return status;
  return ToStatus(files::WriteAt(*fd, path, offset, data));
}

absl::Status CheckpointRepository::SyncFile(const CheckpointKey& key, const std::string& file) {
  const std::string path = absl::StrCat(PartPath(key), "/", file);
  const auto fd = OpenToRead(path);
  return ToStatus(fd.ok() ? files::Sync(*fd, path) : fd.error());
}

absl::StatusOr<std::vector<CheckpointFile>> CheckpointRepository::Commit(const CheckpointKey& key,
                                                                         const std::string& manifest_hash) {
  SINK_RETURN_IF_ERROR(CheckHere());
  MutexLock lock(&LockOf(key));
  const bool complete = Exists(FinalPath(key));
  const std::string folder = complete ? FinalPath(key) : PartPath(key);
  const auto list = ReadList(folder);
  if (!list.ok()) return absl::NotFoundError("no such checkpoint was begun");
  if (list->manifest_hash != manifest_hash) {
    return absl::InvalidArgumentError("manifest_hash: the checkpoint was begun with another manifest");
  }
  for (const CheckpointFile& file : list->files) {
    const std::string path = absl::StrCat(folder, "/", file.name);
    absl::Status status = CheckFile(path, file);
    if (absl::IsAborted(status)) unlink(path.c_str());
    // What is damaged in its final place goes back to be repaired. What could only not be read, as with too many open
    // files, stays: its row may name it, and its bytes may be good.
    const bool damaged = absl::IsAborted(status) || absl::IsFailedPrecondition(status);
    if (damaged && complete) (void)files::Rename(folder, PartPath(key));
    if (!status.ok()) return status;
  }
  if (!complete) {
    if (absl::Status status = CheckContent(folder, key.step, list->files); !status.ok()) {
      if (absl::IsInvalidArgument(status)) RemovePart(key).IgnoreError();  // else the next upload or scrub does
      return status;
    }
    if (absl::Status status = ToStatus(files::SyncFolder(folder)); !status.ok()) return status;
    if (absl::Status status = ToStatus(files::Rename(folder, FinalPath(key))); !status.ok()) return status;
    space_.Release(key);
  }
  if (absl::Status status = ToStatus(files::SyncFolder(FencePath(key))); !status.ok()) return status;
  return list->files;
}

absl::Status CheckpointRepository::Read(
    const Checkpoint& checkpoint,
    absl::FunctionRef<absl::Status(const std::string& file, uint64_t offset, std::string& data)> send) {
  const std::string folder = FinalPath({checkpoint.job_id, checkpoint.fence, checkpoint.step});
  std::string data, manifest;
  for (const CheckpointFile& file : checkpoint.files) {
    const std::string path = absl::StrCat(folder, "/", file.name);
    const bool is_manifest = file.name == run::kManifestName;
    if (is_manifest && file.size > run::kMaxManifestBytes) return Damaged(absl::StrCat(path, " is too large"));
    const auto fd = OpenToRead(path);
    if (!fd.ok()) return Unreadable(fd.error());
    const auto size = files::SizeOf(*fd, path);
    if (!size.ok() && size.error().code() == EIO) return Unreadable(size.error());
    if (!size.ok() || *size != file.size) return Damaged(absl::StrCat(path, " is not ", file.size, " bytes"));
    files::Hasher hasher;
    uint64_t offset = 0;
    do {
      if (const auto failed = files::ReadAt(*fd, path, offset, kMaxChunk, &data)) return Unreadable(failed);
      const uint64_t sent = data.size();
      hasher.Update(data);
      if (is_manifest) manifest += data;
      if (absl::Status status = send(file.name, offset, data); !status.ok()) return status;
      offset += sent;
      if (sent == 0) break;
    } while (offset < file.size);
    if (hasher.Digest() != file.xxh3)
      return Damaged(absl::StrCat(path, " has not the hash that it was committed with"));
    // Commit takes no other, but did once.
    const std::string fault = is_manifest ? FaultInManifest(manifest, checkpoint.step, checkpoint.files) : "";
    if (!fault.empty()) return Damaged(absl::StrCat(folder, ": ", fault));
  }
  return absl::OkStatus();
}

absl::Status CheckpointRepository::Verify(const Checkpoint& checkpoint, absl::FunctionRef<bool(uint64_t bytes)> go_on) {
  return Read(checkpoint, [&](const std::string&, uint64_t, std::string& data) {
    return go_on(data.size()) ? absl::OkStatus() : absl::CancelledError("the reading was given up");
  });
}

absl::Status CheckpointRepository::KeepOnly(const CheckpointKey& next, const std::vector<Checkpoint>& rows) {
  SINK_RETURN_IF_ERROR(CheckHere());
  const std::string job_folder = absl::StrCat(folder_, "/", next.job_id);
  absl::Status first_error;
  SINK_ASSIGN_OR_RETURN(const std::vector<std::string> fence_names, NamesIn(job_folder));
  for (const std::string& fence_name : fence_names) {
    uint64_t fence = 0;
    if (!absl::SimpleAtoi(fence_name, &fence) || fence > next.fence) continue;
    const auto names = NamesIn(absl::StrCat(job_folder, "/", fence_name));
    first_error.Update(names.status());
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      const auto step = StepOf(name);
      if (!step || std::tuple(fence, *step) >= std::tuple(next.fence, next.step)) continue;
      // Also one that went back to be repaired: only what lies there is known to be damaged, and can be dropped.
      if (HasRow(rows, fence, *step)) continue;
      const CheckpointKey key{next.job_id, fence, *step};
      MutexLock lock(&LockOf(key));
      const absl::Status removed = RemoveAll(absl::StrCat(job_folder, "/", fence_name, "/", name));
      if (removed.ok()) space_.Release(key);
      first_error.Update(removed);
    }
    RemoveIfEmpty(absl::StrCat(job_folder, "/", fence_name));
  }
  RemoveIfEmpty(job_folder);
  return first_error;
}

absl::StatusOr<std::vector<std::string>> CheckpointRepository::Jobs() const {
  SINK_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(folder_));
  std::vector<std::string> jobs;
  for (const std::string& name : names) {
    if (IsId(name)) jobs.push_back(name);
  }
  return jobs;
}

std::set<std::string> CheckpointRepository::JobsWithUploads() const {
  // What cannot be listed has nothing that could be removed.
  const std::vector<std::string> none;
  std::set<std::string> jobs;
  for (const std::string& job : Jobs().value_or(none)) {
    const std::string job_folder = absl::StrCat(folder_, "/", job);
    for (const std::string& fence : NamesIn(job_folder).value_or(none)) {
      const std::vector<std::string> names = NamesIn(absl::StrCat(job_folder, "/", fence)).value_or(none);
      if (std::any_of(names.begin(), names.end(), [](const auto& name) { return absl::EndsWith(name, ".part"); }))
        jobs.insert(job);
    }
  }
  return jobs;
}

bool CheckpointRepository::IsGone(const CheckpointKey& key) const {
  std::error_code ignored;
  return fs::symlink_status(FinalPath(key), ignored).type() == fs::file_type::not_found;
}

bool CheckpointRepository::Has(const CheckpointKey& key) const {
  return Exists(FinalPath(key)) || Exists(PartPath(key));
}
bool CheckpointRepository::HasFolderOf(const std::string& job_id) const {
  return Exists(absl::StrCat(folder_, "/", job_id));
}

}  // namespace sink
