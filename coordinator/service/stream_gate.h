// What the streams that wait have in common: there may be only so many of them (each holds a thread, and heartbeats
// need threads too), they notice soon when their client leaves, and they end when the server does. Any thread.
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
  explicit StreamGate(int max_streams) : max_streams_(max_streams) {}

  // A stream that has been let in, until it goes.
  class Ticket {
   public:
    explicit Ticket(StreamGate* gate) : gate_(gate) {}
    Ticket(Ticket&& other) noexcept : gate_(other.gate_) { other.gate_ = nullptr; }
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (gate_ != nullptr) --gate_->streams_;
    }

   private:
    StreamGate* gate_;
  };
  absl::StatusOr<Ticket> Enter() {
    if (++streams_ > max_streams_) {
      --streams_;
      return absl::ResourceExhaustedError("too many clients are watching; try again later");
    }
    return Ticket(this);
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

  const int max_streams_;
  std::atomic<int> streams_ = 0;
  std::atomic<bool> closed_ = false;
};

}  // namespace sink
