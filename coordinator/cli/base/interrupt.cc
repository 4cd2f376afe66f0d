#include "coordinator/cli/base/interrupt.h"

#include <utility>

#include "coordinator/job/timed_wait.h"

namespace sink::cli {

void Interrupt::Trigger() {
  MutexLock lock(&mutex_);
  triggered_ = true;
  changed_.SignalAll();
  if (wake_) wake_();
}

bool Interrupt::triggered() const {
  MutexLock lock(&mutex_);
  return triggered_;
}

bool Interrupt::Sleep(absl::Duration duration) const {
  MutexLock lock(&mutex_);
  return !WaitFor(&changed_, &mutex_, duration, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return triggered_; });
}

Interrupt::Waker::Waker(Interrupt& interrupt, std::function<void()> wake) : interrupt_(interrupt) {
  MutexLock lock(&interrupt_.mutex_);
  if (interrupt_.triggered_) wake();
  interrupt_.wake_ = std::move(wake);
}

Interrupt::Waker::~Waker() {
  MutexLock lock(&interrupt_.mutex_);
  interrupt_.wake_ = nullptr;
}

}  // namespace sink::cli
