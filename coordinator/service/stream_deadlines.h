// Ends calls whose other side keeps them waiting: a stream holds a thread of the server from its first moment, and
// gRPC's blocking reads and writes wait without an end. Owned by the gate of the streams; any thread.
#pragma once

#include <grpcpp/server_context.h>

#include <chrono>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "coordinator/job/mutex.h"

namespace sink {

class StreamDeadlines {
 public:
  StreamDeadlines();
  ~StreamDeadlines();
  StreamDeadlines(const StreamDeadlines&) = delete;
  StreamDeadlines& operator=(const StreamDeadlines&) = delete;

  // While it lives, the call is cancelled when `time` is over, a quarter of a second late at most. One at a time a
  // call.
  class Guard {
   public:
    Guard(StreamDeadlines* deadlines, grpc::ServerContext* context, std::chrono::milliseconds time);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    StreamDeadlines* const deadlines_;
    grpc::ServerContext* const context_;
  };

 private:
  using Clock = std::chrono::steady_clock;
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);

  Mutex mutex_;
  CondVar ending_changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<grpc::ServerContext*, Clock::time_point> ends_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace sink
