// A whole cluster in one thread, driven by a seed: workers crash, restart and freeze, replies are lost, reports are
// repeated and reordered, the coordinator restarts, the clock jumps. Every step is checked against what the workers
// know was acknowledged; in the end every job must be final. A failure prints its seed, and the seed alone repeats it.
#include <deque>
#include <map>
#include <random>
#include <set>

#include "absl/strings/match.h"
#include "coordinator/errors/error_detail.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/coordinator/core/fixture.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

constexpr int kJobs = 12;
constexpr int kWorkers = 3;
constexpr int kSteps = 20;  // of one job

class Simulation {
 public:
  Simulation(uint64_t seed, store::JobStore* store) : random_(seed), store_(*store) { StartCoordinator(); }

  void Run(int rounds) {
    Submit();
    for (int round = 0; round < rounds && !::testing::Test::HasFailure(); ++round) {
      Round(/*faults=*/true);
    }
    // Without faults everything ends.
    for (int round = 0; round < 5000 && !AllFinal() && !::testing::Test::HasFailure(); ++round) Round(false);
    EXPECT_TRUE(AllFinal());
    CheckStoredEvents();
  }

 private:
  struct Running {
    Lease lease;
    int step = 0;
    std::vector<Event> events;  // all of this attempt
    uint64_t acknowledged = 0;
    bool ended = false;
  };
  struct SimulatedWorker {
    std::string id, session;
    uint64_t poll = 1;
    bool registered = false;
    int frozen = 0;  // rounds
    std::vector<Running> jobs;
  };

  bool Chance(double p) { return std::uniform_real_distribution<>(0, 1)(random_) < p; }

  void StartCoordinator() {
    manager_.reset();
    CoreOptions options;
    options.heartbeat_interval_ms = 1000;
    options.lease_duration_ms = 8000;
    options.new_lease_id = [this] { return std::to_string(random_()); };
    auto manager = JobManager::Start(&store_, options, nullptr, now_);
    ASSERT_TRUE(manager.ok()) << manager.status();
    manager_ = std::move(*manager);
  }

  void Submit() {
    SubmitRequest request;
    request.sweep = "s";
    request.max_parallel = 5;
    request.retry_budget = {1000, 0, 1, 0};
    for (int n = 0; n < kJobs; ++n) {
      SubmitJob& job = request.jobs.emplace_back();
      job.id = Id(n);
      job.config_json = "{}";
      job.index = n;
      job.max_steps = kSteps;
    }
    ASSERT_TRUE(manager_->clients().Submit(request, now_).ok());
  }

  void Round(bool faults) {
    const int64_t passed = faults && Chance(0.02) ? 20'000 : 200 + random_() % 400;
    now_.steady_ms += passed;
    now_.unix_ms += Chance(0.1) ? -5000 : passed;  // nobody may care
    if (faults && Chance(0.01)) StartCoordinator();
    if (!faults || Chance(0.9)) {
      ASSERT_TRUE(manager_->expiry().Tick(now_).ok());
    }
    if (faults && Chance(0.01)) {
      ASSERT_TRUE(manager_->clients().Cancel({"", {Id(random_() % kJobs)}}, now_).ok());
    }
    if (faults && Chance(0.03)) {
      ASSERT_TRUE(manager_->clients().Retry({"s", {}}, now_).ok());
    }
    for (int w = 0; w < kWorkers; ++w) Act(workers_[w], w, faults);
    CheckLeases();
  }

  void Act(SimulatedWorker& worker, int number, bool faults) {
    if (worker.frozen > 0 && faults) {
      --worker.frozen;
      return;
    }
    if (faults && Chance(0.01)) worker.frozen = random_() % 60;
    if (faults && Chance(0.02)) {  // the daemon restarts; some trainers are gone
      worker.registered = false;
      std::erase_if(worker.jobs, [this](const Running&) { return Chance(0.5); });
    }
    if (!worker.registered) {
      worker.id = "w" + std::to_string(number);
      worker.session = std::to_string(random_());
      worker.poll = 1;
      RegisterRequest request;
      request.devices = 2;
      request.worker_id = request.name = worker.id;
      request.session = worker.session;
      for (const Running& job : worker.jobs) request.held.push_back(job.lease);
      auto keep = manager_->workers().Register(request, now_);
      ASSERT_TRUE(keep.ok()) << keep.status();
      if (faults && Chance(0.2)) return;  // the reply is lost
      worker.registered = true;
      std::erase_if(worker.jobs, [&](const Running& job) {
        return std::find(keep->begin(), keep->end(), job.lease) == keep->end();
      });
    }
    Beat(worker, faults);
    Poll(worker, faults);
    for (Running& job : worker.jobs) Train(worker, job, faults);
    std::erase_if(worker.jobs, [](const Running& job) { return job.ended; });
  }

  void Beat(SimulatedWorker& worker, bool faults) {
    HeartbeatRequest request{worker.id, worker.session, {}, 2};
    for (const Running& job : worker.jobs) {
      request.held.push_back({job.lease, job.step >= kSteps ? JobState::kFinalizing : JobState::kRunning});
    }
    auto result = manager_->workers().Heartbeat(request, now_);
    ASSERT_TRUE(result.ok()) << result.status();
    if (faults && Chance(0.2)) return;
    for (Running& job : worker.jobs) {
      const auto named = [&job](const std::vector<Lease>& leases) {
        return std::find(leases.begin(), leases.end(), job.lease) != leases.end();
      };
      if (named(result->stale)) job.ended = true;
      if (named(result->cancel) && !job.ended) Finish(worker, job, JobState::kCancelled, FailureClass::kNone, faults);
    }
  }

  void Poll(SimulatedWorker& worker, bool faults) {
    const int free = 2 - static_cast<int>(worker.jobs.size());
    if (free <= 0) return;
    auto grants = manager_->dispatcher().AcquireLeases({worker.id, worker.session, worker.poll, free}, now_);
    ASSERT_TRUE(grants.ok()) << grants.status();
    for (const Grant& grant : *grants) {
      // Strictly increasing, except that a repeated question gets its old answer.
      const auto [known, added] = granted_.emplace(grant.lease.fence, grant.lease);
      if (added) {
        EXPECT_GT(grant.lease.fence, newest_fence_);
        newest_fence_ = newest_of_job_[grant.lease.job_id] = grant.lease.fence;
      }
      EXPECT_EQ(known->second, grant.lease);
    }
    if (faults && Chance(0.2)) return;
    ++worker.poll;
    for (const Grant& grant : *grants) {
      const bool known = std::any_of(worker.jobs.begin(), worker.jobs.end(),
                                     [&](const Running& job) { return job.lease == grant.lease; });
      if (known) continue;
      Running& job = worker.jobs.emplace_back();
      job.lease = grant.lease;
      job.step = grant.resume_from ? static_cast<int>(grant.resume_from->step) : 0;
      job.events.push_back({1, pipe::Encode(pipe::Hello{.start_step = job.step, .max_steps = kSteps}), 0});
    }
  }

  void Train(SimulatedWorker& worker, Running& job, bool faults) {
    if (job.ended) return;
    if (job.step < kSteps && Chance(0.7)) {
      ++job.step;
      // Deterministic training: the value depends on job and step only.
      job.events.push_back({job.events.size() + 1, pipe::Encode(pipe::Metrics{job.step, {{"loss", Loss(job)}}}), 0});
      job.events.push_back({job.events.size() + 1, pipe::Encode(pipe::Log{"info", Line(job)}), 0});
    }
    if (Chance(0.5)) Report(worker, job, faults);
    if (job.ended) return;
    if (job.step % 5 == 0 && job.step > 0 && Chance(0.5)) {
      auto dropped = manager_->workers().CommitCheckpoint(
          worker.id, job.lease, {job.step, "h" + std::to_string(job.step), {}, job.events.size()}, now_);
      EXPECT_TRUE(dropped.ok() || job.acknowledged < job.events.size() || IsStaleLease(dropped.status()))
          << dropped.status();
    }
    if (job.step == kSteps && Chance(0.5)) {
      Finish(worker, job, JobState::kSucceeded, FailureClass::kNone, faults);
    } else if (faults && Chance(0.01)) {
      Finish(worker, job, JobState::kFailed, Chance(0.5) ? FailureClass::kInfra : FailureClass::kNan, faults);
    }
  }

  // From a random place at or before the first event that is not acknowledged: repetitions, and sometimes a gap.
  void Report(SimulatedWorker& worker, Running& job, bool faults) {
    size_t first = job.acknowledged - std::min<uint64_t>(job.acknowledged, random_() % 4);
    if (faults && Chance(0.1)) first += random_() % 6;
    if (first >= job.events.size()) return;
    const size_t count = std::min<size_t>(1 + random_() % 8, job.events.size() - first);
    const std::vector<Event> batch(job.events.begin() + first, job.events.begin() + first + count);
    auto durable = manager_->workers().Report(worker.id, job.lease, batch, now_);
    if (IsStaleLease(durable.status())) {
      job.ended = true;
      return;
    }
    if (durable.status().code() == absl::StatusCode::kOutOfRange) {
      return;  // a gap: by choice, or an acknowledgement that was lost is not one
    }
    ASSERT_TRUE(durable.ok()) << durable.status();
    EXPECT_GE(*durable, job.acknowledged);
    EXPECT_EQ(job.lease.fence, newest_of_job_[job.lease.job_id]) << "an older lease was obeyed";
    for (uint64_t seq = 1; seq <= *durable; ++seq) stored_.insert({job.lease.job_id, job.lease.attempt, seq});
    if (faults && Chance(0.2)) return;  // the reply is lost
    job.acknowledged = *durable;
  }

  void Finish(SimulatedWorker& worker, Running& job, JobState outcome, FailureClass failure, bool faults) {
    const FinishRequest request{worker.id, job.lease, outcome, failure, "why", job.events.size()};
    auto state = manager_->workers().Finish(request, now_);
    if (state.status().code() == absl::StatusCode::kOutOfRange) return;
    ASSERT_TRUE(state.ok() || IsStaleLease(state.status())) << state.status();
    if (state.ok() && Chance(0.2)) {
      EXPECT_EQ(manager_->workers().Finish(request, now_).value(), *state);
    }
    if (faults && Chance(0.2)) return;
    job.ended = true;
  }

  static double Loss(const Running& job) { return std::stoi(job.lease.job_id.substr(0, 8)) + 1.0 / job.step; }
  static std::string Line(const Running& job) {
    return "attempt " + std::to_string(job.lease.attempt) + " step " + std::to_string(job.step);
  }

  // Of all the leases that workers believe in, the coordinator accepts at most one a job.
  void CheckLeases() {
    std::map<std::string, int> valid;
    for (auto& [number, worker] : workers_) {
      for (const Running& job : worker.jobs) {
        if (manager_->workers().CheckLease(worker.id, job.lease, now_).ok()) {
          EXPECT_LE(++valid[job.lease.job_id], 1);
        }
      }
    }
  }

  bool AllFinal() {
    auto jobs = manager_->queries().ListJobs({});
    return std::all_of(jobs->begin(), jobs->end(), [](const Job& job) { return IsFinal(job.state); });
  }

  void CheckStoredEvents() {
    // Each acknowledged log line is there once; a line a step and attempt.
    for (int n = 0; n < kJobs; ++n) {
      auto page = manager_->queries().ReadLogs(Id(n), 0, 0, 1 << 20);
      std::map<std::string, int> lines;
      std::map<int, int> per_attempt;
      for (const LogLine& line : page->lines) {
        if (absl::StartsWith(line.text, "attempt ")) {
          EXPECT_EQ(++lines[line.text], 1) << line.text;
        }
        ++per_attempt[line.attempt];
      }
      std::map<int, int> acknowledged;  // attempt -> events that leave a line: the odd ones
      for (const auto& [job, attempt, seq] : stored_) {
        if (job == Id(n) && seq % 2 == 1) ++acknowledged[attempt];
      }
      for (const auto& [attempt, count] : acknowledged) EXPECT_EQ(per_attempt[attempt], count) << n << " " << attempt;
      std::set<int64_t> steps;
      const auto points = manager_->queries().ReadMetrics(Id(n), {});
      for (const MetricPoint& point : *points) {
        EXPECT_TRUE(steps.insert(point.step).second) << "step " << point.step << " is there twice";
        EXPECT_EQ(point.value, n + 1.0 / static_cast<double>(point.step));
      }
      if (manager_->queries().GetJob(Id(n))->job.state == JobState::kSucceeded) {
        EXPECT_EQ(steps.size(), size_t{kSteps}) << n;
      }
    }
  }

  std::mt19937_64 random_;
  store::JobStore& store_;
  Now now_{1'000'000, 1000};
  std::unique_ptr<JobManager> manager_;
  std::map<int, SimulatedWorker> workers_ = {{0, {}}, {1, {}}, {2, {}}};
  std::map<uint64_t, Lease> granted_;  // by fence
  std::map<std::string, uint64_t> newest_of_job_;
  uint64_t newest_fence_ = 0;
  std::set<std::tuple<std::string, int, uint64_t>> stored_;
};

TEST(Simulation, NoLeaseIsDoubledAndNoEventIsLostOrRepeated) {
  for (uint64_t seed = 1; seed <= 60 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    store::MemoryStore store;
    Simulation(seed, &store).Run(600);
  }
}

TEST(Simulation, HoldsOnDiskToo) {
  testing::TempDir folder;
  auto store = store::SqliteStore::Open(folder / "data");
  ASSERT_TRUE(store.ok()) << store.status();
  Simulation(77, store->get()).Run(60);
}

}  // namespace
}  // namespace sink
