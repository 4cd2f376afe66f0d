// How many calls may hold a thread for as long as the other side takes, for heartbeats need threads too: streams that
// wait for news, and transfers of checkpoints and measurements, both in all and of one caller; and for how long the
// other side may keep one of them waiting. What the streams that wait have in common besides: they notice soon when
// their client leaves or may not call any more, and they end when the server does. Owned by the server; any thread.
#pragma once

#include <grpcpp/server_context.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/change_signal.h"
#include "coordinator/job/mutex.h"
#include "coordinator/service/gatekeeper.h"
#include "coordinator/service/stream_deadlines.h"

namespace sink {

class StreamGate {
 public:
  struct Patience {
    std::chrono::milliseconds first_message{5'000};
    std::chrono::milliseconds next_message{60'000};  // also until one of ours is taken
  };

  // Of as many threads as the server may have, a quarter may wait and a half may transfer; one caller has a share of
  // them. `callers`, which outlives the gate, says who calls, and for how long that counts.
  StreamGate(int threads, Patience patience, const Callers* callers);

  // A call that has been let in, until it goes.
  class Ticket {
   public:
    Ticket(StreamGate* gate, std::atomic<int>* inside, std::string caller, grpc::ServerContext* context)
        : gate_(gate), inside_(inside), caller_(std::move(caller)), context_(context) {}
    Ticket(Ticket&& other) noexcept
        : gate_(std::exchange(other.gate_, nullptr)),
          inside_(other.inside_),
          caller_(std::move(other.caller_)),
          context_(other.context_) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket();

    // As the stream's own, but the call is cancelled, and they return false, when the other side takes too long; and
    // false once the caller may not call any more.
    template <typename Reader, typename Message>
    bool ReadFirst(Reader* reader, Message* message) const {
      const StreamDeadlines::Guard guard(&gate_->deadlines_, context_, gate_->patience_.first_message);
      return reader->Read(message);
    }
    template <typename Reader, typename Message>
    bool ReadNext(Reader* reader, Message* message) const {
      const StreamDeadlines::Guard guard(&gate_->deadlines_, context_, gate_->patience_.next_message);
      return reader->Read(message) && CallerCounts();
    }
    template <typename Writer, typename Message>
    bool Write(Writer* writer, const Message& message) const {
      const StreamDeadlines::Guard guard(&gate_->deadlines_, context_, gate_->patience_.next_message);
      return CallerCounts() && writer->Write(message);
    }

   private:
    bool CallerCounts() const { return gate_->callers_->Of(*context_).ok(); }

    StreamGate* gate_;
    std::atomic<int>* inside_;
    std::string caller_;
    grpc::ServerContext* context_;
  };
  // RESOURCE_EXHAUSTED when too many watch.
  absl::StatusOr<Ticket> Enter(grpc::ServerContext* context);
  // UNAVAILABLE, on which clients try again by themselves, when there are too many.
  absl::StatusOr<Ticket> EnterTransfer(grpc::ServerContext* context);

  // Returns OK once `changes` has passed `seen` or there is `other_news`, of which it asks several times a second, but
  // not before `pause` is over; an error when the stream must end.
  absl::Status Wait(const grpc::ServerContext& context, const ChangeSignal& changes, uint64_t seen,
                    std::chrono::milliseconds pause, const std::function<bool()>& other_news = {}) const;

  // Every stream ends within a slice of time.
  void Close() { closed_ = true; }

 private:
  absl::StatusOr<Ticket> Enter(grpc::ServerContext* context, std::atomic<int>* inside, int limit, absl::Status refusal)
      ABSL_LOCKS_EXCLUDED(mutex_);

  const int max_streams_, max_transfers_, max_of_a_caller_;
  const Patience patience_;
  const Callers* const callers_;
  std::atomic<int> streams_ = 0, transfers_ = 0;
  std::atomic<bool> closed_ = false;
  StreamDeadlines deadlines_;
  Mutex mutex_;
  absl::flat_hash_map<std::string, int> by_caller_ ABSL_GUARDED_BY(mutex_);  // both kinds together
};

}  // namespace sink
