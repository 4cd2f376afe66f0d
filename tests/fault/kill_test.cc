// Kills, with SIGKILL and at random moments, the trainers, the workers, the coordinator and all of them at once while
// they train, and compares what survived with a run that nothing disturbed: every job SUCCEEDED, every metric point
// there once, every value identical to the last digit.
//
// A fault counts only when it hit a live process: a try that found nothing to kill is made again.
//
// SINK_FAULT_ROUNDS sets the faults per test (default 3), SINK_FAULT_STEPS the length of a job (default 1200; more
// rounds need longer jobs), SINK_FAULT_SEED the moments (default 1).
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <iostream>
#include <random>
#include <thread>

#include "tests/testing/test_cluster.h"

namespace sink {
namespace {

using testing::TestCluster;
using testing::TinySweep;
using Metrics = std::map<std::string, std::map<int64_t, std::string>>;

const std::vector<std::string> kLearningRates = {"1e-3", "4e-3"};

int Setting(const char* name, int otherwise) {
  const char* text = getenv(name);
  return text ? atoi(text) : otherwise;
}

int Steps() { return Setting("SINK_FAULT_STEPS", 1200); }

// label -> metrics of a finished sweep, without those that measure time.
std::map<std::string, Metrics> Results(TestCluster& cluster) {
  std::map<std::string, Metrics> results;
  for (const auto& [label, job] : cluster.Jobs("kill")) {
    EXPECT_EQ(job.value("state", ""), "SUCCEEDED") << job.dump();
    EXPECT_EQ(job.value("step", 0), Steps());
    results[label] = cluster.Metrics(job.value("id", ""));
  }
  return results;
}

const std::map<std::string, Metrics>& Undisturbed() {
  static const std::map<std::string, Metrics> results = [] {
    TestCluster cluster;
    EXPECT_EQ(cluster.Sinkctl({"submit", cluster.WriteSweep("kill.yaml", TinySweep("kill", Steps(), kLearningRates))})
                  .exit_code,
              0);
    EXPECT_TRUE(cluster.WaitUntilFinal("kill", 300));
    return Results(cluster);
  }();
  return results;
}

int64_t TotalSteps(TestCluster& cluster) {
  int64_t total = 0;
  for (const auto& [label, job] : cluster.Jobs("kill")) total += job.value("step", 0);
  return total;
}

// Causes a fault and returns how many live processes it hit.
using Fault = std::function<int(TestCluster&, std::mt19937&)>;

// Runs the sweep and calls `fault` at random moments while it is live. Every other try waits until training has gone
// on since the last one, so that no job meets the limit on restarts without progress; the rest may hit a start.
void RunWithFaults(const Fault& fault) {
  const auto& expected = Undisturbed();
  ASSERT_EQ(expected.size(), kLearningRates.size());
  TestCluster cluster;
  const std::string file = cluster.WriteSweep("kill.yaml", TinySweep("kill", Steps(), kLearningRates));
  ASSERT_EQ(cluster.Sinkctl({"submit", file}).exit_code, 0);
  std::mt19937 random(Setting("SINK_FAULT_SEED", 1));
  int faults = 0, processes = 0;
  const int rounds = Setting("SINK_FAULT_ROUNDS", 3);
  for (int tries = 0; faults < rounds; ++tries) {
    if (tries % 2 == 0) {
      const int64_t before = TotalSteps(cluster);
      const bool went_on =
          testing::WaitFor(60, [&] { return TotalSteps(cluster) > before || cluster.WaitUntilFinal("kill", 0); });
      ASSERT_TRUE(went_on) << "no progress for a minute after " << faults << " faults";
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 1500));
    if (cluster.WaitUntilFinal("kill", 0)) break;
    const int hit = fault(cluster, random);
    processes += hit;
    faults += hit > 0;
  }
  ASSERT_TRUE(cluster.WaitUntilFinal("kill", 600));
  std::cout << faults << " faults hit " << processes << " processes\n";
  EXPECT_GT(faults, 0);
  const auto actual = Results(cluster);
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [label, metrics] : expected) {
    ASSERT_TRUE(actual.count(label)) << label;
    EXPECT_EQ(actual.at(label).size(), metrics.size());
    for (const auto& [name, points] : metrics) {
      ASSERT_TRUE(actual.at(label).count(name)) << name;
      EXPECT_EQ(actual.at(label).at(name), points) << label << " " << name;
    }
  }
}

int KillTrainer(TestCluster& cluster, std::mt19937& random) {
  const std::vector<pid_t> trainers = cluster.Trainers();
  return !trainers.empty() && kill(trainers[random() % trainers.size()], SIGKILL) == 0;
}

int KillWorker(TestCluster& cluster, std::mt19937& random) {
  const int index = random() % 2;
  const int killed = cluster.worker(index).Kill9();
  std::this_thread::sleep_for(std::chrono::milliseconds(random() % 1000));
  cluster.StartWorker(index);
  return killed;
}

int KillCoordinator(TestCluster& cluster, std::mt19937& random) {
  const int killed = cluster.coordinator().Kill9();
  std::this_thread::sleep_for(std::chrono::milliseconds(random() % 1500));
  cluster.StartCoordinator();
  return killed;
}

int KillEverything(TestCluster& cluster, std::mt19937&) {
  int killed = cluster.coordinator().Kill9() + cluster.worker(0).Kill9() + cluster.worker(1).Kill9();
  for (const pid_t trainer : cluster.Trainers()) killed += kill(trainer, SIGKILL) == 0;
  cluster.StartCoordinator();
  cluster.StartWorker(0);
  cluster.StartWorker(1);
  return killed;
}

// The worker stops for longer than its lease: the job moves on, and what the old attempt says afterwards changes
// nothing.
int StopWorkerPastItsLease(TestCluster& cluster, std::mt19937& random) {
  const int index = random() % 2;
  const int stopped = cluster.worker(index).Signal(SIGSTOP);
  std::this_thread::sleep_for(std::chrono::milliseconds(7000));
  cluster.worker(index).Signal(SIGCONT);
  return stopped;
}

TEST(Kill, TrainersResumeBitIdentically) { RunWithFaults(KillTrainer); }
TEST(Kill, WorkersResumeBitIdentically) { RunWithFaults(KillWorker); }
TEST(Kill, CoordinatorLosesNothing) { RunWithFaults(KillCoordinator); }
TEST(Kill, EverythingAtOnceLosesNothing) { RunWithFaults(KillEverything); }
TEST(Kill, StoppedWorkerIsFencedOff) { RunWithFaults(StopWorkerPastItsLease); }

}  // namespace
}  // namespace sink
