// One schedule: a coordinator, its disk, workers, people and the network between them, in simulated time. What happens
// is drawn from the seed. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/job_manager.h"
#include "tests/simulator/checkpoint_files.h"
#include "tests/simulator/desk.h"
#include "tests/simulator/fiber.h"
#include "tests/simulator/lossy_disk.h"
#include "tests/simulator/oracle.h"
#include "tests/simulator/simulated_store.h"
#include "tests/simulator/timeline.h"

namespace sink::simulator {

// A protection that is taken out, to see that its absence is found.
enum class Mutation {
  kNone,
  kFence,    // every call counts as made under the newest lease, by its holder
  kSync,     // commits are not synced
  kEvents,   // a checkpoint commits before its events are durable
  kRestore,  // a restored store is opened as it is
  kArrival,  // bytes of a checkpoint that arrive are not compared with their hashes before they count
  kFetch,    // bytes of a checkpoint that is fetched are not compared with their hashes before they are used
  kLocal,    // a checkpoint that lies on the worker's disk is taken for the one wanted by its step alone
  kCollect,  // a checkpoint's files go when a newer one begins to arrive
  kDropAll,  // the intact checkpoints go with a damaged one
  kPoints,   // the point of a job's first step is acknowledged, and not stored
  kSpool,    // an attempt whose last events a worker's disk has lost ends as if they were there
  kWakeup,   // a look at a question counts as having seen what came while it was under way
};

// What a seed draws for the whole schedule.
struct Plan {
  int workers = 2;
  int jobs = 2;
  int64_t steps = 6;  // of a job
  int64_t save_every = 2;
  bool gangs = false;
  int64_t faults_until = 10 * kSecond;
  double loss = 0, duplication = 0;
  int64_t most_delay = 20 * kMs;
  double coordinator_crashes = 0;  // a second
  double power_cuts = 0;           // of those, how many cost what was not synced
  double worker_crashes = 0, machine_losses = 0, freezes = 0, cuts = 0, trainer_crashes = 0;  // a second and worker
  bool restores = false;
  bool damages = false;  // a checkpoint at the coordinator
};
Plan DrawPlan(Random* random);

class Worker;

// What one schedule after the other uses; a process has one.
struct Machine {
  LossyDisk disk;
  Connections connections{&disk};
  Fibers fibers;
};

class World {
 public:
  World(uint64_t seed, Mutation mutation, Machine* machine, bool trace);
  ~World();

  // Runs the schedule to its end. Empty when all went well.
  std::string Run();
  uint64_t digest() const { return digest_; }  // of all that happened
  int64_t calls() const { return calls_; }

  // For the parts of the world.
  Timeline& timeline() { return timeline_; }
  Random& random() { return random_; }
  Oracle& oracle() { return oracle_; }
  const Plan& plan() const { return plan_; }
  Mutation mutation() const { return mutation_; }
  bool faults() const { return timeline_.now() < plan_.faults_until; }
  bool Fault(double chance) { return faults() && random_.Chance(chance); }
  CheckpointFiles& files() { return files_; }
  std::string NewId() { return std::to_string(random_.Next()); }
  void Note(const std::string& line);
  const CoreOptions& options() const { return options_; }

  // The ranks of one attempt on several workers: they train once all have come, and end together.
  struct Gang {
    int missing = 0;
    bool broken = false;
    bool complete = false;
  };
  Gang& GangOf(const std::string& token, int ranks);

  // A call over the network: `serve` runs at the coordinator, perhaps twice, perhaps late, perhaps not at all;
  // `answered` once, with the answer or the absence of one. `worker`: who calls, for the network's cuts; -1: people.
  template <typename Response>
  void Call(int worker, std::function<absl::StatusOr<Response>(JobManager&, Now)> serve,
            std::function<void(const absl::StatusOr<Response>&)> answered);

  // A worker's question for work, which may wait at the coordinator's desk. `answered` as for Call; `waited` tells how
  // long it had been there when its grants were made.
  using LeaseAnswered = std::function<void(const Desk::Grants& grants, int64_t waited)>;
  void Ask(int worker, const LeaseRequest& request, LeaseAnswered answered);
  // The worker's daemon has died: nobody awaits the answers to its questions.
  void HangUp(int worker);

  // Of the coordinator that runs. Serve: in a fiber there, once it is not frozen; false when none runs.
  bool Serve(std::function<void(JobManager&, Now)> body);
  Now CoordinatorNow();
  Desk& desk() { return *desk_; }

 private:
  // A question on its way, or waiting; the network may bring it to the coordinator more than once.
  struct LeaseCall {
    int worker = 0;
    LeaseRequest request;
    LeaseAnswered answered;
    bool over = false;
    std::vector<std::weak_ptr<Desk::Question>> copies = {};
  };
  using LeaseCallPtr = std::shared_ptr<LeaseCall>;

  void StartCoordinator();
  void StopCoordinator(bool power_cut);
  void ScheduleFaults();
  void Tick();
  void Submit(int count, const std::string& sweep);
  void Send(const SubmitRequest& request);  // until it is answered, always with the same id
  void CancelSome();
  void BackUp();
  void Restore();
  void DamageCheckpoint();
  absl::Status PrepareRestored();
  bool AllFinal();
  void TellWhatWaits();
  void Arrive(const LeaseCallPtr& call);  // in a fiber
  // The connection is gone: both sides come to know it, if they were waiting.
  void Break(const LeaseCallPtr& call);
  void End(const LeaseCallPtr& call, const Desk::Grants& grants, int64_t waited = 0);
  // The caller awaits no answer any more.
  void Leave(const LeaseCallPtr& call);
  bool IsCut(int worker) const;
  int64_t Delay() { return random_.Between(kMs / 10, faults() ? plan_.most_delay : 20 * kMs); }

  Random random_;
  const Plan plan_;
  const Mutation mutation_;
  Machine* const machine_;
  LossyDisk* const disk_;  // the machine's
  const bool trace_;
  Timeline timeline_;
  Oracle oracle_;
  CoreOptions options_;
  CheckpointFiles files_;
  std::optional<std::pair<LossyDisk::Image, CheckpointFiles>> backup_;
  std::map<std::string, Gang> gangs_;

  std::unique_ptr<SimulatedStore> store_;
  std::unique_ptr<JobManager> manager_;
  std::unique_ptr<Desk> desk_;  // with the manager
  uint64_t incarnation_ = 0;    // of the coordinator; 0 mod 2: none runs
  int64_t coordinator_frozen_until_ = 0;
  int64_t wall_offset_ms_ = 1'700'000'000'000;
  bool ticking_ = false;

  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<LeaseCallPtr> lease_calls_;      // that are not over
  std::vector<std::pair<int64_t, int>> cuts_;  // until when, which worker
  uint64_t digest_ = 14695981039346656037u;
  int64_t calls_ = 0;
};

template <typename Response>
void World::Call(int worker, std::function<absl::StatusOr<Response>(JobManager&, Now)> serve,
                 std::function<void(const absl::StatusOr<Response>&)> answered) {
  constexpr int64_t kDeadline = 2 * kSecond;
  ++calls_;
  const auto over = std::make_shared<bool>(false);
  const auto end = [over, answered](const absl::StatusOr<Response>& answer) {
    if (std::exchange(*over, true)) return;
    answered(answer);
  };
  const auto arrive = [this, worker, serve, end] {
    if (IsCut(worker)) return;
    const bool served = Serve([this, worker, serve, end, incarnation = incarnation_](JobManager& manager, Now now) {
      const absl::StatusOr<Response> answer = serve(manager, now);
      if (incarnation_ != incarnation || Fault(plan_.loss) || IsCut(worker)) return;
      timeline_.After(Delay(), [end, answer] { end(answer); });
    });
    if (!served) timeline_.After(Delay(), [end] { end(absl::UnavailableError("cannot reach the coordinator")); });
  };
  if (!Fault(plan_.loss)) timeline_.After(Delay(), arrive);
  if (Fault(plan_.duplication)) timeline_.After(Delay() * random_.Between(1, 10), arrive);
  timeline_.After(kDeadline, [end] { end(absl::DeadlineExceededError("no answer")); });
}

}  // namespace sink::simulator
