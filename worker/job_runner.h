// One held lease, from the grant (or, after a restart of the daemon, from its folder on disk) to the coordinator's
// answer to Finish. A runner has a thread of its own, which prepares the folder, runs the trainers and finishes, and
// those of the event sender, the uploader and, for a while, the ranks (rank_group.h). The daemon's threads use the
// public methods; all are thread-safe and none blocks, but for the destructor, which waits for the threads.
//
// In a gang, the runner with rank 0 leads: it delivers that rank's events and checkpoints, and every rank's logs. Any
// other one follows: its spool stays empty, its ranks' logs go to the daemon's log, and Finish says how they ended.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "worker/control_group.h"
#include "worker/coordinator_link.h"
#include "worker/devices.h"
#include "worker/event_sender.h"
#include "worker/leased_calls.h"
#include "worker/occupied_devices.h"
#include "worker/outcome.h"
#include "worker/rank_group.h"
#include "worker/run_folder.h"
#include "worker/spool.h"
#include "worker/stop_control.h"
#include "worker/trainer_user.h"
#include "worker/uploader.h"

namespace sink::worker {

// What all runners of a daemon share; constant while they live.
struct RunnerContext {
  CoordinatorLink* link = nullptr;
  std::string worker_id;
  std::string data;        // the daemon's folder
  std::string data_root;   // the packed sets, for job.json
  std::string model_root;  // open models; "" for none
  std::string trainer;     // absolute path of sink-trainer
  std::vector<std::string> environment;
  // As whom trainers run: one for all, or one for each device, by which a job's first one says; none: as the daemon.
  std::vector<TrainerUser> trainer_users;
  std::shared_ptr<ControlGroups> groups;  // in which they run; null: where none can be made
  Spool::Options spool;
  SupervisionLimits limits;
  std::function<void()> on_unregistered;
  OccupiedDevices* occupied = nullptr;  // takes the claims of attempts that leave a process
};

// What holds for the trainers of a job, of the worker's own limits: the time without a step is its sweep's where that
// says one, and the time without work is for trainings of which it says none. A job that measures a model makes no
// training steps.
SupervisionLimits LimitsFor(const v1::Grant& grant, SupervisionLimits limits);

class JobRunner {
 public:
  // A new attempt. `claim` null: the grant asks for more devices than are free, and the attempt fails at once.
  JobRunner(const RunnerContext* context, v1::Grant grant, std::unique_ptr<DevicePool::Claim> claim);
  // What a former daemon left: nothing is run, the rest is delivered.
  JobRunner(const RunnerContext* context, const v1::LeaseRef& leftover);
  ~JobRunner();

  void Start();

  // The coordinator has acknowledged this lease in an answer to a call sent at `sent_at` (boot clock).
  void RenewLease(absl::Duration sent_at, absl::Duration lease_duration);
  void RequestStop(StopReason reason) { control_.Request(reason); }
  // Leaves what is undelivered on disk, for the next start of the daemon.
  void AbandonDelivery() { control_.AbandonDelivery(); }

  v1::HeldJob held() const;
  const v1::LeaseRef& lease() const { return grant_.lease(); }
  bool trainer_ended() const { return phase_ == v1::FINALIZING || done(); }
  // The thread is about to end; the runner may be destroyed.
  bool done() const { return done_; }

 private:
  void Run();
  // What a former daemon knew of the attempt's end, without what its spool has lost since.
  Outcome TakeUpOutcome();
  // Sees that the spool goes on where the coordinator has more than a damaged one. DataLoss: events up to `needed` are
  // not all there or here.
  absl::Status MendSpool(uint64_t needed);
  Outcome RunTrainers();
  // Trainers' users get at the folder no more: the device's next job may be of the same one.
  void CloseFolder() const;
  // As whom, while there is a claim; null: as this process.
  const TrainerUser* User() const;
  // What the job needs of this worker's --data-root and does not find there: "data set /data/regmix"; else empty.
  std::string LackingHere() const;
  // FailedPrecondition when the job's data set holds something else here than the grant says.
  absl::Status CheckContent() const;
  absl::Status PrepareFolders(const std::vector<Rank>& ranks);
  absl::Status FillFolders(const std::vector<Rank>& ranks);
  SupervisionLimits Limits() const;
  bool leads() const { return grant_.gang().first_rank() == 0; }

  // Called by the ranks' threads.
  void OnEvent(const Rank& rank, std::string_view line, const pipe::Event& event);
  void DeliverEvent(const Rank& rank, std::string_view line, const pipe::Event& event);
  void Log(const Rank& rank, std::string_view level, std::string_view text);
  // To the spool, which says what is returned. Once that drops something, the attempt is to stop.
  uint64_t Append(std::string_view line);
  // Tells the job's log of a trainer that its grace was too short for.
  void TellKilled(const Rank& rank, const TrainerReport& trainer);

  void Deliver(Outcome outcome);
  // Whether it is for another worker of the gang to say why the attempt failed.
  bool AwaitsCause(const Outcome& outcome) const;
  // For the daemon that finds this attempt as a leftover, with the events before it.
  void KeepOutcome(Outcome outcome) const;
  // False: the attempt counts no more, or its end is left to the daemon's next start.
  bool Finish(const Outcome& outcome, uint64_t last_seq);

  const RunnerContext* const context_;
  const v1::Grant grant_;  // of a leftover only the lease
  const bool leftover_;
  const RunFolder folder_;
  std::unique_ptr<DevicePool::Claim> claim_;  // given back when the trainer is gone
  std::vector<LeftTrainer> left_;             // that are not gone, or have left processes
  StopControl control_;
  LeasedCalls calls_;

  std::atomic<v1::JobState> phase_ = v1::LEASED;
  std::atomic<bool> done_ = false;
  std::atomic<int64_t> lease_stop_ms_ = INT64_MAX;  // boot clock: stop the trainer then, to be gone before the lease is
  std::atomic<int64_t> lease_grace_ms_ = INT64_MAX;  // how long it may take to stop

  // Made and destroyed by the runner's own thread while there are no ranks; thread-safe themselves.
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<EventSender> sender_;
  std::unique_ptr<Uploader> uploader_;
  // Of rank 0's thread while that runs.
  absl::Status offer_error_;  // why the newest checkpoint was not taken for upload
  int64_t saved_step_;        // of the newest checkpoint that was, or that the attempt begins from; 0: none
  std::thread thread_;
};

}  // namespace sink::worker
