// See outage_log.h.
#include "worker/outage_log.h"

#include <spdlog/spdlog.h>

#include <string>

#include "worker/timing.h"

namespace sink::worker {
namespace {

constexpr absl::Duration kRepeat = absl::Seconds(30);

// The coordinator was not there to answer.
bool IsOutage(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsCancelled(status);
}

}  // namespace

void OutageLog::Note(const absl::Status& status) {
  const absl::Duration now = BootTime();
  absl::MutexLock lock(&mutex_);
  if (status.ok()) {
    if (told_away_) spdlog::info("coordinator reached again after {}", absl::FormatDuration(now - away_since_));
    away_ = told_away_ = false;
    return;
  }
  if (!IsOutage(status)) {
    // Other calls go well meanwhile: a full disk takes heartbeats.
    if (status == refusal_ && now - refused_at_ < kRepeat) return;
    refusal_ = status;
    refused_at_ = now;
    spdlog::warn("{}; training goes on, trying again", std::string(status.message()));
    return;
  }
  if (!away_) away_since_ = now;
  away_ = true;
  if (now - logged_at_ < kRepeat) return;
  told_away_ = true;
  logged_at_ = now;
  spdlog::warn("{}; training goes on, trying again", std::string(status.message()));
}

}  // namespace sink::worker
