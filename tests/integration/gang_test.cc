// A job of four ranks on two workers of two devices: it trains as one rank would, survives the death of a rank and of a
// worker, and its checkpoint goes on with another number of ranks.
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/testing/test_cluster.h"

namespace sink {
namespace {

using testing::TestCluster;
using testing::WaitFor;
using Metrics = std::map<std::string, std::map<int64_t, std::string>>;

constexpr int kSteps = 150;

// The same training under another id for every number of checkpoints kept.
std::string GangSweep(const std::string& name, const std::string& resources, int keep) {
  return absl::StrReplaceAll(testing::TinySweep(name, kSteps, {"1e-3"}),
                             {{"micro_batch_size: 4", "micro_batch_size: 2"},
                              {"{every: 25}", absl::StrCat("{every: 25, keep: ", keep, "}")},
                              {"{devices: 1}", resources}});
}

class Gang : public ::testing::Test {
 protected:
  Gang() : cluster_({.workers = 2, .devices = "cpu:2"}) {}

  void Submit(const std::string& name, const std::string& resources, int keep) {
    const std::string file = cluster_.WriteSweep(name + ".yaml", GangSweep(name, resources, keep));
    const auto result = cluster_.Sinkctl({"submit", file});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  nlohmann::json Job(const std::string& name) {
    const auto jobs = cluster_.Jobs(name);
    return jobs.empty() ? nlohmann::json() : jobs.begin()->second;
  }
  Metrics Finished(const std::string& name) {
    EXPECT_TRUE(cluster_.WaitUntilFinal(name, 240));
    EXPECT_EQ(Job(name).value("state", ""), "SUCCEEDED") << Job(name).dump();
    return cluster_.Metrics(Job(name).value("id", ""));
  }
  bool WaitForStep(const std::string& name, int step) {
    return WaitFor(120, [&] { return Job(name).value("step", 0) >= step; });
  }

  TestCluster cluster_;
};

// Every loss of every step, within 1e-5.
void ExpectSameLosses(const Metrics& metrics, const Metrics& expected) {
  for (const char* name : {"train_loss", "validation_loss/all"}) {
    ASSERT_TRUE(metrics.contains(name) && expected.contains(name)) << name;
    EXPECT_EQ(metrics.at(name).size(), expected.at(name).size()) << name;
    for (const auto& [step, value] : metrics.at(name)) {
      ASSERT_TRUE(expected.at(name).contains(step)) << name << " " << step;
      EXPECT_NEAR(std::stod(value), std::stod(expected.at(name).at(step)), 1e-5) << name << " at step " << step;
    }
  }
}

TEST_F(Gang, FourRanksOnTwoWorkersTrainAsOneWhateverIsKilled) {
  Submit("one", "{devices: 1}", 2);
  const Metrics expected = Finished("one");

  Submit("four", "{devices: 4, per_worker: 2}", 3);
  ASSERT_TRUE(WaitFor(60, [&] { return cluster_.Trainers().size() == 4; })) << "one process a rank";
  ASSERT_TRUE(WaitForStep("four", 1));
  const nlohmann::json job = cluster_.Sinkctl({"job", Job("four").value("id", ""), "--json"}).Json();
  EXPECT_EQ(job["job"]["gang"].size(), 2u) << job.dump();
  ExpectSameLosses(Finished("four"), expected);
  EXPECT_EQ(Job("four").value("attempt", 0), 1);
  EXPECT_TRUE(WaitFor(20, [&] { return cluster_.Trainers().empty(); }));

  // One rank, whichever comes last in the list of processes.
  Submit("rank", "{devices: 4, per_worker: 2}", 4);
  ASSERT_TRUE(WaitForStep("rank", 40));
  kill(cluster_.Trainers().back(), SIGKILL);
  ExpectSameLosses(Finished("rank"), expected);
  EXPECT_GE(Job("rank").value("attempt", 0), 2);

  // A whole worker, which comes back; the job needs both.
  Submit("worker", "{devices: 4, per_worker: 2}", 5);
  ASSERT_TRUE(WaitForStep("worker", 40));
  cluster_.worker(1).Kill9();
  cluster_.StartWorker(1);
  ExpectSameLosses(Finished("worker"), expected);
  EXPECT_GE(Job("worker").value("attempt", 0), 2);
}

TEST_F(Gang, CheckpointGoesOnWithAnotherNumberOfRanks) {
  Submit("one", "{devices: 1}", 2);
  const Metrics expected = Finished("one");
  int keep = 3;
  for (const char* resources : {"{devices: 1}", "{devices: 2}"}) {
    const std::string name = absl::StrCat("from_four_", keep);
    Submit(name, "{devices: 4, per_worker: 2}", keep);
    ASSERT_TRUE(WaitForStep(name, 40));
    for (int worker : {0, 1}) cluster_.worker(worker).Signal(SIGTERM);  // saves, and gives the job back
    for (int worker : {0, 1}) cluster_.worker(worker).Wait(60);
    ASSERT_EQ(Job(name).value("state", ""), "QUEUED") << Job(name).dump();
    Submit(name, resources, keep);
    for (int worker : {0, 1}) cluster_.StartWorker(worker);
    ExpectSameLosses(Finished(name), expected);
    const nlohmann::json job = cluster_.Sinkctl({"job", Job(name).value("id", ""), "--json"}).Json();
    EXPECT_GE(job["attempts"].size(), 2u);
    ++keep;
  }
}

}  // namespace
}  // namespace sink
