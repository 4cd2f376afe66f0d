// A thousand jobs of 1 to 8 devices come and go on ten workers of four: what is held never exceeds what a worker has,
// whatever has waited longest starts within the time of the longest job, everything ends, and a seed gives one
// schedule.
#include <algorithm>
#include <map>
#include <random>

#include "tests/coordinator/core/gang_fixture.h"

namespace sink {
namespace {

constexpr int kWorkers = 10, kDevices = 4;
constexpr int64_t kLongestMs = 40'000;

class Simulation final : public GangTest {
 public:
  explicit Simulation(uint64_t seed) : random_(seed) {
    for (int w = 0; w < kWorkers; ++w) Join(Name(w), kDevices);
  }

  // Who got which job when, a line each.
  std::string Run(int jobs) {
    for (int second = 0; submitted_ < jobs || !running_.empty() || !waiting_.empty(); ++second) {
      EXPECT_LT(second, 20'000) << "deadlock";
      if (second >= 20'000) break;
      for (int n = Below(3); n > 0 && submitted_ < jobs; --n) SubmitOne();
      EndSome();
      for (int i = 0; i < kWorkers; ++i) Ask((i + second) % kWorkers, second);
      Watch();
      Advance(1000);
      EXPECT_TRUE(manager->expiry().Tick(now).ok());
    }
    return history_;
  }

  int64_t longest_at_head_ms() const { return longest_at_head_ms_; }
  JobState StateOf(int job) { return State(job); }

 private:
  struct Rank {
    int worker = 0;
    Grant grant;
  };
  struct Running {
    std::vector<Rank> ranks;
    int64_t ends_ms = 0;
  };

  void TestBody() override {}
  static std::string Name(int worker) { return "w" + std::to_string(worker); }
  int Below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }

  int InUse(int worker) const {
    int devices = 0;
    for (const auto& [job, running] : running_)
      for (const Rank& rank : running.ranks) devices += rank.worker == worker ? rank.grant.devices : 0;
    return devices;
  }

  void SubmitOne() {
    const int devices = 1 + Below(8);
    int per_worker = devices % 4 == 0 ? 4 : devices % 2 == 0 ? 2 : 1;
    if (devices <= kDevices && Below(2) == 0) per_worker = devices;
    SubmitRequest request = Sweep({submitted_}, "s" + std::to_string(devices) + "-" + std::to_string(per_worker));
    request.devices = devices;
    request.per_worker = per_worker;
    request.max_time_ms = Below(2) == 0 ? 0 : kLongestMs;
    EXPECT_TRUE(manager->clients().Submit(request, now).ok());
    waiting_[submitted_++] = -1;
  }

  void EndSome() {
    for (auto run = running_.begin(); run != running_.end();) {
      if (run->second.ends_ms > now.steady_ms) {
        ++run;
        continue;
      }
      // Members first, in any order; the leader, whose ranks begin at 0, ends the job.
      std::vector<Rank>& ranks = run->second.ranks;
      std::sort(ranks.begin(), ranks.end(),
                [](const Rank& a, const Rank& b) { return a.grant.first_rank > b.grant.first_rank; });
      for (const Rank& rank : ranks) {
        EXPECT_TRUE(Finish(rank.grant.lease, JobState::kSucceeded, FailureClass::kNone, 0, Name(rank.worker)).ok());
      }
      run = running_.erase(run);
    }
  }

  void Ask(int worker, int second) {
    std::vector<Lease> held;
    for (const auto& [job, running] : running_) {
      for (const Rank& rank : running.ranks) {
        if (rank.worker == worker) held.push_back(rank.grant.lease);
      }
    }
    EXPECT_TRUE(Beat(Name(worker), held, kDevices - InUse(worker)).stale.empty());
    if (InUse(worker) == kDevices) return;  // as a daemon
    for (const Grant& grant : GangTest::Ask(Name(worker), ++polls_[worker], kDevices - InUse(worker))) {
      const int job = std::stoi(grant.lease.job_id.substr(0, 8));
      Running& running = running_[job];
      if (running.ranks.empty()) running.ends_ms = now.steady_ms + 1000 * (1 + Below(kLongestMs / 1000 - 2));
      running.ranks.push_back({worker, grant});
      EXPECT_LE(InUse(worker), kDevices) << "double-booked";
      waiting_.erase(job);
      history_ += std::to_string(second) + " " + Name(worker) + " " + std::to_string(job) + "\n";
    }
  }

  // How long the job that has waited longest has been that job.
  void Watch() {
    if (waiting_.empty()) return;
    int64_t& since_ms = waiting_.begin()->second;
    if (since_ms < 0) since_ms = now.steady_ms;
    longest_at_head_ms_ = std::max(longest_at_head_ms_, now.steady_ms - since_ms);
  }

  std::mt19937_64 random_;
  int submitted_ = 0;
  std::map<int, Running> running_;  // by job
  std::map<int, int64_t> waiting_;  // by job, in order of submission: since when it has been the first; -1 before
  std::map<int, uint64_t> polls_;   // by worker
  int64_t longest_at_head_ms_ = 0;
  std::string history_;
};

TEST(GangSimulation, ThousandJobsOnTenWorkers) {
  constexpr int kJobs = 1000;
  Simulation simulation(1);
  simulation.Run(kJobs);
  EXPECT_LE(simulation.longest_at_head_ms(), kLongestMs + 3000) << "something passed that delayed the oldest";
  RecordProperty("longest_at_head_ms", static_cast<int>(simulation.longest_at_head_ms()));
  for (int job = 0; job < kJobs; ++job) EXPECT_EQ(simulation.StateOf(job), JobState::kSucceeded) << job;
}

TEST(GangSimulation, OneSeedOneSchedule) {
  Simulation one(7), same(7), other(8);
  const std::string history = one.Run(200);
  EXPECT_EQ(same.Run(200), history);
  EXPECT_NE(other.Run(200), history);
}

}  // namespace
}  // namespace sink
