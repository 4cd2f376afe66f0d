// What the calls of clients, the calls of workers and the passing of time share: the store, the rules' options, and
// what must not outlive the process. Owned by JobManager, which makes it first and destroys it last.
//
// The store holds all truth. The rest is: when each lease and worker was last heard of and when each retry delay ends
// (clock), which worker has which models and sets (inventory), what failed where (health), who waits for changes
// (changes, feed) or for work (placement), whether there is room for what jobs bring and what they go on from is there.
// Each of these but the last has a lock of its own, held only within its methods, so that no call holds two. Any thread
// may call any method, but for NewHolder.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "coordinator/core/attempt_rules.h"
#include "coordinator/core/change_feed.h"
#include "coordinator/core/change_signal.h"
#include "coordinator/core/inventory.h"
#include "coordinator/core/job_event_listener.h"
#include "coordinator/core/lease_clock.h"
#include "coordinator/core/requests.h"
#include "coordinator/core/worker_health.h"
#include "coordinator/job/job.h"
#include "coordinator/store/job_store.h"

namespace sink {

// What becomes of the metric points of jobs that have ended; retention.h tells how.
struct RetentionPolicy {
  int64_t full_for_ms =
      0;         // after a job's end; by the wall clock, for days pass while no coordinator runs. 0: for good
  int best = 0;  // jobs of each sweep that keep all their points
  int points_a_curve = 256;
};

struct CoreOptions {
  int64_t heartbeat_interval_ms = 10'000;
  int64_t lease_duration_ms = 120'000;
  // How long a worker whose question waits may say nothing and be taken for connected; 0: no longer than any other.
  int64_t rest_ms = 0;
  int64_t retire_after_ms = 3'600'000;  // a worker that holds nothing and is silent for so long leaves the lists
  int checkpoints_kept = 2;             // of one job, the newest; a job may say otherwise
  RetryPolicy retry;
  RetentionPolicy keep_points;                // retention.h
  std::function<std::string()> new_lease_id;  // 128 random bits as hex; called on the store's writer thread
};

class CoreContext {
 public:
  using ReadBody = std::function<absl::Status(store::Snapshot&)>;
  using WriteBody = std::function<absl::Status(store::Transaction&)>;

  // Fences begin above those of every earlier epoch. `store` and `listener` (may be null) outlive the context.
  CoreContext(store::JobStore* store, CoreOptions options, JobEventListener* listener, uint64_t epoch);
  CoreContext(const CoreContext&) = delete;
  CoreContext& operator=(const CoreContext&) = delete;

  absl::Status Read(const ReadBody& body) { return store_->Read(body); }
  // Durable when it returns OK; then it tells changes() and feed(), and placement() where a job may be able to start.
  absl::Status Write(const WriteBody& body) { return WriteBy(&store::JobStore::Write, body); }
  // The same for a body of thousands of statements; see JobStore.
  absl::Status WriteLarge(const WriteBody& body) { return WriteBy(&store::JobStore::WriteLarge, body); }

  // The holder of a new lease: its fence is greater than any before. Within a Write only, whose thread is the one that
  // counts fences.
  Holder NewHolder(const std::string& worker_id, const std::string& session, uint64_t poll);

  // How long the worker has been silent, and whether it said that it would be, as a state.
  WorkerState StateOf(const Worker& worker, Now now);

  const CoreOptions& options() const { return options_; }
  JobEventListener& listener() { return *listener_; }
  ChangeSignal& changes() { return changes_; }
  ChangeSignal& placement() { return placement_; }
  ChangeFeed& feed() { return feed_; }
  // The worker is alive, with so many devices free.
  void HearWorker(const std::string& id, int devices_free, Now now);
  // Its daemon of that session ends: it counts no more until it is heard again. Nothing of the worker changes where
  // another daemon has registered as it since.
  void WorkerLeaves(const std::string& id, const std::string& session, Now now);
  // Whether there is room for what jobs bring; at first there is. When it comes back this tells placement().
  void SetRoom(bool room);
  bool has_room() const { return has_room_; }
  // Whether the checkpoints are out of reach; at first they are not. When they are back this tells placement().
  void SetCheckpointsAway(bool away);
  bool checkpoints_away() const { return checkpoints_away_; }
  LeaseClock& clock() { return clock_; }
  Inventory& inventory() { return inventory_; }
  WorkerHealth& health() { return health_; }

 private:
  absl::Status WriteBy(absl::Status (store::JobStore::*write)(const WriteBody&), const WriteBody& body);
  bool IsConnected(const LeaseClock::WorkerTimes& times, Now now) const;

  store::JobStore* const store_;
  const CoreOptions options_;
  JobEventListener nobody_;  // listens where nobody else does
  JobEventListener* const listener_;
  ChangeSignal changes_, placement_;
  ChangeFeed feed_;
  LeaseClock clock_;
  Inventory inventory_;
  WorkerHealth health_;
  std::atomic<bool> has_room_ = true, checkpoints_away_ = false;
  uint64_t next_fence_;  // the store's writer thread only
};

}  // namespace sink
