// A worker daemon with its trainers, in simulated time. What it decides by is the daemon's own (worker/protocol);
// threads, folders and processes are played. What lies on its disk outlives the daemon; the machine's loss leaves all
// but the ends of spools, or nothing. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulator/world.h"
#include "worker/protocol/delivery.h"
#include "worker/protocol/lease_term.h"
#include "worker/protocol/upload_plan.h"

namespace sink::simulator {

class Worker {
 public:
  Worker(World* world, int number);
  ~Worker();

  void Boot();
  // The daemon dies, its trainers with it, and starts again; a machine that is lost starts with a damaged disk. Half of
  // the daemons say that they leave.
  void Crash(bool machine);
  // SIGSTOP, and SIGCONT after a while.
  void Freeze(int64_t duration);
  // One of its trainers dies by itself.
  void KillTrainer();

 private:
  struct Saved {  // a checkpoint on its way
    int64_t step = 0;
    uint64_t seq = 0;  // events up to here must be durable first
    std::vector<uint64_t> sizes;
  };
  struct Outcome {
    JobState state = JobState::kFailed;
    FailureClass failure_class = FailureClass::kInfra;
    std::string message;
  };
  // One attempt, as JobRunner has it.
  struct Runner {
    Lease lease;
    int devices = 1;
    bool leads = true;
    std::string token;
    int ranks = 1;
    // On disk.
    std::vector<Event> events;  // the spool, and what it has forgotten
    uint64_t first = 1;         // of the events, the oldest that the spool has
    uint64_t needed = 0;        // the events that the rest counts on, where the disk was damaged
    std::deque<Saved> waiting;
    std::optional<Outcome> outcome;
    // In memory.
    bool trains = false;
    bool stopping = false;  // the trainer was told to
    int64_t step = 0;
    worker::LeaseTerm term;
    JobState phase = JobState::kLeased;
    worker::Delivery delivery{1};
    uint64_t acknowledged = 0;
    bool reporting = false, uploading = false, finishing = false, refused = false;
    bool fetching = false;                   // the trainer begins once a checkpoint is here
    int bad_fetches = 0;                     // that arrived damaged
    std::optional<worker::UploadPlan> plan;  // of the checkpoint that waits longest
  };
  struct Fetched {                         // what the coordinator sent
    std::optional<Checkpoint> checkpoint;  // none: it has none
    bool intact = true;
    int64_t promised = 0;  // the step from which the job must go on at least
  };
  struct Claim {  // who a call says that it comes from
    std::string worker_id;
    Lease lease;
  };
  using Runners = std::map<std::string, Runner>;  // by lease id

  // The action, unless the daemon has died since; later, while it is frozen.
  void Later(int64_t delay, std::function<void()> action);
  void Guard(uint64_t life, const std::function<void()>& action);
  template <typename Response>
  void Call(std::function<absl::StatusOr<Response>(JobManager&, Now)> serve,
            std::function<void(const absl::StatusOr<Response>&)> answered) {
    world_->Call<Response>(number_, std::move(serve), [this, life = life_, answered](const auto& answer) {
      Guard(life, [answered, answer] { answered(answer); });
    });
  }
  // The same under a runner's lease; `answered` is skipped when the runner has gone meanwhile.
  template <typename Response>
  void LeasedCall(const std::string& id, std::function<absl::StatusOr<Response>(JobManager&, Now, const Claim&)> serve,
                  std::function<void(Runner&, const absl::StatusOr<Response>&)> answered);
  Claim Mutated(JobManager& manager, const Lease& lease) const;

  void Control();
  void Register();
  void Poll();
  void Answered(const Desk::Grants& grants, int64_t leased_at);
  void Beat();
  HeartbeatRequest MakeHeartbeat() const;
  // Said as a daemon ends; nobody awaits an answer, and it may come when the next one has long registered.
  void SayGoodbye();
  void Begin(const Grant& grant, int64_t renewed_at);
  void Renew(Runner& runner, int64_t sent_at);
  void Drop(const std::string& id);  // stale
  int Free() const;

  // The checkpoint with the manifest that lies on this machine's disk, if it does.
  std::optional<Checkpoint> FindLocal(const Checkpoint& wanted) const;
  // Brings the checkpoint of this step here, or, for 0, the newest that the coordinator has.
  void Fetch(const std::string& id, int64_t step);
  absl::StatusOr<Fetched> ServeFetch(JobManager& manager, Now now, const Claim& as, const std::string& job,
                                     int64_t step);
  void StartTrainer(Runner& runner);
  void Train(const std::string& id);
  void OneStep(Runner& runner);
  void Spool(Runner& runner, const std::string& record, const Oracle::Spooling& event);
  void Save(Runner& runner);
  void EndTrainer(const std::string& id, Outcome outcome);
  // Takes the ends of spools, or all: more than what is not synced before it is counted on (worker/spool.h).
  void DamageDisk();
  // As JobRunner does: a spool that was damaged goes on after what the coordinator has.
  void MendSpool(const std::string& id, Runner& runner);
  // Whatever comes next of reports, uploads and the end.
  void Pump(const std::string& id);
  void Report(const std::string& id, Runner& runner);
  void Upload(const std::string& id, Runner& runner);
  void Finish(const std::string& id, Runner& runner);
  // After an answer that was no success: the same again, where it is worth while.
  void Retry(const std::string& id, const absl::Status& status);
  // As LeasedCalls: what a restored coordinator lacks is sent again.
  static void NoteMissingEvents(Runner* runner, const absl::Status& status);

  World* const world_;
  const int number_;
  const std::string id_;
  const int devices_;
  uint64_t life_ = 0;
  uint64_t boots_ = 0;
  int64_t frozen_until_ = 0;
  std::string session_;
  uint64_t poll_ = 1;
  bool must_register_ = true;
  bool beats_ = false;
  // What trainers have written here: manifests' hashes by job and step. On disk.
  std::map<std::pair<std::string, int64_t>, std::vector<std::string>> saved_;
  Runners runners_;
};

}  // namespace sink::simulator
