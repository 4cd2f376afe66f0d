// See upload_space.h.
#include "coordinator/service/upload_space.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

constexpr uint64_t kKiB = 1 << 10, kMiB = 1 << 20;

std::string MiB(uint64_t bytes) { return absl::StrCat(bytes / kMiB, " MiB"); }

// Of what is needed: never less.
std::string RoundedUp(uint64_t bytes) {
  return bytes < kMiB ? absl::StrCat((bytes + kKiB - 1) / kKiB, " KiB") : MiB(bytes + kMiB - 1);
}

}  // namespace

absl::Status UploadSpace::Reserve(const CheckpointKey& upload, uint64_t bytes) {
  MutexLock lock(&mutex_);
  const auto place = uploads_.find(upload);
  const uint64_t number = place == uploads_.end() ? begun_ + 1 : place->second.number;
  if (place != uploads_.end()) place->second.to_come = bytes;
  // An attempt sends one after the other: what it began before its newest one it has given up.
  std::map<std::string_view, const Upload*> newest;
  for (const auto& [key, other] : uploads_) {
    const Upload*& seen = newest[key.job_id];
    if (seen == nullptr || other.number > seen->number) seen = &other;
  }
  uint64_t others = 0;
  for (const auto& [job, other] : newest) {
    if (job != upload.job_id && other->number < number) others += other->to_come;
  }
  SINK_ASSIGN_OR_RETURN(const uint64_t free, free_bytes_());
  const uint64_t taken = reserve_bytes_ + others;
  if (bytes > 0 && (free < taken || free - taken < bytes)) {
    const std::string before =
        others == 0 ? "" : absl::StrCat(", of which other checkpoints on their way take ", RoundedUp(others));
    return absl::ResourceExhaustedError(absl::StrCat("disk full: the checkpoint needs ", RoundedUp(bytes), " beside ",
                                                     MiB(reserve_bytes_), " that stay free for the database, and ",
                                                     MiB(free), " are free on the coordinator", before));
  }
  begun_ = std::max(begun_, number);
  uploads_[upload] = {number, bytes};
  return absl::OkStatus();
}

absl::Status UploadSpace::Take(const CheckpointKey& upload, uint64_t bytes) {
  MutexLock lock(&mutex_);
  if (unwatched_ < bytes) {
    SINK_ASSIGN_OR_RETURN(const uint64_t free, free_bytes_());
    if (free < reserve_bytes_ || free - reserve_bytes_ < bytes) {
      return absl::ResourceExhaustedError(absl::StrCat("disk full: ", MiB(free), " are free on the coordinator, and ",
                                                       MiB(reserve_bytes_), " are kept for its database"));
    }
    unwatched_ = std::max(bytes, std::min(free - reserve_bytes_, reserve_bytes_ / 4));
  }
  unwatched_ -= bytes;
  if (const auto place = uploads_.find(upload); place != uploads_.end()) {
    place->second.to_come -= std::min(place->second.to_come, bytes);
  }
  return absl::OkStatus();
}

void UploadSpace::Release(const CheckpointKey& upload) {
  MutexLock lock(&mutex_);
  uploads_.erase(upload);
}

std::set<std::string> UploadSpace::Jobs() const {
  MutexLock lock(&mutex_);
  std::set<std::string> jobs;
  for (const auto& [key, upload] : uploads_) jobs.insert(key.job_id);
  return jobs;
}

UploadSpace::FreeBytes UploadSpace::FreeBytesAt(std::string folder) {
  return [folder = std::move(folder)]() -> absl::StatusOr<uint64_t> {
    struct statvfs disk;
    if (statvfs(folder.c_str(), &disk) != 0) return SystemStatus(errno, "examine the disk of", folder);
    return uint64_t{disk.f_bavail} * disk.f_frsize;
  };
}

}  // namespace sink
