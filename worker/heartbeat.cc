// See heartbeat.h.
#include "worker/heartbeat.h"

#include <algorithm>
#include <utility>

#include "coordinator/job/timed_wait.h"
#include "worker/grant_check.h"
#include "worker/timing.h"

namespace sink::worker {

Heartbeat::Heartbeat(CoordinatorLink* link, Hooks hooks, absl::Duration interval)
    : link_(link), hooks_(std::move(hooks)), interval_ms_(absl::ToInt64Milliseconds(interval)) {
  SetAsked(-absl::InfiniteDuration());
  thread_ = std::thread([this] { Run(); });
}

Heartbeat::~Heartbeat() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

void Heartbeat::Hurry() {
  MutexLock lock(&mutex_);
  hurry_ = true;
  changed_.SignalAll();
}

bool Heartbeat::Tell(absl::Duration patience) {
  MutexLock lock(&mutex_);
  hurry_ = true;
  changed_.SignalAll();
  const auto told = [this, next = begun_ + 1]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ended_ >= next; };
  return WaitFor(&changed_, &mutex_, patience, told);
}

bool Heartbeat::Pause(absl::Duration pause, bool* hurried) {
  MutexLock lock(&mutex_);
  const auto over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || hurry_; };
  WaitFor(&changed_, &mutex_, pause, over);
  *hurried = hurry_;
  hurry_ = false;
  return !stop_;
}

bool Heartbeat::MayRest(const v1::HeartbeatRequest& request, absl::Duration now) const {
  if (!request.held().empty() || rest_ == absl::ZeroDuration()) return false;
  const absl::Duration asked_at = absl::Nanoseconds(asked_ns_.load());
  // Without a question that waits it has nothing to offer, and its silence would be taken for its end.
  if (asked_at < absl::ZeroDuration()) return false;
  return now < (request.gpus().empty() ? std::max(told_at_, asked_at) : told_at_) + rest_;
}

void Heartbeat::Run() {
  Backoff backoff;
  absl::Duration pause = absl::ZeroDuration();
  bool hurried = false;
  while (Pause(pause, &hurried)) {
    {
      MutexLock lock(&mutex_);
      ++begun_;
    }
    const absl::Duration interval = absl::Milliseconds(interval_ms_.load());
    const v1::HeartbeatRequest request = hooks_.make_request();
    const absl::Duration sent_at = BootTime();
    if (!hurried && MayRest(request, sent_at)) {
      pause = Jittered(interval);
      continue;
    }
    const auto response = link_->Heartbeat(request);
    if (response.ok()) {
      hooks_.on_answer(request, *response, sent_at);
      told_at_ = sent_at;
      rest_ = SaneRest(response->rest_ms());
      backoff.Reset();
      pause = Jittered(interval);
    } else {
      hooks_.on_error(response.status());
      rest_ = absl::ZeroDuration();
      pause = std::min(backoff.Next(), Jittered(interval));
    }
    MutexLock lock(&mutex_);
    ended_ = begun_;
    changed_.SignalAll();
  }
}

}  // namespace sink::worker
