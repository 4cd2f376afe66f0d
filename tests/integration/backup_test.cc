// The drill of deploy/README.md through the real programs: a copy is made while two workers train, the coordinator and
// its folder are lost, another begins on the copy, and the workers go on.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "tests/testing/test_cluster.h"

namespace sink {
namespace {

using testing::CommandResult;
using testing::TestCluster;
using testing::TinySweep;
using testing::WaitFor;

constexpr int kSteps = 1500;

CommandResult Backup(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {std::string(getenv("SINK_BIN_DIR")) + "/sink-backup"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return testing::RunCommand(command);
}

int LeastStep(TestCluster& cluster) {
  int least = kSteps;
  for (const auto& [label, job] : cluster.Jobs("drill")) least = std::min(least, job.value("step", 0));
  return least;
}

// The fences of all attempts in a coordinator's database, in order.
std::vector<int64_t> Fences(const std::string& database) {
  std::vector<int64_t> fences;
  sqlite3* db = nullptr;
  sqlite3_open_v2(database.c_str(), &db, SQLITE_OPEN_READONLY, nullptr);
  sqlite3_exec(
      db, "SELECT fence FROM attempts ORDER BY fence",
      [](void* to, int, char** values, char**) {
        static_cast<std::vector<int64_t>*>(to)->push_back(std::stoll(values[0]));
        return 0;
      },
      &fences, nullptr);
  sqlite3_close(db);
  return fences;
}

TEST(Backup, WorkersGoOnUnderACoordinatorThatWasPutBackFromACopy) {
  TestCluster cluster;
  const std::string file = cluster.WriteSweep("drill.yaml", TinySweep("drill", kSteps, {"1e-3", "4e-3"}));
  ASSERT_EQ(cluster.Sinkctl({"submit", file}).exit_code, 0);
  ASSERT_TRUE(WaitFor(60, [&] { return LeastStep(cluster) > 100; }));

  const std::string data = cluster.path("coordinator"), copy = cluster.path("copy");
  CommandResult made = Backup({"make", "--data", data, "--to", copy});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const int saved = LeastStep(cluster);
  ASSERT_TRUE(WaitFor(60, [&] { return LeastStep(cluster) > saved + 50; }));  // more than the copy knows
  const CommandResult refused = Backup({"restore", "--from", copy, "--data", data});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("another coordinator"), std::string::npos) << refused.err;

  // A worker dies and another daemon takes its job up: an attempt that the copy does not know.
  cluster.worker(0).Kill9();
  cluster.StartWorker(0);
  ASSERT_TRUE(WaitFor(60, [&] { return Fences(data + "/sink.db").size() == 3; }));
  cluster.coordinator().Kill9();
  const int64_t newest = Fences(data + "/sink.db").back();
  std::filesystem::rename(data, cluster.path("lost"));

  const CommandResult restored = Backup({"restore", "--from", copy, "--data", data});
  ASSERT_EQ(restored.exit_code, 0) << restored.err;
  cluster.StartCoordinator();
  ASSERT_TRUE(cluster.WaitUntilFinal("drill", 240));
  for (const auto& [label, job] : cluster.Jobs("drill")) {
    EXPECT_EQ(job.value("state", ""), "SUCCEEDED") << label << " " << job.dump();
    EXPECT_EQ(cluster.Metrics(job.value("id", ""))["train_loss"].size(), static_cast<size_t>(kSteps)) << label;
  }
  const std::vector<int64_t> fences = Fences(data + "/sink.db");
  ASSERT_GE(fences.size(), 3u) << "the job of the worker that died needs another attempt";
  for (size_t i = 2; i < fences.size(); ++i) EXPECT_GT(fences[i], newest) << "an old fence was given again";
}

}  // namespace
}  // namespace sink
