// See outage_log.h.
#include "worker/outage_log.h"

#include <spdlog/spdlog.h>

#include <string>

#include "worker/protocol/answer.h"

namespace sink::worker {
namespace {

constexpr absl::Duration kRepeat = absl::Seconds(30);
constexpr absl::Duration kRepeatOfCredential = absl::Hours(1);

}  // namespace

void OutageLog::Note(const absl::Status& status) {
  if (absl::IsCancelled(status)) return;  // by this daemon itself, at its end
  const bool away = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
  const absl::Duration now = clock_();
  absl::MutexLock lock(&mutex_);
  if (!away) {
    if (told_away_) spdlog::info("the coordinator answers again, after {}", absl::FormatDuration(now - away_since_));
    away_ = told_away_ = false;
    if (!status.ok()) Refused(status, now);
    return;
  }
  if (!away_) away_since_ = now;
  away_ = true;
  if (now - logged_at_ < kRepeat) return;
  told_away_ = true;
  logged_at_ = now;
  spdlog::warn("{}; training goes on, and the call is tried again", std::string(status.message()));
}

void OutageLog::Refused(const absl::Status& status, absl::Duration now) {
  const std::string why(status.message());
  if (why == refusal_ && now - refused_at_ < (IsCredentialRefused(status) ? kRepeatOfCredential : kRepeat)) return;
  refusal_ = why;
  refused_at_ = now;
  spdlog::error("{}", why);
}

}  // namespace sink::worker
