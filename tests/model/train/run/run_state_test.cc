// Where a run stands goes through a checkpoint and from rank 0 to the others with every field.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "model/network/transformer.h"
#include "model/train/learning/optimizer.h"
#include "model/train/link/train_error.h"
#include "model/train/ranks/ranks.h"
#include "model/train/run/checkpoint.h"
#include "tests/model/train/helpers/tiny_job.h"
#include "tests/testing/test_files.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;

const RunState kState = {.step = 11,
                         .tokens = 12,
                         .cursor = {.epoch = 13, .position = 14},
                         .measured = true,
                         .running_loss = 15.5,
                         .roll_backs = 16,
                         .division = {.sequences = 4, .parts = 2}};

void ExpectEqual(const RunState& a, const RunState& b) {
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.cursor.epoch, b.cursor.epoch);
  EXPECT_EQ(a.cursor.position, b.cursor.position);
  EXPECT_EQ(a.measured, b.measured);
  EXPECT_EQ(a.running_loss, b.running_loss);
  EXPECT_EQ(a.roll_backs, b.roll_backs);
  EXPECT_EQ(a.division, b.division);
}

class RunStateTest : public ::testing::Test {
 protected:
  RunStateTest() { fs::create_directories(folder_); }
  RunState Read(const std::string& data = {}) {
    warnings_.clear();
    return ReadCheckpoint(folder_, job_.config, model_, optimizer_, data,
                          [this](const std::string& warning) { warnings_.push_back(warning); });
  }

  TinyJob job_;
  Transformer model_{job_.config.model, at::kCPU};
  Optimizer optimizer_{job_.config.train, model_, WholeOf(model_)};
  const fs::path folder_ = job_.folder() / "checkpoint";
  std::vector<std::string> warnings_;
};

TEST_F(RunStateTest, EveryFieldComesBackFromACheckpoint) {
  WriteCheckpoint(folder_, ContentOf(job_.config, model_, optimizer_, kState));
  ExpectEqual(Read(), kState);
}

TEST_F(RunStateTest, ItsFileKeepsItsForm) {
  RunState undivided = kState;
  undivided.division = {};
  WriteCheckpoint(folder_, ContentOf(job_.config, model_, optimizer_, undivided));
  EXPECT_EQ(testing::ReadFile(folder_ / "trainer.json"),
            "{\n \"config\": \"" + JobId(job_.config) +
                "\",\n \"cursor\": {\n  \"epoch\": 13,\n  \"position\": 14\n },"
                "\n \"format\": 1,\n \"measured\": true,\n \"roll_backs\": 16,"
                "\n \"running_loss\": 15.5,\n \"step\": 11,\n \"tokens\": 12\n}\n");
}

TEST_F(RunStateTest, ACheckpointFromBeforeRollBacksHasMadeNone) {
  WriteCheckpoint(folder_, ContentOf(job_.config, model_, optimizer_, kState));
  auto json = nlohmann::json::parse(testing::ReadFile(folder_ / "trainer.json"));
  json.erase("running_loss");
  json.erase("roll_backs");
  testing::WriteFile(folder_ / "trainer.json", json.dump());
  RunState expected = kState;
  expected.running_loss = 0;
  expected.roll_backs = 0;
  json.erase("micro_batch");
  testing::WriteFile(folder_ / "trainer.json", json.dump());
  expected.division = {};
  ExpectEqual(Read(), expected);
  json.erase("measured");
  testing::WriteFile(folder_ / "trainer.json", json.dump());
  EXPECT_ANY_THROW(Read());
}

TEST_F(RunStateTest, ACheckpointOfOtherDataIsRefused) {
  WriteCheckpoint(folder_, ContentOf(job_.config, model_, optimizer_, kState, {}, "aa11"));
  ExpectEqual(Read("aa11"), kState);
  EXPECT_TRUE(warnings_.empty());
  try {
    Read("bb22");
    FAIL() << "read";
  } catch (const InfraError& e) {  // another worker may have the set that it was
    EXPECT_NE(std::string(e.what()).find("content aa11, and what lies here under that name has the content bb22"),
              std::string::npos)
        << e.what();
  }
}

TEST_F(RunStateTest, WhereTheDataCannotBeComparedItGoesOnAndSaysSo) {
  WriteCheckpoint(folder_, ContentOf(job_.config, model_, optimizer_, kState, {}, "aa11"));
  ExpectEqual(Read(""), kState);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("the set has no fingerprint"), std::string::npos) << warnings_[0];
  WriteCheckpoint(folder_, ContentOf(job_.config, model_, optimizer_, kState));
  ExpectEqual(Read("bb22"), kState);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("the checkpoint has no fingerprint"), std::string::npos) << warnings_[0];
}

// As on the way from a CPU to a GPU, which has a generator of its own.
TEST_F(RunStateTest, ACheckpointOfAnotherKindOfDeviceIsRead) {
  CheckpointContent content = ContentOf(job_.config, model_, optimizer_, kState);
  ASSERT_EQ(content.optimizer.erase("rng.cpu"), 1u);
  WriteCheckpoint(folder_, content);
  ExpectEqual(Read(), kState);
}

TEST_F(RunStateTest, NumbersThatNoRunCanHaveAreRefused) {
  for (const char* place : {"/step", "/tokens", "/cursor/epoch", "/cursor/position", "/roll_backs",
                            "/micro_batch/sequences", "/micro_batch/parts"}) {
    for (const int64_t value : {int64_t{-1}, std::numeric_limits<int64_t>::max()}) {
      if (std::string(place) == "/roll_backs" && value > 0) continue;  // that is only a count
      WriteCheckpoint(folder_, ContentOf(job_.config, model_, optimizer_, kState));
      auto json = nlohmann::json::parse(testing::ReadFile(folder_ / "trainer.json"));
      json[nlohmann::json::json_pointer(place)] = value;
      testing::WriteFile(folder_ / "trainer.json", json.dump());
      EXPECT_THROW(Read(), UserError) << place << " " << value;
    }
  }
}

TEST(RunState, EveryFieldIsShared) {
  Ranks alone;
  ExpectEqual(ShareRunState(alone, at::kCPU, kState), kState);
}

}  // namespace
}  // namespace sink::train
