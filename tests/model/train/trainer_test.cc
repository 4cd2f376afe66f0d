// Whole runs of a tiny job: what a run reports, and that a run put together from pieces is the undisturbed run, bit for
// bit.
#include "model/train/trainer.h"

#include <ATen/TensorOperators.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <thread>

#include "model/storage/tensor_file.h"
#include "model/train/link/event_sink.h"
#include "model/train/link/train_error.h"
#include "model/train/link/trainer_commands.h"
#include "proto/run/manifest.h"
#include "tests/model/helpers/variants.h"
#include "tests/model/train/helpers/tiny_job.h"
#include "tests/testing/test_files.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;

template <typename Record>
std::vector<Record> All(const std::vector<pipe::Event>& events) {
  std::vector<Record> found;
  for (const pipe::Event& event : events)
    if (const auto* record = std::get_if<Record>(&event)) found.push_back(*record);
  return found;
}

std::vector<double> Series(const std::vector<pipe::Event>& events, const std::string& name) {
  std::vector<double> values;
  for (const pipe::Metrics& metrics : All<pipe::Metrics>(events))
    for (const auto& [key, value] : metrics.values)
      if (key == name) values.push_back(value);
  return values;
}

std::string ErrorOf(const std::function<void()>& run) {
  try {
    run();
  } catch (const std::exception& e) {
    return std::string(NameOf(Classify(e).failure_class)) + ": " + e.what();
  }
  return "no error";
}

TEST(Trainer, RunReportsWhatItPromises) {
  TinyJob job;
  const fs::path run = job.MakeRun("run");
  std::vector<pipe::Event> events;
  ASSERT_EQ(job.Train(run, events), RunOutcome::kFinished);

  ASSERT_TRUE(std::holds_alternative<pipe::Hello>(events.front()));
  const auto& hello = std::get<pipe::Hello>(events.front());
  EXPECT_EQ(hello.max_steps, 40);
  EXPECT_EQ(hello.start_step, 0);
  EXPECT_EQ(hello.parameters, 2 * 48 * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 48 + 2 * 32) + 32);
  ASSERT_TRUE(std::holds_alternative<pipe::Finished>(events.back()));
  EXPECT_EQ(std::get<pipe::Finished>(events.back()).step, 40);

  const std::vector<double> losses = Series(events, "train_loss");
  ASSERT_EQ(losses.size(), 40u);
  EXPECT_NEAR(losses.front(), std::log(48.0), 0.3);
  EXPECT_LT(losses.back(), losses.front() - 0.5);
  EXPECT_EQ(Series(events, "gradient_norm").size(), 40u);
  EXPECT_EQ(Series(events, "learning_rate").size(), 40u);

  const std::vector<double> validation = Series(events, "validation_loss/all");
  ASSERT_EQ(validation.size(), 5u);  // steps 0, 10, 20, 30, 40
  EXPECT_EQ(Series(events, "validation_loss/words"), validation);
  EXPECT_LT(validation.back(), validation.front() - 0.5);
  for (const char* name : {"sink_rate/0.3/1", "sink_rate/0.3/4", "alpha_mean/1", "alpha_max/4", "hidden_norm_ratio/0",
                           "hidden_norm_ratio/2"})
    EXPECT_EQ(Series(events, name).size(), 5u) << name;
  const auto heatmaps = All<pipe::Heatmap>(events);
  ASSERT_EQ(heatmaps.size(), 5u);
  EXPECT_EQ(heatmaps[4].step, 40);
  EXPECT_EQ(heatmaps[4].layers, 2);
  EXPECT_EQ(heatmaps[4].heads, 4);

  std::vector<int64_t> saved;
  for (const auto& checkpoint : All<pipe::Checkpoint>(events)) saved.push_back(checkpoint.step);
  EXPECT_EQ(saved, (std::vector<int64_t>{17, 34, 40}));
  for (const char* name : {"config.json", "model.safetensors", "optimizer.state", "trainer.json", "manifest.json"})
    EXPECT_TRUE(fs::exists(CheckpointPath(run, 40) / name)) << name;
}

TEST(Trainer, TheLastProgressCountsEveryToken) {
  TinyJob job;
  job.config.train.max_steps = 3;
  std::vector<pipe::Event> events;
  ASSERT_EQ(job.Train(job.MakeRun("run"), events), RunOutcome::kFinished);
  const auto progress = All<pipe::Progress>(events);
  ASSERT_FALSE(progress.empty());
  EXPECT_EQ(progress.back().step, 3);
  EXPECT_EQ(progress.back().tokens, 3 * job.config.train.global_batch_size * job.config.train.sequence_length);
}

// Trains once undisturbed, once from the checkpoint of `step` on: the same losses, the same files.
void ExpectResumeIsExact(const TinyJob& job, int64_t step) {
  const fs::path whole = job.MakeRun("whole");
  std::vector<pipe::Event> whole_events;
  ASSERT_EQ(job.Train(whole, whole_events), RunOutcome::kFinished);

  const fs::path resumed = job.MakeRun("resumed");
  fs::create_directories(resumed / "checkpoints");
  fs::copy(CheckpointPath(whole, step), CheckpointPath(resumed, step), fs::copy_options::recursive);
  std::vector<pipe::Event> events;
  ASSERT_EQ(job.Train(resumed, events), RunOutcome::kFinished);
  EXPECT_EQ(std::get<pipe::Hello>(events.front()).start_step, step);
  const std::vector<double> losses = Series(whole_events, "train_loss");
  EXPECT_EQ(Series(events, "train_loss"), std::vector<double>(losses.begin() + step, losses.end()));
  const int64_t last = job.config.train.max_steps;
  for (const char* name : {"model.safetensors", "optimizer.state", "trainer.json", "manifest.json"})
    ExpectSameBytes(CheckpointPath(whole, last) / name, CheckpointPath(resumed, last) / name);
}

class TrainerResume : public ::testing::TestWithParam<OptimizerKind> {};

TEST_P(TrainerResume, ResumedRunIsTheUndisturbedRunToTheLastBit) {
  TinyJob job;
  job.config.train.optimizer = GetParam();
  ExpectResumeIsExact(job, 17);
}

INSTANTIATE_TEST_SUITE_P(Optimizers, TrainerResume, ::testing::Values(OptimizerKind::kAdamw, OptimizerKind::kMuon),
                         [](const auto& info) { return std::string(NameOf(info.param)); });

class VariantResume : public ::testing::TestWithParam<Variant> {};

TEST_P(VariantResume, ResumedRunIsTheUndisturbedRunToTheLastBit) {
  TinyJob job;
  job.config.model.variant = GetParam().config;
  job.config.train.max_steps = 9;
  job.config.checkpoint.every = 4;
  ExpectResumeIsExact(job, 4);
}

INSTANTIATE_TEST_SUITE_P(All, VariantResume, ::testing::ValuesIn(Variants()),
                         [](const auto& info) { return info.param.name; });

// The optimizer's file had another name, which loaders of models took for weights.
TEST(Trainer, ACheckpointWithTheFormerNameOfTheOptimizersFileResumesToTheLastBit) {
  TinyJob job;
  job.config.train.max_steps = 9;
  job.config.checkpoint.every = 4;
  const fs::path whole = job.MakeRun("whole"), resumed = job.MakeRun("resumed");
  std::vector<pipe::Event> events;
  ASSERT_EQ(job.Train(whole, events), RunOutcome::kFinished);
  const fs::path old = CheckpointPath(resumed, 4);
  fs::create_directories(old.parent_path());
  fs::copy(CheckpointPath(whole, 4), old, fs::copy_options::recursive);
  fs::rename(old / "optimizer.state", old / "optimizer.safetensors");
  fs::remove(old / "manifest.json");
  ASSERT_TRUE(run::WriteManifest(old, 4).ok());
  ASSERT_EQ(job.Train(resumed, events), RunOutcome::kFinished);
  EXPECT_EQ(std::get<pipe::Hello>(events.front()).start_step, 4);
  ExpectSameEnd(job, whole, resumed);
}

TEST(Trainer, MuonLearns) {
  TinyJob job;
  job.config.train.optimizer = OptimizerKind::kMuon;
  std::vector<pipe::Event> events;
  job.Train(job.MakeRun("run"), events);
  const std::vector<double> losses = Series(events, "train_loss");
  EXPECT_LT(losses.back(), losses.front() - 1);
}

TEST(Trainer, TwoThreadsGiveTheSameBitsEveryTime) {
  TinyJob job;
  job.config.train.threads = 2;
  job.config.train.max_steps = 6;
  std::vector<pipe::Event> events;
  job.Train(job.MakeRun("a"), events);
  const auto first = Points(events);
  job.Train(job.MakeRun("b"), events);
  EXPECT_EQ(Points(events), first);
}

TEST(Trainer, FinishedRunStartedAgainChangesNothing) {
  TinyJob job;
  job.config.train.max_steps = 6;
  const fs::path run = job.MakeRun("run");
  std::vector<pipe::Event> events;
  job.Train(run, events);
  const fs::file_time_type before = fs::last_write_time(CheckpointPath(run, 6) / "manifest.json");
  EXPECT_EQ(job.Train(run, events), RunOutcome::kFinished);
  EXPECT_EQ(fs::last_write_time(CheckpointPath(run, 6) / "manifest.json"), before);
  EXPECT_TRUE(Points(events).empty());
  EXPECT_EQ(All<pipe::Checkpoint>(events).size(), 1u);
  EXPECT_EQ(All<pipe::Finished>(events).size(), 1u);
}

TEST(Trainer, DamagedNewestCheckpointIsSetAsideAndThePreviousOneUsed) {
  TinyJob job;
  const fs::path run = job.MakeRun("run");
  std::vector<pipe::Event> events;
  job.Train(run, events);
  const auto points = Points(events);
  fs::resize_file(CheckpointPath(run, 40) / "optimizer.state", 1000);
  fs::remove(CheckpointPath(run, 34) / "model.safetensors");
  ASSERT_EQ(job.Train(run, events), RunOutcome::kFinished);
  EXPECT_EQ(std::get<pipe::Hello>(events.front()).start_step, 17);
  const auto logs = All<pipe::Log>(events);
  ASSERT_GE(logs.size(), 2u);
  EXPECT_EQ(logs[0].level, "warning");
  EXPECT_NE(logs[0].message.find("optimizer.state has 1000 bytes"), std::string::npos) << logs[0].message;
  EXPECT_NE(logs[1].message.find("model.safetensors"), std::string::npos) << logs[1].message;
  for (const auto& point : Points(events)) EXPECT_TRUE(std::find(points.begin(), points.end(), point) != points.end());
}

TEST(Trainer, CheckpointOfAnotherConfigurationIsRefused) {
  TinyJob job;
  job.config.train.max_steps = 3;
  const fs::path run = job.MakeRun("run");
  std::vector<pipe::Event> events;
  job.Train(run, events);
  const auto refused = [&] {
    job.MakeRun("run");
    const std::string error = ErrorOf([&] { job.Train(run, events); });
    EXPECT_EQ(error.rfind("user: ", 0), 0u) << error;
    EXPECT_NE(error.find("other settings"), std::string::npos) << error;
  };
  job.config.train.optimizer = OptimizerKind::kMuon;
  refused();
  job.config.train.optimizer = OptimizerKind::kAdamw;
  job.config.train.learning_rate = 5e-3;
  refused();
  EXPECT_TRUE(fs::exists(CheckpointPath(run, 3) / "manifest.json"));
}

TEST(Trainer, AResumeOnOtherDataIsRefusedForAnotherWorkerToTry) {
  TinyJob job;
  job.config.train.max_steps = 6;
  job.config.checkpoint.every = 4;
  const fs::path run = job.MakeRun("run");
  std::vector<pipe::Event> events;
  job.Train(run, events);
  fs::remove_all(CheckpointPath(run, 6));
  job.AddNoise();
  const std::string error = ErrorOf([&] { job.Train(run, events); });
  EXPECT_EQ(error.rfind("infra: ", 0), 0u) << error;
  EXPECT_NE(error.find("was trained on data set tiny with the content "), std::string::npos) << error;
  EXPECT_TRUE(fs::exists(CheckpointPath(run, 4) / "manifest.json"));
}

TEST(Trainer, MissingDataIsAUserError) {
  TinyJob job;
  job.config.data.set = "nowhere";
  std::vector<pipe::Event> events;
  const std::string error = ErrorOf([&] { job.Train(job.MakeRun("run"), events); });
  EXPECT_EQ(error.rfind("user: ", 0), 0u) << error;
  EXPECT_NE(error.find("nowhere"), std::string::npos) << error;
}

TEST(Trainer, TokenOutsideTheVocabularyIsAUserError) {
  TinyJob job;
  job.config.model.vocab_size = 40;
  std::vector<pipe::Event> events;
  const std::string error = ErrorOf([&] { job.Train(job.MakeRun("run"), events); });
  EXPECT_EQ(error.rfind("user: ", 0), 0u) << error;
}

// What a device with a queue of its own makes of a run, on a CPU: the same points and files.
TEST(Trainer, OverlapChangesNoResult) {
  TinyJob job;
  job.config.train.log_every = 3;
  std::vector<pipe::Event> events;
  job.Train(job.MakeRun("plain"), events);
  const auto points = Points(events);
  job.overlap = true;
  ASSERT_EQ(job.Train(job.MakeRun("overlapped"), events), RunOutcome::kFinished);
  EXPECT_EQ(Points(events), points);
  ExpectSameEnd(job, job.folder() / "plain", job.folder() / "overlapped");
  std::vector<int64_t> saved;
  for (const auto& checkpoint : All<pipe::Checkpoint>(events)) {
    saved.push_back(checkpoint.step);
    EXPECT_EQ(checkpoint.manifest_hash.size(), 32u);
  }
  EXPECT_EQ(saved, (std::vector<int64_t>{17, 34, 40}));
  EXPECT_TRUE(std::holds_alternative<pipe::Finished>(events.back()));
}

// A job that diverges after a few steps.
class DivergingJob : public TinyJob {
 public:
  DivergingJob() {
    config.train.learning_rate = 100;
    config.train.weight_decay = 100;
    config.train.min_learning_rate.reset();
  }

  // The number of the step that diverges.
  int64_t DivergesIn() const {
    std::vector<pipe::Event> events;
    const std::string error = ErrorOf([&] { Train(MakeRun("diverges"), events); });
    const std::string before = "nan: step ";
    EXPECT_EQ(error.rfind(before, 0), 0u) << error;
    return std::strtoll(error.c_str() + before.size(), nullptr, 10);
  }
};

// On a CPU and on a device with a queue of its own.
class FailedRun : public ::testing::TestWithParam<bool> {};

TEST_P(FailedRun, TellsOfItsLastStepAndItsTokensBeforeItFails) {
  DivergingJob job;
  const int64_t last = job.DivergesIn() - 1;
  ASSERT_GT(last, 0);
  job.overlap = GetParam();
  std::vector<pipe::Event> events;
  const std::string error = ErrorOf([&] { job.Train(job.MakeRun("run"), events); });
  EXPECT_EQ(error.rfind("nan: step " + std::to_string(last + 1) + ": ", 0), 0u) << error;
  const auto progress = All<pipe::Progress>(events);
  ASSERT_FALSE(progress.empty());
  EXPECT_EQ(progress.back().step, last);
  EXPECT_EQ(progress.back().tokens, last * job.config.train.global_batch_size * job.config.train.sequence_length);
}

INSTANTIATE_TEST_SUITE_P(Devices, FailedRun, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "WithAQueue" : "Cpu"; });

// From the failure on, its records reach nobody.
TEST(Trainer, ALostWorkerDoesNotHideWhyTheRunFailed) {
  TinyJob job;
  job.config.train.max_steps = 1;
  const fs::path run = job.MakeRun("run");
  const int records = open((run / "events.jsonl").c_str(), O_WRONLY | O_CREAT, 0600);
  const int nowhere = open("/dev/full", O_WRONLY);
  ASSERT_GE(std::min(records, nowhere), 0);
  EventSink sink(records);
  TrainerCommands commands(-1);
  const auto fail = [&](const fs::path&, const CheckpointContent&) {
    EXPECT_EQ(dup2(nowhere, records), records);
    throw std::runtime_error("the disk is broken");
  };
  const std::string error = ErrorOf([&] { Trainer(run, sink, commands, {}, /*overlap=*/false, Snapshot, fail).Run(); });
  EXPECT_NE(error.find("cannot save the checkpoint of step 1: the disk is broken"), std::string::npos) << error;
  for (const int fd : {records, nowhere}) close(fd);
}

TEST(Trainer, ACheckpointThatIsBeingWrittenWhenTheRunFailsIsToldOf) {
  DivergingJob job;
  job.config.checkpoint.every = 1;
  job.overlap = true;
  const fs::path run = job.MakeRun("run");
  std::vector<pipe::Event> events;
  const std::string error = ErrorOf([&] { job.Train(run, events); });
  EXPECT_EQ(error.rfind("nan: step ", 0), 0u) << error;
  int64_t newest = 0;
  while (fs::exists(CheckpointPath(run, newest + 1))) ++newest;
  ASSERT_GT(newest, 1);
  std::vector<int64_t> saved;
  for (const auto& checkpoint : All<pipe::Checkpoint>(events)) saved.push_back(checkpoint.step);
  EXPECT_EQ(saved.back(), newest);
}

// A disk that is slow until the run has twice told how far it is; without that for long, the save fails.
void WriteSlowly(const fs::path& folder, const CheckpointContent& content) {
  const fs::path run = folder.parent_path().parent_path();
  const auto told = [&] { return All<pipe::Progress>(ReadEvents(run / "events.jsonl")).size(); };
  const size_t before = told();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (told() < before + 2) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("the run shows no sign of life");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  WriteCheckpoint(folder, content);
}

// On a CPU and on a device with a queue of its own.
class SlowSave : public ::testing::TestWithParam<bool> {};

TEST_P(SlowSave, AtTheEndShowsThatTheRunLives) {
  TinyJob job;
  job.config.train.max_steps = 2;
  job.overlap = GetParam();
  std::vector<pipe::Event> events;
  job.Train(job.MakeRun("fast"), events);
  const auto points = Points(events);
  job.write = WriteSlowly;
  ASSERT_EQ(job.Train(job.MakeRun("slow"), events), RunOutcome::kFinished);
  EXPECT_EQ(Points(events), points);
  ExpectSameEnd(job, job.folder() / "fast", job.folder() / "slow");
  const auto saved = All<pipe::Checkpoint>(events);
  ASSERT_EQ(saved.size(), 1u);
  EXPECT_EQ(saved[0].step, 2);
  EXPECT_EQ(saved[0].manifest_hash, testing::HashOf(CheckpointPath(job.folder() / "slow", 2) / "manifest.json"));
}

TEST_P(SlowSave, OfARunThatIsStoppedShowsThatItLives) {
  TinyJob job;
  job.overlap = GetParam();
  job.write = WriteSlowly;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(write(ends[1], "stop\n", 5), 5);
  job.commands = ends[0];
  const fs::path run = job.MakeRun("run");
  std::vector<pipe::Event> events;
  EXPECT_EQ(job.Train(run, events), RunOutcome::kStopped);
  for (const int end : ends) close(end);
  EXPECT_EQ(All<pipe::Checkpoint>(events).size(), 1u);
  EXPECT_TRUE(fs::exists(CheckpointPath(run, 0) / "manifest.json"));
}

INSTANTIATE_TEST_SUITE_P(Devices, SlowSave, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "WithAQueue" : "Cpu"; });

// The save is under way when the next step diverges.
TEST(Trainer, ARollBackThatWaitsForASlowSaveShowsThatTheRunLives) {
  DivergingJob job;
  const int64_t before = job.DivergesIn() - 1;
  ASSERT_GT(before, 0);
  job.config.checkpoint.every = before;
  job.config.train.on_divergence = DivergencePolicy::kRollBack;
  job.config.train.max_roll_backs = 1;
  job.overlap = true;
  job.write = WriteSlowly;
  std::vector<pipe::Event> events;
  const std::string error = ErrorOf([&] { job.Train(job.MakeRun("run"), events); });
  EXPECT_EQ(error.rfind("nan: step ", 0), 0u) << error;
  const auto logs = All<pipe::Log>(events);
  const std::string rolled_back =
      "rolled back from step " + std::to_string(before) + " to " + std::to_string(before) + " ";
  EXPECT_TRUE(std::any_of(logs.begin(), logs.end(), [&](const pipe::Log& log) {
    return log.message.starts_with(rolled_back);
  })) << rolled_back;
}

TEST(Trainer, ARunThatFailsDuringASlowSaveShowsThatItLives) {
  DivergingJob job;
  const int64_t before = job.DivergesIn() - 1;
  ASSERT_GT(before, 0);
  job.config.checkpoint.every = before;
  job.overlap = true;
  job.write = WriteSlowly;
  std::vector<pipe::Event> events;
  const std::string error = ErrorOf([&] { job.Train(job.MakeRun("run"), events); });
  EXPECT_EQ(error.rfind("nan: step ", 0), 0u) << error;
  const auto saved = All<pipe::Checkpoint>(events);
  ASSERT_EQ(saved.size(), 1u);
  EXPECT_EQ(saved[0].step, before);
}

TEST(Trainer, WithoutMemoryForACopyItWaitsForCheckpointsAndSaysSoOnce) {
  TinyJob job;
  job.config.train.max_steps = 9;
  job.config.checkpoint.every = 2;
  std::vector<pipe::Event> events;
  job.Train(job.MakeRun("plain"), events);
  job.overlap = true;
  job.snapshot = [](const CheckpointContent&) -> CheckpointContent {
    TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory");
  };
  ASSERT_EQ(job.Train(job.MakeRun("short"), events), RunOutcome::kFinished);
  ExpectSameEnd(job, job.folder() / "plain", job.folder() / "short");
  std::vector<std::string> warnings;
  for (const auto& log : All<pipe::Log>(events))
    if (log.level == "warning" && log.message.find("checkpoint is written") != std::string::npos)
      warnings.push_back(log.message);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].rfind("out of memory for a copy of the model: training waits", 0), 0u) << warnings[0];
}

// After an out-of-memory error a run goes on in parts, whose sums round differently.
TEST(Trainer, AResumedRunCutsItsMicroBatchesAsBefore) {
  TinyJob job;
  job.config.train.max_steps = 9;
  job.config.checkpoint.every = 4;
  const fs::path whole = job.MakeRun("whole"), resumed = job.MakeRun("resumed"), again = job.MakeRun("again");
  std::vector<pipe::Event> events;
  job.Train(whole, events);
  const auto copy = [](const fs::path& from, const fs::path& to) {
    fs::create_directories(to.parent_path());
    fs::copy(from, to, fs::copy_options::recursive);
  };
  copy(CheckpointPath(whole, 4), CheckpointPath(resumed, 4));
  const fs::path file = CheckpointPath(resumed, 4) / "trainer.json";
  nlohmann::json state = nlohmann::json::parse(testing::ReadFile(file));
  EXPECT_FALSE(state.contains("micro_batch")) << "as in a run that was not cut";
  state["micro_batch"] = {{"parts", 2}};
  testing::WriteFile(file, state.dump());
  fs::remove(CheckpointPath(resumed, 4) / "manifest.json");
  ASSERT_TRUE(run::WriteManifest(CheckpointPath(resumed, 4), 4).ok());
  ASSERT_EQ(job.Train(resumed, events), RunOutcome::kFinished);
  EXPECT_NE(testing::HashOf(CheckpointPath(resumed, 9) / "model.safetensors"),
            testing::HashOf(CheckpointPath(whole, 9) / "model.safetensors"))
      << "it does not show";
  copy(CheckpointPath(resumed, 8), CheckpointPath(again, 8));
  ASSERT_EQ(job.Train(again, events), RunOutcome::kFinished);
  ExpectSameEnd(job, resumed, again);
}

TEST(Trainer, MicroBatchesOfAutomaticSizeTrainTheSameBatch) {
  TinyJob job;
  job.config.train.max_steps = 6;
  std::vector<pipe::Event> events;
  job.config.train.micro_batch_size = 4;
  job.Train(job.MakeRun("given"), events);
  const std::vector<double> losses = Series(events, "train_loss");
  job.config.train.micro_batch_size = 0;
  job.Train(job.MakeRun("auto"), events);
  EXPECT_EQ(Series(events, "train_loss"), losses);
  EXPECT_NE(All<pipe::Log>(events).at(1).message.find("4 sequences"), std::string::npos);
}

TEST(Trainer, ResumeIsExactInBf16AndCheckpointsHoldFloats) {
  TinyJob job;
  job.config.train.precision = Precision::kBf16;
  job.config.train.max_steps = 9;
  job.config.checkpoint.every = 4;
  for (const OptimizerKind optimizer : {OptimizerKind::kAdamw, OptimizerKind::kMuon}) {
    job.config.train.optimizer = optimizer;
    ExpectResumeIsExact(job, 4);
    const SafetensorsFile file(CheckpointPath(job.folder() / "whole", 9) / "model.safetensors");
    const at::Tensor head = ReadTensor(file, "lm_head.weight");
    EXPECT_EQ(head.scalar_type(), at::kFloat);
    EXPECT_FALSE(head.equal(head.to(at::kBFloat16).to(at::kFloat))) << "the values were rounded";
    fs::remove_all(job.folder() / "whole");
    fs::remove_all(job.folder() / "resumed");
  }
}

}  // namespace
}  // namespace sink::train
