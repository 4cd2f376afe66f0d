// Carries an attempt's spool to the coordinator, in order, in a thread of its own: batches go out as long as there are
// events, and the spool forgets what the coordinator calls durable. Owned by the JobRunner; the destructor waits for
// the thread, so the stop control must have been told to abandon delivery, or everything must be acknowledged.
#pragma once

#include <atomic>
#include <thread>

#include "worker/leased_calls.h"
#include "worker/spool.h"

namespace sink::worker {

class EventSender {
 public:
  static constexpr size_t kMaxBatchEvents = 1024;
  static constexpr size_t kMaxBatchBytes = 480 << 10;  // of lines; the limit of 512 KiB is for the whole message

  // Both must outlive this object.
  EventSender(LeasedCalls* calls, Spool* spool);
  ~EventSender();

  // Waits until everything up to `seq` is durable. False when delivery ended before that: stale, abandoned, or refused.
  bool WaitUntilDurable(uint64_t seq);

  // The coordinator has refused an event for good; nothing more is sent.
  bool refused() const { return refused_.load(); }

 private:
  void Run();
  // Sends one batch that starts with `first`; returns the sequence number to go on with.
  absl::StatusOr<uint64_t> SendBatch(uint64_t first);

  LeasedCalls* const calls_;
  Spool* const spool_;
  std::atomic<bool> refused_ = false;
  std::atomic<bool> closing_ = false;
  std::thread thread_;
};

}  // namespace sink::worker
