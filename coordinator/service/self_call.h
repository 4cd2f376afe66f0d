// Whether this coordinator's own port answers, found out by calling it: a new connection, a handshake and a call that
// reads the store, as a worker's are. What is deaf looks healthy from inside: open connections, /metrics and the store
// go on. Owned by the server; a thread of its own calls, any thread may ask.
#pragma once

#include <grpcpp/client_context.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "coordinator/job/mutex.h"
#include "coordinator/service/families.h"

namespace sink {

class SelfCall {
 public:
  struct Options {
    std::string address;     // host:port, as a client on this machine calls it
    std::string credential;  // folder
    std::chrono::milliseconds interval{10'000};
    std::chrono::milliseconds patience{5'000};
  };

  explicit SelfCall(Options options);
  ~SelfCall();
  SelfCall(const SelfCall&) = delete;
  SelfCall& operator=(const SelfCall&) = delete;

  // OK, or why the last calls failed: one alone may have met a busy machine.
  absl::Status status() const ABSL_LOCKS_EXCLUDED(mutex_);
  void AddSeries(Families* families) const;

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status CallOnce() ABSL_LOCKS_EXCLUDED(mutex_);
  void Note(const absl::Status& result) ABSL_LOCKS_EXCLUDED(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  CondVar ending_changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* in_progress_ ABSL_GUARDED_BY(mutex_) = nullptr;
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;  // in a row
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> failed_ = 0;
  std::thread thread_;
};

}  // namespace sink
