// The first job that could be leased of one queue. A queue is the ready jobs of one home sweep with one device count
// that need the same of a worker's disk: one packed set, of one content or any, or one open model with its file of
// texts. Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace sink::store {

struct QueueHead {
  std::string job_id;
  std::string sweep;
  int devices = 0;
  std::string model;
  std::string data_set;
  std::string data_content;
  int priority = 0;
  int64_t order = 0;  // submission order

  bool IsOfSameQueue(const QueueHead& other) const {
    return sweep == other.sweep && devices == other.devices && model == other.model && data_set == other.data_set &&
           data_content == other.data_content;
  }
  // The order within a queue and among the heads of all: by priority, then submission.
  bool GoesBefore(const QueueHead& other) const {
    return priority != other.priority ? priority > other.priority : order < other.order;
  }
};

}  // namespace sink::store
