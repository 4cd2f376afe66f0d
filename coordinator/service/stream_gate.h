// How many calls may hold a thread for as long as the other side takes, for heartbeats need threads too: streams that
// wait for news, and transfers of checkpoints and measurements. What the streams that wait have in common besides: they
// notice soon when their client leaves, and they end when the server does. Any thread.
#pragma once

#include <grpcpp/server_context.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/change_signal.h"

namespace sink {

class StreamGate {
 public:
  // Of as many threads as the server may have, a quarter may wait and a half may transfer.
  explicit StreamGate(int threads) : max_streams_(threads / 4), max_transfers_(threads / 2) {}

  // A call that has been let in, until it goes.
  class Ticket {
   public:
    explicit Ticket(std::atomic<int>* inside) : inside_(inside) {}
    Ticket(Ticket&& other) noexcept : inside_(other.inside_) { other.inside_ = nullptr; }
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (inside_ != nullptr) --*inside_;
    }

   private:
    std::atomic<int>* inside_;
  };
  absl::StatusOr<Ticket> Enter() {
    return Enter(&streams_, max_streams_,
                 absl::ResourceExhaustedError("too many clients are watching; try again later"));
  }
  // UNAVAILABLE, on which clients try again by themselves, when there are too many.
  absl::StatusOr<Ticket> EnterTransfer() {
    return Enter(&transfers_, max_transfers_, absl::UnavailableError("too many transfers at once; try again"));
  }

  // Returns OK once `changes` has passed `seen`, but not before `pause` is over; an error when the stream must end.
  absl::Status Wait(const grpc::ServerContext& context, const ChangeSignal& changes, uint64_t seen,
                    std::chrono::milliseconds pause) const {
    using Clock = std::chrono::steady_clock;
    const auto earliest = Clock::now() + pause;
    for (;;) {
      if (closed_) return absl::UnavailableError("the coordinator is shutting down");
      if (context.IsCancelled()) return absl::CancelledError("the client has left");
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(earliest - Clock::now());
      if (left.count() > 0) {
        std::this_thread::sleep_for(std::min(left, kSlice));
      } else if (changes.WaitPast(seen, kSlice) != seen) {
        return absl::OkStatus();
      }
    }
  }

  // Every stream ends within a slice of time.
  void Close() { closed_ = true; }

 private:
  static constexpr std::chrono::milliseconds kSlice{100};

  static absl::StatusOr<Ticket> Enter(std::atomic<int>* inside, int limit, absl::Status refusal) {
    if (++*inside <= limit) return Ticket(inside);
    --*inside;
    return refusal;
  }

  const int max_streams_, max_transfers_;
  std::atomic<int> streams_ = 0, transfers_ = 0;
  std::atomic<bool> closed_ = false;
};

}  // namespace sink
