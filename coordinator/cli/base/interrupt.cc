#include "coordinator/cli/base/interrupt.h"

#include <utility>

namespace sink::cli {

void Interrupt::Trigger() {
  absl::MutexLock lock(&mutex_);
  triggered_ = true;
  if (wake_) wake_();
}

bool Interrupt::triggered() const {
  absl::MutexLock lock(&mutex_);
  return triggered_;
}

bool Interrupt::Sleep(absl::Duration duration) const {
  absl::MutexLock lock(&mutex_);
  return !mutex_.AwaitWithTimeout(absl::Condition(&triggered_), duration);
}

Interrupt::Waker::Waker(Interrupt& interrupt, std::function<void()> wake) : interrupt_(interrupt) {
  absl::MutexLock lock(&interrupt_.mutex_);
  if (interrupt_.triggered_) wake();
  interrupt_.wake_ = std::move(wake);
}

Interrupt::Waker::~Waker() {
  absl::MutexLock lock(&interrupt_.mutex_);
  interrupt_.wake_ = nullptr;
}

}  // namespace sink::cli
