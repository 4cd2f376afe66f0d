// The program as a worker meets it: a child process with two pipes, exit codes, signals, and death at any moment.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <random>
#include <sstream>

#include "model/train/run/folder_lock.h"
#include "tests/model/train/helpers/tiny_job.h"
#include "tests/model/train/helpers/trainer_child.h"
#include "tests/testing/test_files.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;

// An undisturbed run in this process, to compare with.
fs::path Undisturbed(const TinyJob& job, std::vector<pipe::Event>& events) {
  const fs::path run = job.MakeRun("undisturbed");
  EXPECT_EQ(job.Train(run, events), RunOutcome::kFinished);
  return run;
}

// SINK_FAULT_ROUNDS sets how often the trainer is killed (default 6).
int Kills() {
  const char* rounds = std::getenv("SINK_FAULT_ROUNDS");
  return rounds ? std::atoi(rounds) : 6;
}

TEST(SinkTrainer, KilledAtRandomMomentsEndsLikeAnUndisturbedRun) {
  TinyJob job;
  job.config.train.max_steps = 40 * Kills();  // more than the lives can do before they are killed
  job.config.checkpoint.every = 2;
  std::vector<pipe::Event> undisturbed_events;
  const fs::path undisturbed = Undisturbed(job, undisturbed_events);

  const fs::path run = job.MakeRun("killed");
  std::mt19937 random(1);
  std::vector<pipe::Event> events;
  const auto live = [&](bool kill, bool from_first_checkpoint) {
    Child child({run.string()});
    if (from_first_checkpoint) child.WaitFor<pipe::Checkpoint>();
    if (kill) {
      usleep(random() % (from_first_checkpoint ? 50'000 : 500'000));
      child.Signal(SIGKILL);
    }
    const int exit_code = child.Wait();
    events.insert(events.end(), child.records().begin(), child.records().end());
    EXPECT_TRUE(exit_code == (kill ? -SIGKILL : 0)) << exit_code << child.error_text();
  };
  for (int i = 0; i < Kills(); ++i) live(/*kill=*/true, /*from_first_checkpoint=*/i % 3 != 0);
  live(/*kill=*/false, /*from_first_checkpoint=*/false);
  EXPECT_EQ(Points(events), Points(undisturbed_events));
  ExpectSameEnd(job, run, undisturbed);
  for (const auto& entry : fs::directory_iterator(run / "checkpoints"))
    EXPECT_EQ(entry.path().filename().string().find("tmp"), std::string::npos) << entry.path();
}

TEST(SinkTrainer, KilledRightAfterARollBackItEndsLikeAnUndisturbedRun) {
  TinyJob job;
  job.AddNoise();
  job.config.train.max_steps = 300;
  job.config.train.on_divergence = DivergencePolicy::kRollBack;
  job.config.train.loss_spike_factor = 1.25;
  job.config.train.max_roll_backs = 100;
  std::vector<pipe::Event> events;
  const fs::path undisturbed = Undisturbed(job, events);
  const auto is_roll_back = [](const pipe::Event& event) {
    const auto* log = std::get_if<pipe::Log>(&event);
    return log != nullptr && log->message.starts_with("rolled back");
  };
  ASSERT_TRUE(std::any_of(events.begin(), events.end(), is_roll_back));

  const fs::path run = job.MakeRun("killed");
  {
    Child child({run.string()});
    while (child.WaitFor<pipe::Log>() && !is_roll_back(child.Take())) {
    }
    child.Signal(SIGKILL);
    ASSERT_EQ(child.Wait(), -SIGKILL);
  }
  Child child({run.string()});
  EXPECT_EQ(child.Wait(), pipe::kExitFinished) << child.error_text();
  ExpectSameEnd(job, run, undisturbed);
}

TEST(SinkTrainer, StopSavesAndEndsAndTheRestFollows) {
  TinyJob job;
  job.config.train.max_steps = 200;
  std::vector<pipe::Event> undisturbed_events;
  const fs::path undisturbed = Undisturbed(job, undisturbed_events);
  const fs::path run = job.MakeRun("stopped");
  std::vector<pipe::Event> events;
  const auto interrupt = [&](const std::function<void(Child&)>& stop) {
    Child child({run.string()});
    ASSERT_TRUE(child.WaitFor<pipe::Metrics>());
    stop(child);
    ASSERT_EQ(child.Wait(), pipe::kExitStopped) << child.error_text();
    ASSERT_GE(child.records().size(), 2u);  // a checkpoint, then how far it came
    ASSERT_TRUE(std::holds_alternative<pipe::Checkpoint>(*std::prev(child.records().end(), 2)));
    ASSERT_TRUE(std::holds_alternative<pipe::Progress>(child.records().back()));
    events.insert(events.end(), child.records().begin(), child.records().end());
  };
  interrupt([](Child& child) { child.Command("stop\n"); });
  interrupt([](Child& child) { child.Signal(SIGTERM); });
  interrupt([](Child& child) { child.Signal(SIGINT); });
  Child child({run.string()});
  EXPECT_EQ(child.Wait(), pipe::kExitFinished) << child.error_text();
  events.insert(events.end(), child.records().begin(), child.records().end());
  EXPECT_EQ(Points(events), Points(undisturbed_events));
  ExpectSameEnd(job, run, undisturbed);
}

TEST(SinkTrainer, CheckpointNowSavesAndGoesOn) {
  TinyJob job;
  job.config.train.max_steps = 2000;
  job.config.checkpoint.every = 1'000'000;
  Child child({job.MakeRun("run").string()});
  ASSERT_TRUE(child.WaitFor<pipe::Metrics>());
  child.Command("checkpoint_now\n");
  EXPECT_TRUE(child.WaitFor<pipe::Checkpoint>());
  EXPECT_TRUE(child.WaitFor<pipe::Metrics>());
  child.Command("stop\n");
  EXPECT_EQ(child.Wait(), pipe::kExitStopped);
}

TEST(SinkTrainer, LostWorkerEndsItPromptly) {
  TinyJob job;
  job.config.train.max_steps = 1'000'000;
  Child child({job.MakeRun("run").string()});
  ASSERT_TRUE(child.WaitFor<pipe::Metrics>());
  const auto start = std::chrono::steady_clock::now();
  child.CloseEvents();
  EXPECT_EQ(child.Wait(), pipe::kExitInfra);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_NE(child.error_text().find("the worker is gone"), std::string::npos) << child.error_text();
}

TEST(SinkTrainer, FullDiskIsAnInfraFailureAndThePreviousCheckpointStays) {
  TinyJob job;
  std::vector<pipe::Event> events;
  const fs::path undisturbed = Undisturbed(job, events);
  const fs::path run = job.MakeRun("full");
  fs::create_directories(run / "checkpoints");
  fs::copy(CheckpointPath(undisturbed, 17), CheckpointPath(run, 17), fs::copy_options::recursive);
  const std::string manifest = testing::HashOf(CheckpointPath(run, 17) / "manifest.json");
  {
    Child child({run.string()}, true, {{RLIMIT_FSIZE, 60'000}});
    EXPECT_EQ(child.Wait(), pipe::kExitInfra);
    const pipe::Failed failed = FailureOf(child);
    EXPECT_EQ(failed.failure_class, pipe::FailureClass::kInfra);
    EXPECT_NE(failed.message.find("cannot save the checkpoint of step 34"), std::string::npos) << failed.message;
  }
  EXPECT_EQ(testing::HashOf(CheckpointPath(run, 17) / "manifest.json"), manifest);
  EXPECT_EQ(std::distance(fs::directory_iterator(run / "checkpoints"), fs::directory_iterator()), 1);
  Child again({run.string()});
  EXPECT_EQ(again.Wait(), pipe::kExitFinished);
  ExpectSameEnd(job, run, undisturbed);
}

TEST(SinkTrainer, OutOfMemoryHasItsOwnClass) {
#ifdef SINK_SANITIZER
  GTEST_SKIP() << "a sanitizer reserves the address space that this test limits";
#endif
  TinyJob job;
  job.config.model.vocab_size = 2097152;
  job.config.model.hidden_size = 1024;
  Child child({job.MakeRun("run").string()}, true, {{RLIMIT_AS, rlim_t{6} << 30}});
  EXPECT_EQ(child.Wait(), pipe::kExitOutOfMemory);
  EXPECT_EQ(FailureOf(child).failure_class, pipe::FailureClass::kOutOfMemory);
}

TEST(SinkTrainer, BadJobIsAUserFailureInOneLine) {
  TinyJob job;
  Child child({(job.folder() / "nowhere").string()});
  EXPECT_EQ(child.Wait(), pipe::kExitUser);
  EXPECT_NE(FailureOf(child).message.find("nowhere/job.json: No such file"), std::string::npos);
  Child no_arguments({}, false);
  EXPECT_EQ(no_arguments.Wait(), pipe::kExitUser);
  EXPECT_NE(no_arguments.error_text().find("RUN_DIR"), std::string::npos);
}

TEST(SinkTrainer, FromAShellItSpeaksToPeople) {
  TinyJob job;
  job.config.train.max_steps = 3;
  testing::WriteFile(job.folder() / "config.json", PrintJobConfig(job.config));
  const std::string run = (job.folder() / "by-hand").string();
  Child child(
      {run, "--config", (job.folder() / "config.json").string(), "--data-root", (job.folder() / "data").string()},
      false);
  EXPECT_EQ(child.Wait(), pipe::kExitFinished) << child.error_text();
  EXPECT_NE(child.error_text().find("train_loss"), std::string::npos) << child.error_text();
  EXPECT_NE(child.error_text().find("finished at step 3"), std::string::npos) << child.error_text();
  EXPECT_TRUE(fs::exists(CheckpointPath(run, 3)));
}

TEST(SinkTrainer, SecondTrainerOfARunIsRefused) {
  TinyJob job;
  job.config.train.max_steps = 1'000'000;
  const fs::path run = job.MakeRun("run");
  Child first({run.string()});
  ASSERT_TRUE(first.WaitFor<pipe::Metrics>());
  EXPECT_THROW(FolderLock(run, 100), std::exception);
}

}  // namespace
}  // namespace sink::train
