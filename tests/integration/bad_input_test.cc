// Bad input through the real programs: each case gives one clear error line that names the thing, a non-zero exit, and
// loses nothing that was there before.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <fstream>

#include "tests/testing/test_cluster.h"

namespace sink {
namespace {

using testing::CommandResult;
using testing::RunCommand;
using testing::TestCluster;
using testing::TinySweep;
using testing::WaitFor;

std::string Binary(const std::string& name) { return std::string(getenv("SINK_BIN_DIR")) + "/" + name; }

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  EXPECT_NE(text.find(from), std::string::npos) << from;
  return text.replace(text.find(from), from.size(), to);
}

int Lines(const std::string& text) { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }

TEST(BadSweep, IsRefusedWithFileLineColumnAndStoresNothing) {
  TestCluster cluster({.workers = 0});
  const std::string good = TinySweep("bad", 10, {"1e-3"});
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 0; k < 7; ++k) bomb += ", " + before;
    bomb += "]\n";
  }
  const struct {
    const char* name;
    std::string yaml;
    const char* line;     // file:line: must open the message
    const char* mention;  // and this be in it
  } cases[] = {
      {"unknown_key", Replaced(good, "max_steps", "max_step"), ":4:", "train.max_steps"},
      {"wrong_type", Replaced(good, "max_steps: 10", "max_steps: ten"), ":4:", "train.max_steps"},
      {"duplicate_key", good + "name: again\n", ":", "name"},
      {"alias_bomb", good + bomb, ":", "anchor"},
      {"missing_base", "schema: sink/v1\nname: bad\nbase: presets/nowhere.yaml\nexperiments:\n  - name: a\n",
       ":3:", "presets/nowhere.yaml"},
      {"empty_grid", Replaced(good, "grid: {train.learning_rate: [1e-3]}", "grid: {}"), ":", "grid"},
  };
  for (const auto& bad : cases) {
    const std::string file = cluster.WriteSweep(std::string(bad.name) + ".yaml", bad.yaml);
    const CommandResult result = cluster.Sinkctl({"submit", file});
    EXPECT_EQ(result.exit_code, 3) << bad.name << result.out << result.err;
    EXPECT_EQ(Lines(result.err), 1) << bad.name << ": " << result.err;
    EXPECT_NE(result.err.find(std::string(bad.name) + ".yaml" + bad.line), std::string::npos) << result.err;
    EXPECT_NE(result.err.find(bad.mention), std::string::npos) << bad.name << ": " << result.err;
  }
  const nlohmann::json status = cluster.Sinkctl({"status", "--json"}).Json();
  EXPECT_TRUE(status["sweeps"].empty()) << status.dump();
}

// Cuts a packed file of the set short; its name.
std::string CutFileOf(const std::string& set) {
  for (const auto& entry : std::filesystem::directory_iterator(set)) {
    if (entry.path().filename().string().rfind("train_", 0) != 0) continue;
    std::filesystem::resize_file(entry.path(), entry.file_size() / 2 + 1);
    return entry.path().filename().string();
  }
  ADD_FAILURE() << set << " has no file to cut";
  return "";
}

// What `sinkctl why` says of the sweep's only job, once that speaks of a copy that is not used; "" if it never does.
std::string WhyNotWhole(TestCluster& cluster, const std::string& sweep) {
  std::string why;
  const bool said = WaitFor(60, [&] {
    const std::string id = cluster.Jobs(sweep).begin()->second.value("id", "");
    why = cluster.Sinkctl({"why", id, "--json"}).Json()["reasons"].dump();
    return why.find("is not used: ") != std::string::npos;
  });
  return said ? why : "";
}

TEST(BadData, WhereAPackedFileIsTruncatedOnAllMachinesJobsWaitForAWholeCopy) {
  TestCluster cluster({.workers = 0});
  const std::string whole = cluster.path("whole"), set = cluster.path("data/tiny");
  std::filesystem::copy(set, whole);
  const std::string victim = CutFileOf(set);
  for (const int worker : {0, 1}) cluster.StartWorker(worker);
  ASSERT_EQ(cluster.Sinkctl({"submit", cluster.WriteSweep("cut.yaml", TinySweep("cut", 10, {"1e-3"}))}).exit_code, 0);
  const auto job = [&] { return cluster.Jobs("cut").begin()->second; };
  EXPECT_NE(WhyNotWhole(cluster, "cut").find(victim), std::string::npos);
  EXPECT_EQ(job().value("state", ""), "QUEUED") << job().dump();
  EXPECT_EQ(job().value("attempt", -1), 0) << job().dump();
  EXPECT_NE(cluster.Sinkctl({"workers", "--json"}).Json().dump().find(victim), std::string::npos);
  std::filesystem::copy_file(whole + "/" + victim, set + "/" + victim,
                             std::filesystem::copy_options::overwrite_existing);
  cluster.StartWorker(2);  // the others notice it, too, with their next questions
  ASSERT_TRUE(cluster.WaitUntilFinal("cut", 60));
  EXPECT_EQ(job().value("state", ""), "SUCCEEDED") << job().dump();
}

TEST(BadData, TruncatedPackedFileOnOneMachineSendsTheJobToAnotherOne) {
  TestCluster cluster({.workers = 0});
  std::filesystem::create_directories(cluster.path("half"));
  std::filesystem::copy(cluster.path("data/tiny"), cluster.path("half/tiny"));
  const std::string victim = CutFileOf(cluster.path("half/tiny"));
  // The other one is there, but is given nothing yet.
  cluster.StartWorker(0);
  ASSERT_TRUE(WaitFor(60, [&] { return cluster.Sinkctl({"cordon", "worker-0"}).exit_code == 0; }));
  const testing::ChildProcess broken(
      {Binary("sink-worker"), "--coordinator", cluster.address(), "--data", cluster.path("broken"), "--name", "broken",
       "--devices", "cpu:1", "--data-root", cluster.path("half"), "--trainer", Binary("sink-trainer")},
      cluster.path("logs/broken.log"));
  ASSERT_EQ(cluster.Sinkctl({"submit", cluster.WriteSweep("cut.yaml", TinySweep("cut", 10, {"1e-3"}))}).exit_code, 0);
  const auto job = [&] { return cluster.Jobs("cut").begin()->second; };
  EXPECT_NE(WhyNotWhole(cluster, "cut").find(victim), std::string::npos);
  ASSERT_EQ(cluster.Sinkctl({"uncordon", "worker-0"}).exit_code, 0);
  ASSERT_TRUE(cluster.WaitUntilFinal("cut", 60));
  EXPECT_EQ(job().value("state", ""), "SUCCEEDED") << job().dump();
  EXPECT_EQ(job().value("attempt", 0), 1) << job().dump();
  EXPECT_NE(testing::ReadFile(cluster.path("logs/broken.log")).find("is not whole"), std::string::npos);
}

TEST(BadData, UnreadableCorpusIsNamedAndNothingIsPacked) {
  testing::TempDir folder;
  const auto pack = [&] {
    return RunCommand(
        {Binary("sink-data"), "pack", "--in", folder / "corpus", "--out", folder / "set", "--tokenizer", "bytes"});
  };
  const auto expect_refused = [&](const std::string& name) {
    const CommandResult result = pack();
    EXPECT_EQ(result.exit_code, 1) << name;
    EXPECT_EQ(Lines(result.err), 1) << result.err;
    EXPECT_NE(result.err.find(name), std::string::npos) << result.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "set")) << name;
  };
  expect_refused("corpus/train");  // absent
  testing::WriteFile(folder / "corpus/valid/a.jsonl", "{\"text\": \"" + std::string(5000, 'x') + "\"}\n");
  testing::WriteFile(folder / "corpus/train/a.jsonl.gz", "\x1f\x8b\x08 cut off");
  expect_refused("corpus/train/a.jsonl.gz");
}

TEST(BadCheckpoint, TruncatedNewestOneIsSetAsideAndThePreviousOneUsed) {
  TestCluster cluster({.workers = 0});  // for its packed data
  const std::string run = cluster.path("run");
  const auto job = [&](int steps) {
    return R"({"job": "00000000000000000000000000000000", "attempt": 1, "device": "cpu", "data_root": ")" +
           cluster.path("data") + R"(", "config": {"model": {"hidden_size": 32, "intermediate_size": 64,
           "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 257, "max_position_embeddings": 64},
           "train": {"max_steps": )" +
           std::to_string(steps) + R"(, "global_batch_size": 2, "micro_batch_size": 2,
           "sequence_length": 64}, "data": {"set": "tiny"}, "eval": {"sequences": 4, "tokens": 16,
           "validation_sequences": 2}, "checkpoint": {"every": 10, "keep": 2}}})";
  };
  testing::WriteFile(run + "/job.json", job(40));
  ASSERT_EQ(RunCommand({Binary("sink-trainer"), run}).exit_code, 0);
  const std::string whole = testing::ReadFile(run + "/checkpoints/step-000000040/model.safetensors");
  std::filesystem::resize_file(run + "/checkpoints/step-000000040/model.safetensors", whole.size() / 2);

  const CommandResult again = RunCommand({Binary("sink-trainer"), run});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.err.find("step-000000040"), std::string::npos) << again.err;
  EXPECT_EQ(testing::ReadFile(run + "/checkpoints/step-000000040/model.safetensors"), whole)
      << "resumed from step 30, it must end with the same bytes";
}

TEST(Coordinator, RefusesAPortInUseAndASecondOneOnTheSameFolder) {
  TestCluster cluster({.workers = 0});
  const CommandResult port = RunCommand({Binary("sink-coordinator"), "--data", cluster.path("other"), "--listen",
                                         cluster.address(), "--metrics-listen", "127.0.0.1:0"});
  EXPECT_NE(port.exit_code, 0);
  EXPECT_NE(port.err.find(cluster.address()), std::string::npos) << port.err;
  const CommandResult second = RunCommand({Binary("sink-coordinator"), "--data", cluster.path("coordinator"),
                                           "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"});
  EXPECT_NE(second.exit_code, 0);
  EXPECT_NE(second.err.find(cluster.path("coordinator")), std::string::npos) << second.err;
  EXPECT_EQ(cluster.Sinkctl({"status"}).exit_code, 0) << "the first one goes on";
}

TEST(Worker, WrongUsageExitsWithTwoAndNamesTheOption) {
  testing::TempDir folder;
  const CommandResult none = RunCommand({Binary("sink-worker")});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_NE(none.err.find("--coordinator"), std::string::npos) << none.err;
  const CommandResult grace = RunCommand({Binary("sink-worker"), "--coordinator", "127.0.0.1:1", "--data",
                                          folder / "worker", "--trainer", "/bin/true", "--grace", "soon"});
  EXPECT_EQ(grace.exit_code, 2);
  EXPECT_EQ(Lines(grace.err), 1) << grace.err;
  EXPECT_NE(grace.err.find("--grace soon"), std::string::npos) << grace.err;
}

TEST(FullDisk, SubmissionIsRefusedWholeAndEverythingGoesOnOnceThereIsRoom) {
  testing::TempDir folder;
  const std::string disk = folder / "disk";
  std::filesystem::create_directories(disk);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=100m") != 0) GTEST_SKIP() << "mounting a small disk needs root";
  {
    testing::ChildProcess coordinator({Binary("sink-coordinator"), "--data", disk + "/c", "--listen", "127.0.0.1:0",
                                       "--metrics-listen", "127.0.0.1:0"},
                                      folder / "log");
    ASSERT_TRUE(WaitFor(20, [&] { return !testing::ReadFile(disk + "/c/coordinator.addr").empty(); }))
        << testing::ReadFile(folder / "log");
    std::string address = testing::ReadFile(disk + "/c/coordinator.addr");
    address.erase(address.find_last_not_of(" \n") + 1);
    const auto sinkctl = [&](std::vector<std::string> arguments) {
      arguments.insert(arguments.begin(), {Binary("sinkctl"), "--coordinator", address});
      return RunCommand(arguments);
    };
    testing::WriteFile(folder / "first.yaml", TinySweep("first", 10, {"1e-3"}));
    ASSERT_EQ(sinkctl({"submit", folder / "first.yaml"}).exit_code, 0);

    std::ofstream ballast(disk + "/ballast");  // take what is left
    for (int i = 0; i < 100; ++i) ballast << std::string(1 << 20, 'x') << std::flush;
    std::vector<std::string> rates;
    for (int i = 1; i <= 400; ++i) rates.push_back(std::to_string(i) + "e-6");
    testing::WriteFile(folder / "second.yaml", TinySweep("second", 10, rates));
    const CommandResult refused = sinkctl({"submit", folder / "second.yaml"});
    EXPECT_NE(refused.exit_code, 0);
    EXPECT_NE(refused.err.find("disk"), std::string::npos) << refused.err;
    const nlohmann::json during = sinkctl({"status", "--json"}).Json();
    ASSERT_EQ(during["sweeps"].size(), 1u) << during.dump();

    ballast.close();
    std::filesystem::remove(disk + "/ballast");
    // It looks at its disk once a second.
    EXPECT_TRUE(WaitFor(20, [&] { return sinkctl({"submit", folder / "second.yaml"}).exit_code == 0; }));
    EXPECT_EQ(sinkctl({"status", "--json"}).Json()["sweeps"].size(), 2u);
  }
  umount(disk.c_str());
}

}  // namespace
}  // namespace sink
