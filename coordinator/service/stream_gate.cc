// See stream_gate.h.
#include "coordinator/service/stream_gate.h"

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"

namespace sink {
namespace {

constexpr std::chrono::milliseconds kSlice{100};
// A worker's jobs may all save at once; on a coordinator of few threads the limits in all are what counts.
constexpr int kLeastOfACaller = 32;

}  // namespace

StreamGate::StreamGate(int threads, Patience patience, const Callers* callers)
    : max_streams_(threads / 4),
      max_transfers_(threads / 2),
      max_of_a_caller_(std::max(kLeastOfACaller, threads / 8)),
      patience_(patience),
      callers_(callers) {}

absl::StatusOr<StreamGate::Ticket> StreamGate::Enter(grpc::ServerContext* context) {
  return Enter(context, &streams_, max_streams_,
               absl::ResourceExhaustedError("too many clients are watching; try again later"));
}

absl::StatusOr<StreamGate::Ticket> StreamGate::EnterTransfer(grpc::ServerContext* context) {
  return Enter(context, &transfers_, max_transfers_, absl::UnavailableError("too many transfers at once; try again"));
}

absl::StatusOr<StreamGate::Ticket> StreamGate::Enter(grpc::ServerContext* context, std::atomic<int>* inside, int limit,
                                                     absl::Status refusal) {
  const auto caller = callers_->Of(*context);
  if (!caller.ok()) return caller.status();
  if (++*inside > limit) {
    --*inside;
    return refusal;
  }
  MutexLock lock(&mutex_);
  int& of_this = by_caller_[caller->name];
  if (of_this >= max_of_a_caller_) {
    --*inside;
    return absl::Status(refusal.code(),
                        absl::StrCat(caller->name, " has ", of_this, " streams open; ", refusal.message()));
  }
  ++of_this;
  return Ticket(this, inside, caller->name, context);
}

StreamGate::Ticket::~Ticket() {
  if (gate_ == nullptr) return;
  --*inside_;
  MutexLock lock(&gate_->mutex_);
  const auto mine = gate_->by_caller_.find(caller_);
  if (--mine->second == 0) gate_->by_caller_.erase(mine);
}

absl::Status StreamGate::Wait(const grpc::ServerContext& context, const ChangeSignal& changes, uint64_t seen,
                              std::chrono::milliseconds pause, const std::function<bool()>& other_news) const {
  using Clock = std::chrono::steady_clock;
  const auto earliest = Clock::now() + pause;
  for (;;) {
    if (closed_) return absl::UnavailableError("the coordinator is shutting down");
    if (context.IsCancelled()) return absl::CancelledError("the client has left");
    if (const auto caller = callers_->Of(context); !caller.ok()) return caller.status();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(earliest - Clock::now());
    if (left.count() > 0) {
      std::this_thread::sleep_for(std::min(left, kSlice));
    } else if ((other_news && other_news()) || changes.WaitPast(seen, kSlice) != seen) {
      return absl::OkStatus();
    }
  }
}

}  // namespace sink
