// See rates.h.
#include "coordinator/core/rates.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace sink {
namespace {

constexpr size_t kManyBuckets = 10'000;  // then those that say nothing any more go

std::string Allowed(Use use, const Rate& rate) {
  const auto number = [](double value) { return absl::StrCat(static_cast<int64_t>(std::floor(value))); };
  switch (use) {
    case Use::kSubmit:
      return absl::StrCat(number(rate.per_second), " submissions and plans a second, ", number(rate.burst), " at once");
    case Use::kRead:
      return absl::StrCat(number(rate.per_second), " reads of sweeps, logs, measurements and checkpoints a second, ",
                          number(rate.burst), " at once");
    case Use::kReport:
      return absl::StrCat(number(rate.per_second / (1 << 20)), " MiB of events a second");
  }
  return "";
}

}  // namespace

const Rate& Rates::Of(Use use) const {
  switch (use) {
    case Use::kSubmit:
      return options_.submissions;
    case Use::kRead:
      return options_.reads;
    case Use::kReport:
      break;
  }
  return options_.report_bytes;
}

absl::Status Rates::Take(const Caller& caller, Use use, double amount, int64_t now_ms) {
  if (caller.role == Role::kAdmin) return absl::OkStatus();
  const Rate& rate = Of(use);
  {
    MutexLock lock(&mutex_);
    if (buckets_.size() >= kManyBuckets) {
      absl::erase_if(buckets_, [&](auto& entry) { return entry.second.IsFull(Of(entry.first.second), now_ms); });
    }
    if (buckets_[{caller.name, use}].Take(rate, amount, now_ms)) return absl::OkStatus();
  }
  on_refusal_();
  return absl::ResourceExhaustedError(
      absl::StrCat("too many calls: ", caller.name, " may make ", Allowed(use, rate), "; wait a moment and try again"));
}

int64_t Rates::PauseMs(const Caller& caller, Use use, int64_t now_ms) {
  if (caller.role == Role::kAdmin) return 0;
  MutexLock lock(&mutex_);
  const auto bucket = buckets_.find({caller.name, use});
  return bucket == buckets_.end() ? 0 : bucket->second.PauseMs(Of(use), now_ms);
}

}  // namespace sink
