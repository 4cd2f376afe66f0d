// Divergence: what counts as it, and what a run does about it. Noise in the data makes loss spikes that go away with
// their batch; an absurd learning rate makes infinities that do not.
#include "model/train/learning/divergence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "model/train/link/train_error.h"
#include "tests/model/train/helpers/tiny_job.h"
#include "tests/testing/test_files.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Divergence, RunningMeanIsTheWeightedMeanOfTheLosses) {
  const std::vector<double> losses = {7, 5, 4, 4.5, 3};
  double running = 0, sum = 0, weights = 0;
  for (size_t i = 0; i < losses.size(); ++i) {
    running = AddLoss(running, losses[i]);
    const double weight = std::pow(0.99, static_cast<double>(losses.size() - 1 - i));
    sum += weight * losses[i];
    weights += weight;
  }
  TrainConfig config;
  config.warmup_steps = 5;
  config.loss_spike_factor = 1.5;
  EXPECT_NEAR(LossLimit(config, 5, running), 1.5 * sum / weights, 1e-12);
  EXPECT_EQ(LossLimit(config, 4, running), kInfinity) << "during warm-up";
  config.warmup_steps = 0;
  EXPECT_EQ(LossLimit(config, 0, 0), kInfinity) << "without a mean";
  config.loss_spike_factor = 0;
  EXPECT_EQ(LossLimit(config, 5, running), kInfinity) << "turned off";
}

class DivergingRun : public ::testing::Test {
 protected:
  // Trains the job; the error, or nothing.
  std::string Train(const fs::path& run) {
    try {
      EXPECT_EQ(job_.Train(run, events_), RunOutcome::kFinished);
    } catch (const NanError& e) {
      return e.what();
    }
    return "";
  }

  void MakeSpikes() {
    job_.AddNoise();
    job_.config.train.max_steps = 120;
    job_.config.train.on_divergence = DivergencePolicy::kRollBack;
    job_.config.train.loss_spike_factor = 1.25;
    job_.config.train.max_roll_backs = 20;
  }

  void MakeInfinities() {
    job_.config.train.learning_rate = 100;
    job_.config.train.weight_decay = 100;
    job_.config.train.min_learning_rate.reset();
    job_.config.checkpoint.every = 1;
  }

  std::vector<std::string> RollBacks() const {
    std::vector<std::string> found;
    for (const pipe::Event& event : events_)
      if (const auto* log = std::get_if<pipe::Log>(&event); log && log->message.starts_with("rolled back"))
        found.push_back(log->level + ": " + log->message);
    return found;
  }

  // By step, in the order in which they were sent.
  std::map<int64_t, std::vector<double>> Losses() const {
    std::map<int64_t, std::vector<double>> losses;
    for (const pipe::Event& event : events_)
      if (const auto* metrics = std::get_if<pipe::Metrics>(&event))
        for (const auto& [name, value] : metrics->values)
          if (name == "train_loss") losses[metrics->step].push_back(value);
    return losses;
  }

  int64_t NewestCheckpoint() const {
    int64_t step = -1;
    for (const pipe::Event& event : events_)
      if (const auto* checkpoint = std::get_if<pipe::Checkpoint>(&event)) step = checkpoint->step;
    return step;
  }

  TinyJob job_;
  std::vector<pipe::Event> events_;
};

TEST_F(DivergingRun, InfinitiesStopItAndKeepTheLastCheckpoint) {
  MakeInfinities();
  const fs::path run = job_.MakeRun("run");
  const std::string error = Train(run);
  const int64_t last = NewestCheckpoint();
  EXPECT_EQ(error.rfind("step " + std::to_string(last + 1) + ": the loss is ", 0), 0u) << error;
  EXPECT_NE(error.find("lower train.learning_rate"), std::string::npos) << error;
  EXPECT_TRUE(fs::exists(CheckpointPath(run, last) / "manifest.json"));
  EXPECT_EQ(Train(run), error) << "the same step again, from that checkpoint";
  EXPECT_EQ(std::get<pipe::Hello>(events_.front()).start_step, last);
}

TEST_F(DivergingRun, RollBacksRunOut) {
  MakeInfinities();
  job_.config.train.on_divergence = DivergencePolicy::kRollBack;
  job_.config.train.max_roll_backs = 2;
  const fs::path run = job_.MakeRun("run");
  const std::string error = Train(run);
  EXPECT_NE(error.find("after 2 roll-backs"), std::string::npos) << error;
  const std::vector<std::string> first = RollBacks();
  ASSERT_EQ(first.size(), 2u);
  EXPECT_NE(first[1].find("roll-back 2 of 2"), std::string::npos) << first[1];
  EXPECT_EQ(Train(run), error);
  EXPECT_EQ(RollBacks(), first);
}

// The host hears of it a step later, when it has begun another one.
TEST_F(DivergingRun, OverlapFindsTheSameStepsAndGoesOnWithTheSameData) {
  MakeInfinities();
  job_.config.train.on_divergence = DivergencePolicy::kRollBack;
  job_.config.train.max_roll_backs = 2;
  job_.config.checkpoint.every = 1'000'000;
  const std::string error = Train(job_.MakeRun("plain"));
  const std::vector<std::string> roll_backs = RollBacks();
  const auto losses = Losses();
  EXPECT_EQ(roll_backs.size(), 2u);
  job_.overlap = true;
  EXPECT_EQ(Train(job_.MakeRun("overlapped")), error);
  EXPECT_EQ(RollBacks(), roll_backs);
  EXPECT_EQ(Losses(), losses);
}

TEST_F(DivergingRun, SpikeStopsAndSaysSo) {
  MakeSpikes();
  job_.config.train.on_divergence = DivergencePolicy::kStop;
  const std::string error = Train(job_.MakeRun("run"));
  EXPECT_NE(error.find(": loss spike, "), std::string::npos) << error;
  EXPECT_NE(error.find("set train.on_divergence to roll_back"), std::string::npos) << error;
}

TEST_F(DivergingRun, RollsBackPastTheBadData) {
  MakeSpikes();
  ASSERT_EQ(Train(job_.MakeRun("run")), "");
  const std::vector<std::string> roll_backs = RollBacks();
  ASSERT_FALSE(roll_backs.empty());
  EXPECT_EQ(roll_backs[0].rfind("warning: rolled back from step ", 0), 0u) << roll_backs[0];
  EXPECT_NE(roll_backs[0].find("roll-back 1 of 20"), std::string::npos) << roll_backs[0];

  int64_t from = 0, to = 0;
  ASSERT_EQ(std::sscanf(roll_backs[0].c_str(), "warning: rolled back from step %ld to %ld", &from, &to), 2);
  EXPECT_EQ(to, from / job_.config.checkpoint.every * job_.config.checkpoint.every);
  std::map<int64_t, std::vector<double>> losses = Losses();
  EXPECT_EQ(losses.size(), static_cast<size_t>(job_.config.train.max_steps));
  EXPECT_EQ(losses[to].size(), 1u);
  ASSERT_GE(losses[to + 1].size(), 2u);
  EXPECT_NE(losses[to + 1][0], losses[to + 1][1]) << "other data";
}

TEST_F(DivergingRun, WithoutACheckpointItStartsAnewWithOtherData) {
  MakeSpikes();
  job_.config.train.max_steps = 60;
  job_.config.checkpoint.every = 1'000'000;
  ASSERT_EQ(Train(job_.MakeRun("run")), "");
  ASSERT_FALSE(RollBacks().empty());
  EXPECT_NE(RollBacks()[0].find(" to 0 ("), std::string::npos) << RollBacks()[0];
  const std::vector<double> first_losses = Losses()[1];
  ASSERT_GE(first_losses.size(), 2u);
  EXPECT_NE(first_losses[0], first_losses[1]);
  EXPECT_NEAR(first_losses[0], first_losses[1], 0.1) << "the model is the initial one again";
}

// The first step of a model that a checkpoint of step 0, gone by then, left unusable.
TEST_F(DivergingRun, InTheFirstStepItStartsAnewAsIfThatHadNotBeen) {
  job_.config.train.max_steps = 3;
  job_.config.train.on_divergence = DivergencePolicy::kRollBack;
  for (const bool overlap : {false, true}) {
    const fs::path run = job_.MakeRun(overlap ? "overlapped" : "plain");
    Learner learner(job_.config, at::kCPU);
    learner.model().values().fill_(std::nan(""));
    const CheckpointContent content =
        ContentOf(job_.config, learner.model(), *learner.WholeOptimizer(), {.measured = true});
    const CheckpointRef start = SavedCheckpoints(run / "checkpoints").Save(0, [&](const fs::path& folder) {
      WriteCheckpoint(folder, content);
    });
    EventSink events(-1);
    TrainerCommands commands(-1);
    Trainer trainer(run, events, commands, {}, overlap);
    fs::remove_all(start.path);
    ASSERT_EQ(trainer.Run(), RunOutcome::kFinished);
    const auto state = nlohmann::json::parse(testing::ReadFile(CheckpointPath(run, 3) / "trainer.json"));
    EXPECT_EQ(state["roll_backs"], 1);
    EXPECT_EQ(state["tokens"], 3 * job_.config.train.global_batch_size * job_.config.train.sequence_length);
    EXPECT_EQ(state["cursor"]["position"], 4 * job_.config.train.global_batch_size);
  }
}

TEST_F(DivergingRun, ResumedFromBeforeOrAfterARollBackItEndsWithTheSameBits) {
  MakeSpikes();
  job_.config.checkpoint.keep = 100;
  const fs::path whole = job_.MakeRun("whole");
  ASSERT_EQ(Train(whole), "");
  const std::vector<std::string> roll_backs = RollBacks();
  for (int64_t step = job_.config.checkpoint.every; step < job_.config.train.max_steps;
       step += job_.config.checkpoint.every) {
    const fs::path resumed = job_.MakeRun("resumed-" + std::to_string(step));
    fs::create_directories(resumed / "checkpoints");
    fs::copy(CheckpointPath(whole, step), CheckpointPath(resumed, step), fs::copy_options::recursive);
    ASSERT_EQ(Train(resumed), "");
    const std::vector<std::string> again = RollBacks();
    ASSERT_LE(again.size(), roll_backs.size());
    EXPECT_TRUE(std::equal(again.rbegin(), again.rend(), roll_backs.rbegin())) << "counted on from " << step;
    for (const char* name : {"model.safetensors", "optimizer.state", "trainer.json"})
      ExpectSameBytes(CheckpointPath(whole, 120) / name, CheckpointPath(resumed, 120) / name);
  }
}

}  // namespace
}  // namespace sink::train
