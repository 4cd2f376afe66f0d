// Carries an attempt's spool to the coordinator, in order, in a thread of its own: batches go out as long as there are
// events, and the spool forgets what the coordinator calls durable. What the coordinator lacks though it once had it is
// sent again; once it refuses an event for good, or lacks one that the spool has forgotten, the events are given up
// (LeasedCalls). Owned by the JobRunner; the destructor waits for the thread, so the stop control must have been told
// to abandon delivery, or everything must be acknowledged.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/leased_calls.h"
#include "worker/protocol/delivery.h"
#include "worker/spool.h"

namespace sink::worker {

class EventSender {
 public:
  static constexpr size_t kMaxBatchEvents = 1024;
  // A coordinator to which this worker sends too much asks for pauses; for no longer ones, whatever it says.
  static constexpr absl::Duration kLongestPause = absl::Seconds(10);
  static constexpr size_t kMaxBatchBytes = 480 << 10;  // of lines; the limit of 512 KiB is for the whole message

  // Both must outlive this object.
  EventSender(LeasedCalls* calls, Spool* spool);
  ~EventSender();

  // Waits until everything up to `seq` is durable. False when delivery ended before that: stale, abandoned, or given
  // up.
  bool WaitUntilDurable(uint64_t seq);

 private:
  void Run();
  // Why the spool does not have this event though it had it once.
  std::string WhyGone(uint64_t seq) const;
  // Sends one batch, and says how long to wait before the next. An error: nothing more can be delivered.
  absl::StatusOr<absl::Duration> SendBatch(Delivery* delivery);

  LeasedCalls* const calls_;
  Spool* const spool_;
  std::atomic<bool> closing_ = false;
  std::thread thread_;
};

}  // namespace sink::worker
