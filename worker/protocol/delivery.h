// How far the events of one attempt have been delivered: which event the next report begins with, and what the answer
// to a report means for the spool. A state machine without a clock or a network; EventSender and the simulator drive
// it. One thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"

namespace sink::worker {

class Delivery {
 public:
  // `first`: the oldest event that the spool still has.
  explicit Delivery(uint64_t first) : next_(first) {}

  // The first event of the next report.
  uint64_t next() const { return next_; }

  struct Effect {
    uint64_t acknowledge = 0;  // the spool may forget events up to here
    absl::Status failed;       // not OK: delivery is over
  };
  // The report whose first event was `first`, which next() was when it was sent, was answered: with the highest durable
  // event, or an error that is for good.
  Effect Answered(uint64_t first, const absl::Status& status, uint64_t durable);
  // The coordinator lacks the events from there on, though it once had them: it was restored from a backup.
  void GoBack(uint64_t expected) { next_ = std::min(next_, expected); }

 private:
  uint64_t next_;
};

}  // namespace sink::worker
