// See outage_log.h.
#include "worker/outage_log.h"

#include <spdlog/spdlog.h>

#include "worker/timing.h"

namespace sink::worker {

void OutageLog::Note(const absl::Status& status) {
  constexpr absl::Duration kRepeat = absl::Seconds(30);
  const absl::Duration now = BootTime();
  absl::MutexLock lock(&mutex_);
  if (status.ok()) {
    if (away_) spdlog::info("coordinator reached again after {}", absl::FormatDuration(now - away_since_));
    away_ = false;
    return;
  }
  if (away_ && now - logged_at_ < kRepeat) return;
  if (!away_) away_since_ = now;
  away_ = true;
  logged_at_ = now;
  spdlog::warn("{}; training goes on, trying again", std::string(status.message()));
}

}  // namespace sink::worker
