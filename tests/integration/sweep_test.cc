// The main job through the real programs: a sweep is submitted, trained by two workers side by side, watched, and its
// results read back; a second submission adds nothing and an edit adds exactly one job.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "tests/testing/test_cluster.h"

namespace sink {
namespace {

using testing::CommandResult;
using testing::TestCluster;
using testing::TinySweep;
using testing::WaitFor;

TEST(Sweep, TrainsOnTwoWorkersSideBySideAndStreamsSinkMetrics) {
  TestCluster cluster;
  const std::string file = cluster.WriteSweep("tiny.yaml", TinySweep("tiny", 600, {"1e-3", "4e-3"}));
  const CommandResult submitted = cluster.Sinkctl({"submit", file, "--json"});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;

  // Live: both jobs run at the same time, on different workers, and a sink rate arrives before either has ended.
  EXPECT_TRUE(WaitFor(60, [&] {
    std::set<std::string> workers;
    for (const auto& [label, job] : cluster.Jobs("tiny"))
      if (job.value("state", "") == "RUNNING") workers.insert(job.value("worker", ""));
    return workers.size() == 2;
  }));
  EXPECT_TRUE(WaitFor(60, [&] {
    for (const auto& [label, job] : cluster.Jobs("tiny"))
      if (job.value("state", "") == "RUNNING" && job["metrics"].contains("sink_rate/0.3/1")) return true;
    return false;
  }));

  ASSERT_TRUE(cluster.WaitUntilFinal("tiny", 180));
  for (const auto& [label, job] : cluster.Jobs("tiny")) {
    EXPECT_EQ(job.value("state", ""), "SUCCEEDED") << label << " " << job.dump();
    EXPECT_EQ(job.value("step", 0), 600);
    const auto metrics = cluster.Metrics(job.value("id", ""));
    ASSERT_TRUE(metrics.count("train_loss"));
    EXPECT_EQ(metrics.at("train_loss").size(), 600u);
    EXPECT_LT(std::stod(metrics.at("train_loss").rbegin()->second),
              0.7 * std::stod(metrics.at("train_loss").begin()->second));
    EXPECT_TRUE(metrics.count("sink_rate/0.3/1"));
    EXPECT_TRUE(metrics.count("alpha_mean/1"));
    EXPECT_TRUE(metrics.count("hidden_norm_ratio/1"));
  }

  // The same file again adds nothing; one value changed adds exactly that job.
  const nlohmann::json again = cluster.Sinkctl({"submit", file, "--json"}).Json();
  EXPECT_EQ(again.value("added", -1), 0) << again.dump();
  const std::string edited = cluster.WriteSweep("tiny.yaml", TinySweep("tiny", 600, {"1e-3", "5e-3"}));
  const nlohmann::json one = cluster.Sinkctl({"submit", edited, "--json"}).Json();
  EXPECT_EQ(one.value("added", -1), 1) << one.dump();
}

TEST(Sweep, CancelsRunningJobsAndLeavesNoTrainer) {
  TestCluster cluster;
  const std::string file = cluster.WriteSweep("long.yaml", TinySweep("long", 1000000, {"1e-3", "2e-3", "3e-3"}));
  ASSERT_EQ(cluster.Sinkctl({"submit", file}).exit_code, 0);
  ASSERT_TRUE(WaitFor(60, [&] { return cluster.Trainers().size() == 2; }));
  ASSERT_EQ(cluster.Sinkctl({"cancel", "long"}).exit_code, 0);
  ASSERT_TRUE(cluster.WaitUntilFinal("long", 60));
  for (const auto& [label, job] : cluster.Jobs("long")) EXPECT_EQ(job.value("state", ""), "CANCELLED") << label;
  EXPECT_TRUE(WaitFor(10, [&] { return cluster.Trainers().empty(); }));
}

TEST(Sweep, CheckpointComesBackWholeAndMeasurable) {
  TestCluster cluster;
  const std::string file = cluster.WriteSweep("tiny.yaml", TinySweep("tiny", 60, {"1e-3"}));
  ASSERT_EQ(cluster.Sinkctl({"submit", file}).exit_code, 0);
  ASSERT_TRUE(cluster.WaitUntilFinal("tiny", 120));
  const std::string id = cluster.Jobs("tiny").begin()->second.value("id", "");
  const CommandResult got = cluster.Sinkctl({"checkpoint", "get", id, "--out", cluster.path("checkpoint")});
  ASSERT_EQ(got.exit_code, 0) << got.err;
  for (const char* name : {"config.json", "model.safetensors", "manifest.json"})
    EXPECT_FALSE(testing::ReadFile(cluster.path("checkpoint/" + std::string(name))).empty()) << name;
}

TEST(Sweep, AJobWaitsForACorpusThatNoWorkerHasAndRunsOnceOneHasIt) {
  TestCluster cluster;
  std::string yaml = TinySweep("missing", 10, {"1e-3"});
  yaml.replace(yaml.find("set: tiny"), 9, "set: nowhere");
  ASSERT_EQ(cluster.Sinkctl({"submit", cluster.WriteSweep("missing.yaml", yaml)}).exit_code, 0);
  const std::string id = cluster.Jobs("missing").begin()->second.value("id", "");
  EXPECT_TRUE(WaitFor(30, [&] {
    const std::string why = cluster.Sinkctl({"why", id, "--json"}).Json()["reasons"].dump();
    return why.find("no connected worker has its data set nowhere") != std::string::npos;
  }));
  std::filesystem::copy(cluster.path("data/tiny"), cluster.path("data/nowhere"),
                        std::filesystem::copy_options::recursive);
  ASSERT_TRUE(cluster.WaitUntilFinal("missing", 120));
  const nlohmann::json job = cluster.Jobs("missing").begin()->second;
  EXPECT_EQ(job.value("state", ""), "SUCCEEDED") << job.dump();
  EXPECT_EQ(job.value("attempt", 0), 1) << "nobody tried before";
}

}  // namespace
}  // namespace sink
