// What the queue and the workers come to when one worker asks for work: the rows of a snapshot, given to the Placer.
// Lives within one transaction and belongs to its thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "coordinator/core/inventory.h"
#include "coordinator/core/placement.h"
#include "coordinator/core/worker_health.h"
#include "coordinator/job/gang_member.h"
#include "coordinator/job/job.h"
#include "coordinator/store/job_store.h"
#include "coordinator/store/queue_head.h"

namespace sink {

// A worker that can be given work. Its running jobs are found in the rows.
struct Offer {
  Worker worker;
  int devices_free = 0;  // as it last said
};

// The leases of one worker: of jobs that it leads, and of places in the gangs of others.
struct HeldLeases {
  std::vector<Job> jobs;
  std::vector<GangMember> members;
};
absl::StatusOr<HeldLeases> HeldLeasesOf(store::Snapshot& rows, const std::string& worker_id);

// Whether these could hold the job if all their devices were free: those of one kind, as its ranks run on one.
bool CouldHold(const std::vector<const Worker*>& workers, const Job& job);

class Schedule {
 public:
  // So many jobs that are for other workers, or whose checkpoints are away, may others go before, of one question,
  // which stays cheap.
  static constexpr size_t kMostPassedOver = 16;

  // A job to start now: the worker that asks leads it.
  struct Start {
    Job job;
    int devices = 0;                             // of the worker that asks
    std::vector<std::pair<Worker, int>> others;  // further workers of the gang, with their devices
  };
  // When a lease with this fence was granted, on the steady clock.
  using GrantedAt = std::function<int64_t(uint64_t fence)>;
  // The connected workers, among them the one that asks.
  using Offers = std::function<absl::StatusOr<std::vector<Offer>>(store::Snapshot& rows)>;

  // `asking`: the worker that asks; `held`: by it. Nothing starts on a worker that is behind (undelivered.h). `offers`
  // is called only where a job may have to go to several workers or wait for others. `inventory` and `health` outlive
  // the schedule. `checkpoints_away`: no job starts that has checkpoints.
  static absl::StatusOr<Schedule> Make(store::Snapshot& rows, Offer asking, const HeldLeases& held, Offers offers,
                                       GrantedAt granted_at, Inventory* inventory, WorkerHealth* health,
                                       bool checkpoints_away, int64_t now_ms);

  // The next job that starts on the worker that asks; store the start before asking for another. Jobs that would start
  // on other workers are left for these to ask for.
  absl::StatusOr<std::optional<Start>> Next(store::Snapshot& rows);
  // Whether Next has come upon a job that nothing holds, wherever it could start. One that needs what nobody has is
  // none.
  bool found_ready() const { return found_ready_; }

 private:
  // Where the jobs of several workers go.
  struct Fleet {
    size_t asking = 0;  // among workers_
    Placer placer;
  };

  Schedule(Offer asking, int free, Offers offers, GrantedAt granted_at, Inventory* inventory, WorkerHealth* health,
           bool checkpoints_away, int64_t now_ms)
      : asking_(std::move(asking)),
        free_(free),
        offers_(std::move(offers)),
        granted_at_(std::move(granted_at)),
        inventory_(inventory),
        health_(health),
        checkpoints_away_(checkpoints_away),
        now_ms_(now_ms) {}

  // What of the queue that this is the head of starts, now that all that goes before it has been tried; once a head. A
  // job that is for another worker, or whose checkpoints are away, does not hold up those behind it: they are heads in
  // its place.
  absl::StatusOr<std::optional<Start>> Try(store::Snapshot& rows, const store::QueueHead& head);
  // Whether those behind this head may go before it: Try has passed over it, and they would not take its place in its
  // sweep.
  absl::StatusOr<bool> MayPass(store::Snapshot& rows, const store::QueueHead& head);
  void PassOver(const store::QueueHead& head) {
    passed_over_.insert(head.job_id);
    ++passed_over_of_[head.sweep];
  }
  // The worker that asks has nothing free: whatever the rest of the fleet has, nothing starts here, and that a job is
  // ready is known.
  bool is_over() const { return free_ == 0 && found_ready_; }
  // Whether the worker that asks can start the whole job. As long as every job before could be started so, or was held,
  // the Placer would say the same: nothing is reserved, and a job that fits on the node that asks goes there.
  bool FitsHere(const Job& job) const;
  // Whether a connected worker can have this; others than the one that asks are met only where that one cannot. Asked
  // of the inventory once: many sweeps may wait for the same.
  absl::StatusOr<bool> AnybodyHas(store::Snapshot& rows, const Needs& needs);
  // Whether the job, which has just failed on the worker that asks, can go to others that are connected.
  absl::StatusOr<bool> IsForAnother(store::Snapshot& rows, const Job& job);
  absl::Status MeetWorkers(store::Snapshot& rows);  // workers_, worker_ids_
  absl::Status MeetFleet(store::Snapshot& rows);
  // Those of workers_ that can have what the job needs, of a gang's those that have said so; none named: all of them.
  // Workers on which it has just failed are not among them where the others would do.
  std::vector<bool> NodesFor(const Job& job) const;

  Offer asking_;
  int free_;  // devices of the worker that asks, beyond what it holds and has been given here
  Offers offers_;
  GrantedAt granted_at_;
  Inventory* inventory_;
  WorkerHealth* health_;
  bool checkpoints_away_;
  int64_t now_ms_;
  std::optional<std::vector<Offer>> workers_;  // from the first job on for which it matters who else is there
  std::vector<std::string> worker_ids_;        // theirs
  std::optional<Fleet> fleet_;                 // from the first job on that does not simply fit here
  bool found_ready_ = false;
  absl::flat_hash_set<std::string> settled_;              // heads of queues that do not start here, by job
  absl::flat_hash_set<std::string> passed_over_;          // those of them that do not hold up those behind them
  absl::flat_hash_map<std::string, int> passed_over_of_;  // how many of each sweep
  std::vector<Wanted> elsewhere_;                         // what they want, until the fleet is known
  absl::flat_hash_map<Needs, bool> anybody_has_;          // what was asked
};

// Devices that a worker's live jobs hold; a job whose trainers have ended holds none.
struct HeldDevices {
  std::string worker_id;
  int devices = 0;
  uint64_t fence = 0;
  int64_t max_time_ms = 0;
};
// `live`: all live jobs.
absl::StatusOr<std::vector<HeldDevices>> DevicesHeld(store::Snapshot& rows, const std::vector<Job>& live);

}  // namespace sink
