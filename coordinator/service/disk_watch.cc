// See disk_watch.h.
#include "coordinator/service/disk_watch.h"

#include <spdlog/spdlog.h>
#include <sys/statvfs.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/service/checkpoint_repository.h"
#include "coordinator/service/families.h"

namespace sink {
namespace {

constexpr size_t kIdDigits = 8;  // of a job, to name it by

bool IsForRoom(const absl::Status& why) { return absl::IsResourceExhausted(why); }

// Why a checkpoint waits, and what helps: there is no room on the disk or in a job's share of it, the coordinator may
// not write there, or the disk or the system fails it.
std::string WayOut(const absl::Status& status) {
  const std::string why(status.message());
  if (IsForRoom(status)) {
    const char* const first = absl::StrContains(why, kTooMuchForOneJob) ? "allow it more" : "make room there";
    return absl::StrCat(why, "; ", first, ", or forget checkpoints that nobody needs: sinkctl checkpoint drop");
  }
  if (absl::IsPermissionDenied(status)) {
    return absl::StrCat(why, "; give the folder to the coordinator's user (chown -R), or mount its disk to be written");
  }
  return absl::StrCat(why, "; see to that disk, or, where too many files are open, raise LimitNOFILE in the ",
                      "coordinator's unit and restart it");
}

std::string MiBLeft(uint64_t bytes) { return absl::StrCat(bytes >> 20, " MiB are left"); }

}  // namespace

void DiskWatch::Look(int64_t now_ms, const absl::Status& checkpoints, const absl::Status& database) {
  struct statvfs disk = {};
  if (statvfs(folder_.c_str(), &disk) != 0 && database.ok()) return;
  const uint64_t free = uint64_t{disk.f_bavail} * disk.f_frsize;
  MutexLock lock(&mutex_);
  std::erase_if(waiting_, [&](const auto& entry) { return now_ms - entry.second.refused_ms > kForgottenAfterMs; });
  const Level level = !database.ok()              ? Level::kLost
                      : free < reserve_bytes_     ? Level::kFull
                      : !checkpoints.ok()         ? Level::kAway
                      : !waiting_.empty()         ? Level::kWaited
                      : free / 4 < reserve_bytes_ ? Level::kLow
                                                  : Level::kRoom;
  warning_ = WarningOf(level, free, checkpoints, database);
  const Level before = std::exchange(level_, level);
  const bool another = before != level;
  if (another) ++changes_;
  if (level == Level::kWaited) {
    if (!another && now_ms - told_ms_ < kTellEveryMs) return;
    told_ms_ = now_ms;
  } else if (!another) {
    return;
  }
  if (level == Level::kRoom && before == Level::kAway) {
    spdlog::info("the coordinator's checkpoints are there again ({})", folder_);
  } else if (level == Level::kRoom && before == Level::kLost) {
    spdlog::info("the coordinator's database is at its place again ({})", folder_);
  } else if (level == Level::kRoom) {
    const char* const better = before == Level::kWaited ? "keeps no checkpoint waiting any more" : "has room again";
    spdlog::info("the disk of {} {}: {}", folder_, better, MiBLeft(free));
  } else {
    spdlog::error("{} ({})", warning_, folder_);
  }
}

std::string DiskWatch::WarningOf(Level level, uint64_t free, const absl::Status& checkpoints,
                                 const absl::Status& database) const {
  const std::string reserve = absl::StrCat(reserve_bytes_ >> 20, " MiB");
  switch (level) {
    case Level::kRoom:
      break;
    case Level::kLow:
      return absl::StrCat("the coordinator's disk is nearly full: ", MiBLeft(free), "; below ", reserve,
                          " it takes no checkpoints and no sweeps and starts nothing; make room there");
    case Level::kWaited: {
      const auto& [job_id, first] = *waiting_.begin();
      const size_t others = waiting_.size() - 1;
      return absl::StrCat("the coordinator ", IsForRoom(first.why) ? "has no room for" : "cannot store",
                          " a checkpoint of job ", job_id.substr(0, kIdDigits),
                          others == 0 ? "" : absl::StrCat(" (and of ", others, " more)"),
                          ", which waits: ", WayOut(first.why));
    }
    case Level::kAway:
      return absl::StrCat(checkpoints.message(),
                          "; until then none is taken, so that jobs stay finalizing, and no job goes on from one");
    case Level::kFull:
      return absl::StrCat("the coordinator's disk is full: ", MiBLeft(free), ", and ", reserve,
                          " are kept for its database; nothing is started, checkpoints wait, so that jobs stay "
                          "finalizing, and sweeps and retries are refused, until there is room again");
    case Level::kLost:
      return std::string(database.message());
  }
  return "";
}

void DiskWatch::Refused(const std::string& job_id, const absl::Status& why, int64_t now_ms) {
  MutexLock lock(&mutex_);
  waiting_[job_id] = {why, now_ms};
}

void DiskWatch::FoundRoom(const std::string& job_id) {
  MutexLock lock(&mutex_);
  const auto found = waiting_.find(job_id);
  if (found != waiting_.end() && IsForRoom(found->second.why)) waiting_.erase(found);
}

void DiskWatch::WaitsNoMore(const std::string& job_id) {
  MutexLock lock(&mutex_);
  waiting_.erase(job_id);
}

std::string DiskWatch::Warning() const {
  MutexLock lock(&mutex_);
  return warning_;
}

std::string DiskWatch::WarningFor(const Job& job) const {
  if (IsFinal(job.state)) return "";
  MutexLock lock(&mutex_);
  if (level_ == Level::kLost) return warning_;
  if (level_ == Level::kAway) return job.state == JobState::kQueued ? "" : warning_;
  const auto found = waiting_.find(job.id);
  if (found == waiting_.end()) {
    const bool explained = level_ == Level::kFull && job.state == JobState::kQueued;
    return explained || level_ == Level::kWaited ? "" : warning_;
  }
  const absl::Status& why = found->second.why;
  return absl::StrCat("its checkpoint waits ",
                      IsForRoom(why) ? "for room at the coordinator, " : "until the coordinator can store it, ",
                      job.cancel_requested ? "and is given up after its worker's grace, as the job is being stopped: "
                                           : "without which it cannot end: ",
                      WayOut(why));
}

uint64_t DiskWatch::changes() const {
  MutexLock lock(&mutex_);
  return changes_;
}

bool DiskWatch::full() const {
  MutexLock lock(&mutex_);
  return level_ == Level::kFull;
}

absl::Status DiskWatch::CheckRoom() const {
  MutexLock lock(&mutex_);
  if (level_ == Level::kLost) return absl::FailedPreconditionError(warning_);
  return level_ == Level::kFull ? absl::ResourceExhaustedError(warning_) : absl::OkStatus();
}

void DiskWatch::AddSeries(Families* families) const {
  MutexLock lock(&mutex_);
  families->Gauge("sink_checkpoints_waiting", "Jobs whose checkpoint the coordinator has no room for, or cannot write",
                  static_cast<double>(waiting_.size()));
  families->Gauge("sink_checkpoints_away",
                  "1 while the folder of the checkpoints is not the one that the database knows",
                  level_ == Level::kAway ? 1 : 0);
}

}  // namespace sink
