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
    case Use::kCall:
    case Use::kWorkerCall:
      return absl::StrCat(number(rate.per_second), " calls a second, ", number(rate.burst), " at once");
    case Use::kSubmit:
      return absl::StrCat(number(rate.per_second), " submissions and plans a second, ", number(rate.burst), " at once");
    case Use::kRead:
      return absl::StrCat(number(rate.per_second), " reads of sweeps, logs, measurements and checkpoints a second, ",
                          number(rate.burst), " at once");
    case Use::kReport:
      return absl::StrCat(number(rate.per_second / (1 << 20)), " MiB of events a second");
    case Use::kToken:
      return absl::StrCat("requests for ", number(rate.per_second), " certificates a second, ", number(rate.burst),
                          " at once");
  }
  return "";
}

absl::Status TooMany(const std::string& who, Use use, const Rate& rate, int64_t wait_ms) {
  return absl::ResourceExhaustedError(absl::StrCat("too many calls: ", who, " may make ", Allowed(use, rate),
                                                   "; try again in ", (wait_ms + 999) / 1000, " s"));
}

}  // namespace

const Rate& Rates::Of(Use use) const {
  switch (use) {
    case Use::kCall:
      return options_.calls;
    case Use::kWorkerCall:
      return options_.worker_calls;
    case Use::kSubmit:
      return options_.submissions;
    case Use::kRead:
      return options_.reads;
    case Use::kReport:
      return options_.report_bytes;
    case Use::kToken:
      break;
  }
  return options_.certificates;
}

absl::Status Rates::Take(const Caller& caller, Use use, double amount, int64_t now_ms) {
  if (caller.role == Role::kAdmin) return absl::OkStatus();
  const Rate& rate = Of(use);
  int64_t wait_ms = 0;
  {
    MutexLock lock(&mutex_);
    if (buckets_.size() >= kManyBuckets) {
      absl::erase_if(buckets_, [&](auto& entry) { return entry.second.IsFull(Of(entry.first.second), now_ms); });
    }
    TokenBucket& bucket = buckets_[{caller.name, use}];
    if (bucket.Take(rate, amount, now_ms)) return absl::OkStatus();
    wait_ms = bucket.WaitMs(rate, amount, now_ms);
  }
  on_refusal_();
  return TooMany(caller.name, use, rate, wait_ms);
}

absl::Status Rates::TakeFrom(const std::string& address, int64_t now_ms) {
  const Rate& rate = options_.certificates_by_address;
  int64_t wait_ms = 0;
  {
    MutexLock lock(&mutex_);
    if (addresses_.size() >= kMostAddresses)
      absl::erase_if(addresses_, [&](auto& entry) { return entry.second.IsFull(rate, now_ms); });
    const bool remembered = addresses_.size() < kMostAddresses || addresses_.contains(address);
    TokenBucket& bucket = remembered ? addresses_[address] : other_addresses_;
    if (bucket.Take(rate, 1, now_ms)) return absl::OkStatus();
    wait_ms = bucket.WaitMs(rate, 1, now_ms);
  }
  on_refusal_();
  return TooMany(address, Use::kToken, rate, wait_ms);
}

int64_t Rates::PauseMs(const Caller& caller, Use use, int64_t now_ms) {
  if (caller.role == Role::kAdmin) return 0;
  MutexLock lock(&mutex_);
  const auto bucket = buckets_.find({caller.name, use});
  return bucket == buckets_.end() ? 0 : bucket->second.PauseMs(Of(use), now_ms);
}

}  // namespace sink
