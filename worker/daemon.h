// The worker daemon: registers with the coordinator, asks for work while devices are free, and keeps one JobRunner per
// held lease. Its control thread registers, polls and clears away finished runners; the heartbeat has its own thread.
// Start once, then BeginDrain or Kill, then wait for finished(). The public methods may be called from any thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "coordinator/job/timed_wait.h"
#include "worker/devices.h"
#include "worker/gpu_monitor.h"
#include "worker/heartbeat.h"
#include "worker/job_runner.h"
#include "worker/model_folder.h"
#include "worker/occupied_devices.h"
#include "worker/outage_log.h"
#include "worker/run_folder.h"
#include "worker/set_list.h"

namespace sink::worker {

struct DaemonOptions {
  std::string name;
  std::string version;
  std::string advertise;  // host at which other workers reach this one; "": the coordinator sees for itself
  std::string session;    // DataFolder's; "": a random one
  RunnerContext runner;   // on_unregistered and occupied are the daemon's own
  absl::Duration poll_interval = absl::Milliseconds(500);  // between questions that were answered at once
  absl::Duration ask_wait = absl::Seconds(30);             // how long a question may wait for its answer
  int64_t set_check_rate = ContentCheck::kDefaultRate;     // bytes a second; 0: the bytes of sets are not compared
  std::string nvml = kNvmlLibrary;
  absl::Duration ask_gpus_every = absl::Seconds(10);
  // After a drain's trainers are gone: how long to go on delivering before leaving the rest to the next start.
  absl::Duration drain_delivery = absl::Seconds(30);
  RetentionLimits retention;
  // Looking through all that ended runs have left takes as long as they are many: not after every short job.
  absl::Duration retain_every = absl::Seconds(5);
};

class Daemon {
 public:
  // `link` must outlive the daemon.
  Daemon(CoordinatorLink* link, DeviceInventory devices, DaemonOptions options);
  // Kills what still runs.
  ~Daemon();

  void Start();
  // Trainers save and stop, what they said is delivered, their jobs go back to the queue.
  void BeginDrain();
  // Trainers die now; nothing more is sent.
  void Kill();
  // After a drain or kill: no trainer is left and everything is delivered or given up.
  bool finished() const { return finished_.HasBeenNotified(); }
  bool WaitUntilFinished(absl::Duration timeout) const { return finished_.WaitFor(timeout); }

 private:
  void Run();
  bool RegisterUntilDone();
  absl::Status Register();
  void ApplyRegistration(const v1::RegisterResponse& response, absl::Duration sent_at);
  // Asks for work. True when the answer had waited as long as a pause would have been: ask again at once.
  bool Poll();
  // Until the question is answered: a device that comes free meanwhile, or a drain, is told by the heartbeat, and the
  // coordinator answers what waits with another number of devices.
  absl::StatusOr<v1::LeaseResponse> AskAndWait(const v1::LeaseRequest& request);
  void AddRunner(std::unique_ptr<JobRunner> runner, absl::Duration renewed_at) ABSL_LOCKS_EXCLUDED(mutex_);
  // And what ended runs have left beyond the limits.
  void RemoveDoneRunners() ABSL_LOCKS_EXCLUDED(mutex_);
  void FinishDrain();
  bool AllRunners(bool (JobRunner::*property)() const) ABSL_LOCKS_EXCLUDED(mutex_);

  void StartHeartbeat(absl::Duration interval);
  v1::HeartbeatRequest MakeHeartbeat() ABSL_LOCKS_EXCLUDED(mutex_);
  void OnHeartbeat(const v1::HeartbeatRequest& request, const v1::HeartbeatResponse& response, absl::Duration sent_at)
      ABSL_LOCKS_EXCLUDED(mutex_);

  CoordinatorLink* const link_;
  DaemonOptions options_;  // constant after construction
  const std::string session_;
  DevicePool devices_;
  OccupiedDevices occupied_;
  OutageLog outage_;

  // Of the control thread.
  std::vector<v1::LeaseRef> leftovers_;  // of a former daemon, until the first registration
  uint64_t poll_ = 1;
  bool left_something_ = false;  // a run that ended since retention was applied
  absl::Duration retain_from_;   // boot clock: not before
  ModelList models_;
  SetList sets_;
  std::thread control_thread_;
  std::unique_ptr<GpuMonitor> gpus_;  // where the devices are GPUs; before the heartbeat, which reads it
  std::unique_ptr<Heartbeat> heartbeat_;

  std::atomic<bool> must_register_ = true;
  std::atomic<int64_t> lease_duration_ms_ = 0;
  std::thread unanswered_;  // of the control thread: has the question that a frozen coordinator leaves open
  Notification stopping_, killed_, finished_;
  absl::Mutex mutex_;
  bool stop_requested_ ABSL_GUARDED_BY(mutex_) = false;
  bool leaving_ ABSL_GUARDED_BY(mutex_) = false;                                       // heartbeats say so
  std::map<std::string, std::unique_ptr<JobRunner>> runners_ ABSL_GUARDED_BY(mutex_);  // by lease id
};

}  // namespace sink::worker
