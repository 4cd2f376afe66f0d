// What one watcher of a sweep has been told, and what to tell it next: the sweep in parts at first, then the jobs that
// have changed. What changes elsewhere costs it a look at ids, and nothing is read or sent. Owned by one stream; one
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "coordinator/core/job_queries.h"
#include "sink/v1/client.pb.h"

namespace sink {

class SweepWatch {
 public:
  // False: the watcher has left.
  using Writer = std::function<bool(const v1::GetSweepResponse&)>;

  // `changes_only`: as in WatchSweepRequest; else every message is the whole sweep. `queries` outlives the watch.
  SweepWatch(JobQueries* queries, std::string sweep, bool changes_only)
      : queries_(queries), sweep_(std::move(sweep)), changes_only_(changes_only) {}

  // Writes what is new. True once every job is in a final state, or goes on for other sweeps alone as this one is
  // cancelled, and that has been told. CANCELLED: the watcher has left.
  absl::StatusOr<bool> Tell(const Writer& write);

 private:
  absl::StatusOr<bool> TellAll(const Writer& write);
  absl::StatusOr<bool> TellInParts(const Writer& write);
  absl::StatusOr<bool> TellChanges(const std::vector<std::string>& ids, const Writer& write);
  // Ids of the sweep's jobs among those that have changed, each once.
  std::vector<std::string> OfThisSweep(const ChangeFeed::News& news) const;
  void Remember(const Job& job);
  // Whether there is nothing more to wait for, by what was told of the jobs and by this row of the sweep.
  bool IsOver(const Sweep& sweep) const;

  JobQueries* const queries_;
  const std::string sweep_;
  const bool changes_only_;
  bool told_ = false;
  uint64_t position_ = 0;  // of the feed
  // The first 64 bits of the ids of the sweep's jobs. And as they were told last: of those that go on for others alone,
  // and of those that it waits for.
  absl::flat_hash_set<uint64_t> jobs_, left_, awaited_;
  std::string sent_;  // the last whole message's bytes
};

}  // namespace sink
