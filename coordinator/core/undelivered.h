// Jobs whose trainers have ended and whose results, checkpoints or events, have still to be taken from their workers. A
// worker that has many of them makes more than is taken from it, and its disk would fill: it is given no further jobs
// until some have ended. That happens while the coordinator's disk has room, too: for less than one checkpoint, say, or
// where the worker's uplink is slow. A job on several workers counts for its leader, which delivers. A value.
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/job/job.h"

namespace sink {

class Undelivered {
 public:
  // `live`: all live jobs, or all that one worker leads.
  explicit Undelivered(const std::vector<Job>& live);

  int Of(const Worker& worker) const;
  // It has more of them than Most, and is given no further jobs.
  bool IsBehind(const Worker& worker) const { return Of(worker) > Most(worker); }
  static int Most(const Worker& worker) { return kMostPerDevice * worker.devices; }

 private:
  static constexpr int kMostPerDevice = 2;

  absl::flat_hash_map<std::string, int> jobs_;  // by worker's id
};

}  // namespace sink
