// See stream_deadlines.h.
#include "coordinator/service/stream_deadlines.h"

namespace sink {
namespace {

constexpr std::chrono::milliseconds kLookEvery{250};

}  // namespace

StreamDeadlines::StreamDeadlines() : thread_([this] { Run(); }) {}

StreamDeadlines::~StreamDeadlines() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    ending_changed_.SignalAll();
  }
  thread_.join();
}

void StreamDeadlines::Run() {
  MutexLock lock(&mutex_);
  while (!ending_) {
    const Clock::time_point now = Clock::now();
    // A context is here only while its handler waits, so it is there to be cancelled.
    for (const auto& [context, end] : ends_) {
      if (end <= now) context->TryCancel();
    }
    ending_changed_.WaitUntil(&mutex_, now + kLookEvery);
  }
}

StreamDeadlines::Guard::Guard(StreamDeadlines* deadlines, grpc::ServerContext* context, std::chrono::milliseconds time)
    : deadlines_(deadlines), context_(context) {
  MutexLock lock(&deadlines_->mutex_);
  deadlines_->ends_[context_] = Clock::now() + time;
}

StreamDeadlines::Guard::~Guard() {
  MutexLock lock(&deadlines_->mutex_);
  deadlines_->ends_.erase(context_);
}

}  // namespace sink
