// See disk_watch.h.
#include "coordinator/service/disk_watch.h"

#include <spdlog/spdlog.h>
#include <sys/statvfs.h>

#include "absl/strings/str_cat.h"

namespace sink {

void DiskWatch::Look() {
  struct statvfs disk;
  if (statvfs(folder_.c_str(), &disk) != 0) return;
  const uint64_t free = uint64_t{disk.f_bavail} * disk.f_frsize;
  const Level level = free < reserve_bytes_ ? Level::kFull : free / 4 < reserve_bytes_ ? Level::kLow : Level::kRoom;
  const std::string left = absl::StrCat(free >> 20, " MiB are left");
  const std::string reserve = absl::StrCat(reserve_bytes_ >> 20, " MiB");
  std::string warning;
  switch (level) {
    case Level::kRoom:
      break;
    case Level::kLow:
      warning = absl::StrCat("the coordinator's disk is nearly full: ", left, "; below ", reserve,
                             " it takes no checkpoints and no sweeps; make room there");
      break;
    case Level::kFull:
      warning = absl::StrCat("the coordinator's disk is full: ", left, ", and ", reserve,
                             " are kept for its database; checkpoints wait, so that jobs stay finalizing, and sweeps "
                             "are refused, until there is room again");
      break;
  }
  MutexLock lock(&mutex_);
  warning_ = std::move(warning);
  if (level == level_) return;
  level_ = level;
  if (level == Level::kRoom) {
    spdlog::info("the disk of {} has room again: {}", folder_, left);
  } else {
    spdlog::error("{} ({})", warning_, folder_);
  }
}

std::string DiskWatch::Warning() const {
  MutexLock lock(&mutex_);
  return warning_;
}

absl::Status DiskWatch::CheckRoom() const {
  MutexLock lock(&mutex_);
  return level_ == Level::kFull ? absl::ResourceExhaustedError(warning_) : absl::OkStatus();
}

}  // namespace sink
