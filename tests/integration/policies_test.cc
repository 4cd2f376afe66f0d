// What a sweep's policies do through the real programs: early stopping with its reasons, a canary that dies,
// checkpoints that are kept, and what sinkctl why says of each.
#include <gtest/gtest.h>

#include <map>

#include "tests/testing/test_cluster.h"

namespace sink {
namespace {

using testing::CommandResult;
using testing::TestCluster;
using testing::TinySweep;
using testing::WaitFor;

std::string IdOf(const nlohmann::json& job) { return job.value("id", ""); }

TEST(EarlyStop, TheWorstLearningRatesEndAtARungAndKeepTheirCheckpoints) {
  TestCluster cluster;
  // One after another, the best first: every later one meets a better one at the first rung.
  const std::string file = cluster.WriteSweep(
      "halving.yaml", TinySweep("halving", 2000, {"3e-3", "1e-6", "1e-7"}) +
                          "early_stop: {asha: {metric: validation_loss/all, mode: min, first_rung: 100, eta: 3}}\n"
                          "limits: {max_parallel: 1}\n");
  ASSERT_EQ(cluster.Sinkctl({"submit", file}).exit_code, 0);
  ASSERT_TRUE(cluster.WaitUntilFinal("halving", 120));
  int stopped = 0;
  for (const auto& [label, job] : cluster.Jobs("halving")) {
    if (label.find("0.003") != std::string::npos) {
      EXPECT_EQ(job.value("state", ""), "SUCCEEDED");
      continue;
    }
    EXPECT_EQ(job.value("state", ""), "CANCELLED");
    ++stopped;
    EXPECT_NE(job.value("message", "").find("stopped early at step"), std::string::npos) << job.dump();
    const nlohmann::json why = cluster.Sinkctl({"why", IdOf(job), "--json"}).Json();
    EXPECT_EQ(why["rungs"].back().value("stopped", false), true) << why.dump();
    EXPECT_NE(cluster.Sinkctl({"why", IdOf(job)}).out.find("sinkctl retry"), std::string::npos);
    const nlohmann::json kept = cluster.Sinkctl({"checkpoint", "list", IdOf(job), "--json"}).Json();
    EXPECT_FALSE(kept["checkpoints"].empty());
  }
  EXPECT_EQ(stopped, 2);
  // The sweep did what it was asked to: it has not failed, and retrying what failed takes up none of what was stopped.
  const CommandResult followed = cluster.Sinkctl({"submit", cluster.path("sweeps/halving.yaml"), "--follow"});
  EXPECT_EQ(followed.exit_code, 0) << followed.err;
  EXPECT_EQ(cluster.Sinkctl({"retry", "--failed", "halving", "--json"}).Json()["retried"], 0);
}

TEST(Canary, ADeadFirstJobHoldsTheRestAndWhySaysSo) {
  TestCluster cluster;
  std::string yaml = TinySweep("canary", 10, {"1e-3", "1e-4", "1e-5"});
  yaml.replace(yaml.find("vocab_size: 257"), 15, "vocab_size: 128");  // fewer than the set's ids
  const std::string file = cluster.WriteSweep("canary.yaml", yaml + "on_failure: {canary: true}\n");
  ASSERT_EQ(cluster.Sinkctl({"submit", file}).exit_code, 0);
  ASSERT_TRUE(WaitFor(30, [&] {
    int failed = 0;
    for (const auto& [label, job] : cluster.Jobs("canary")) failed += job.value("state", "") == "FAILED";
    return failed == 1;
  }));
  int queued = 0;
  for (const auto& [label, job] : cluster.Jobs("canary")) {
    if (job.value("state", "") != "QUEUED") continue;
    ++queued;
    EXPECT_NE(cluster.Sinkctl({"why", IdOf(job)}).out.find("on_failure.canary"), std::string::npos);
  }
  EXPECT_EQ(queued, 2);
}

TEST(Checkpoints, ThoseOfTheKeepPeriodStay) {
  TestCluster cluster({.workers = 1});
  std::string yaml = TinySweep("kept", 40, {"1e-3"});
  yaml.replace(yaml.find("{every: 25}"), 11, "{every: 5, keep: 1, keep_period: 10}");
  const std::string file = cluster.WriteSweep("kept.yaml", yaml);
  ASSERT_EQ(cluster.Sinkctl({"submit", file}).exit_code, 0);
  ASSERT_TRUE(cluster.WaitUntilFinal("kept", 60));
  const std::string id = IdOf(cluster.Jobs("kept").begin()->second);
  const nlohmann::json listed = cluster.Sinkctl({"checkpoint", "list", id, "--json"}).Json();
  std::vector<int64_t> steps;
  for (const nlohmann::json& checkpoint : listed["checkpoints"]) steps.push_back(checkpoint["step"]);
  EXPECT_EQ(steps, (std::vector<int64_t>{40, 30, 20, 10}));
}

TEST(Checkpoints, TheBestOneIsJudgedByWhatTheTrainerMeasured) {
  TestCluster cluster({.workers = 1});
  std::string yaml = TinySweep("best", 40, {"1e-2"});
  yaml.replace(yaml.find("{every: 25}"), 11, "{every: 5, keep: 1, keep_best: true}");
  yaml.replace(yaml.find("{every: 50,"), 11, "{every: 5,");
  const std::string file = cluster.WriteSweep("best.yaml", yaml);
  ASSERT_EQ(cluster.Sinkctl({"submit", file}).exit_code, 0);
  ASSERT_TRUE(cluster.WaitUntilFinal("best", 60));
  const std::string id = IdOf(cluster.Jobs("best").begin()->second);
  std::map<int64_t, double> losses;
  const nlohmann::json points = cluster.Sinkctl({"metrics", id, "--name", "validation_loss/all", "--json"}).Json();
  for (const nlohmann::json& point : points["points"])
    losses[point["step"].get<int64_t>()] = point["value"].get<double>();
  const nlohmann::json listed = cluster.Sinkctl({"checkpoint", "list", id, "--json"}).Json();
  // The newest, and the best where that is another one. Which those before them were depends on what was sent in time.
  const nlohmann::json& kept = listed["checkpoints"];
  ASSERT_FALSE(kept.empty());
  EXPECT_EQ(kept[0]["step"], 40);
  EXPECT_EQ(kept.size(), kept[0]["best"] == true ? 1u : 2u);
  EXPECT_TRUE(kept.back()["best"] == true);
  for (const nlohmann::json& checkpoint : kept) {
    EXPECT_EQ(checkpoint["validation_loss"], losses.at(checkpoint["step"].get<int64_t>()));
    EXPECT_LE(kept.back()["validation_loss"], checkpoint["validation_loss"]);
  }
}

}  // namespace
}  // namespace sink
