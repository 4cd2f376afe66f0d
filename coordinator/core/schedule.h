// What the queue and the workers come to when one worker asks for work: the rows of a snapshot, given to the Placer.
// Lives within one transaction and belongs to its thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "coordinator/core/model_places.h"
#include "coordinator/core/placement.h"
#include "coordinator/job/job.h"
#include "coordinator/store/job_store.h"

namespace sink {

// A worker that can be given work. Its running jobs are found in the rows.
struct Offer {
  Worker worker;
  int devices_free = 0;  // as it last said
};

class Schedule {
 public:
  // A job to start now: the worker that asks leads it.
  struct Start {
    Job job;
    int devices = 0;                             // of the worker that asks
    std::vector<std::pair<Worker, int>> others;  // further workers of the gang, with their devices
  };
  // When a lease with this fence was granted, on the steady clock.
  using GrantedAt = std::function<int64_t(uint64_t fence)>;

  // `offers`: the connected workers, among them the one that asks. `models` outlives the schedule.
  static absl::StatusOr<Schedule> Make(store::Snapshot& rows, std::vector<Offer> offers, const std::string& asking,
                                       const GrantedAt& granted_at, ModelPlaces* models, int64_t now_ms);

  // The next job that starts on the worker that asks; store the start before asking for another. Jobs that would start
  // on other workers are left for these to ask for.
  absl::StatusOr<std::optional<Start>> Next(store::Snapshot& rows);

 private:
  Schedule(std::vector<Offer> offers, size_t asking, Placer placer, ModelPlaces* models)
      : offers_(std::move(offers)), asking_(asking), placer_(std::move(placer)), models_(models) {}

  // A job whose model nobody has may start anywhere: the worker that gets it says where it looked.
  std::vector<bool> NodesFor(const Job& job) const;

  std::vector<Offer> offers_;
  size_t asking_;
  Placer placer_;
  ModelPlaces* models_;
  absl::flat_hash_set<std::string> settled_;  // heads of queues that do not start here, by job
};

// Devices that a worker's live jobs hold; a job whose trainers have ended holds none.
struct HeldDevices {
  std::string worker_id;
  int devices = 0;
  uint64_t fence = 0;
  int64_t max_time_ms = 0;
};
absl::StatusOr<std::vector<HeldDevices>> DevicesHeld(store::Snapshot& rows);

}  // namespace sink
