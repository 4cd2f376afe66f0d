// See write_watch.h.
#include "coordinator/store/write_watch.h"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sink::store {
namespace {

constexpr std::chrono::nanoseconds kLongestPause = std::chrono::seconds(1);

int64_t Now(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return int64_t{1'000'000'000} * now.tv_sec + now.tv_nsec;
}

}  // namespace

WriteWatch::WriteWatch(std::chrono::nanoseconds limit, std::function<void(const std::string&)> told)
    : limit_(limit), told_(std::move(told)) {}

WriteWatch::~WriteWatch() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    ending_changed_.SignalAll();
  }
  if (loop_.joinable()) loop_.join();
}

void WriteWatch::Watch() {
  if (pthread_getcpuclockid(pthread_self(), &clock_) != 0) return;  // then nothing is watched
  loop_ = std::thread([this] { Loop(); });
}

void WriteWatch::Begin() { until_ns_ = Now(CLOCK_THREAD_CPUTIME_ID) + limit_.count(); }

void WriteWatch::End() { until_ns_ = 0; }

void WriteWatch::Loop() {
  const auto pause = std::clamp(limit_ / 4, std::chrono::nanoseconds(std::chrono::milliseconds(1)), kLongestPause);
  MutexLock lock(&mutex_);
  while (!ending_) {
    ending_changed_.WaitUntil(&mutex_, std::chrono::steady_clock::now() + pause);
    const int64_t until = until_ns_;
    if (ending_ || until == 0 || Now(clock_) <= until) continue;
    if (told_) {
      told_(absl::StrCat("one write has used ", std::chrono::duration_cast<std::chrono::seconds>(limit_).count(),
                         " s of processor time and does not end; all others wait behind it, so the process ends: start "
                         "it again, and report what was asked of it last"));
    }
    std::_Exit(1);
  }
}

}  // namespace sink::store
