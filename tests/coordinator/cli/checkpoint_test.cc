// Which of a job's checkpoints is the best, and where its loss was measured.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "coordinator/cli/base/exit_codes.h"
#include "tests/coordinator/cli/helpers/cli_fixture.h"

namespace sink::cli {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class CheckpointTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
    StartWorker();
    const std::vector<v1::Grant> grants = TakeJobs();
    ASSERT_EQ(grants.size(), 1u);
    grant_ = grants[0];
  }
  const std::string& id() const { return grant_.lease().job_id(); }
  void Measure(int64_t step, double loss) { Report(grant_, {pipe::Metrics{step, {{"validation_loss/all", loss}}}}); }
  void Save(int64_t step) { SaveCheckpoint(grant_, step, {{"model.safetensors", "xyz"}}); }
  void Damage(int64_t step) {
    std::ofstream(folder_ / "coordinator/checkpoints/" + id() + "/" + std::to_string(grant_.lease().fence()) +
                  "/step-" + std::to_string(step) + "/model.safetensors")
        << "xyy";
  }

  v1::Grant grant_;
};

TEST_F(CheckpointTest, TheBestIsFetched) {
  Measure(50, 2.5);
  Save(50);
  Measure(60, 3.5);
  Save(60);
  const std::string newest = folder_ / "newest", best = folder_ / "best";
  EXPECT_EQ(Sinkctl({"checkpoint", "get", id(), "--out", newest, "--json"}).json()["checkpoint"]["step"], 60);
  EXPECT_EQ(Sinkctl({"checkpoint", "get", id(), "--best", "--out", best, "--json"}).json()["checkpoint"]["step"], 50);
  EXPECT_TRUE(std::filesystem::exists(best + "/model.safetensors"));
  EXPECT_EQ(Sinkctl({"checkpoint", "get", id(), "--best", "--step", "60", "--out", best}).code, kUsage);
  EXPECT_THAT(RunSinkctl({"help", "checkpoint", "get"}).out, HasSubstr("--best"));
  EXPECT_THAT(RunSinkctl({"__complete", "checkpoint", "get", "--b"}).out, HasSubstr("--best\t"));
}

TEST_F(CheckpointTest, WhereTheNewestIsDamagedTheNextOneIsNamed) {
  for (const int64_t step : {50, 60}) Save(step);
  Damage(60);
  const Result result = Sinkctl({"checkpoint", "get", id(), "--out", folder_ / "newest"});
  EXPECT_EQ(result.code, kInternal);
  EXPECT_THAT(result.err, HasSubstr("step 50 is the next one that is not known to be damaged: --step 50"));
  Damage(50);
  EXPECT_THAT(Sinkctl({"checkpoint", "get", id(), "--step", "50", "--out", folder_ / "newest"}).err,
              AllOf(HasSubstr("step 50"), Not(HasSubstr("is the next one"))));
}

TEST_F(CheckpointTest, WhereTheBestIsDamagedTheBestOfTheOthersIsNamed) {
  Measure(40, 2.5);
  Save(40);
  ASSERT_EQ(Sinkctl({"checkpoint", "pin", id(), "--step", "40"}).code, kOk);  // stays with two newer ones
  Measure(50, 3.0);
  Save(50);
  Measure(60, 3.5);
  Save(60);
  Finish(grant_, v1::SUCCEEDED);
  const auto get = [this] { return Sinkctl({"checkpoint", "get", id(), "--best", "--out", folder_ / "best"}).err; };
  Damage(40);
  EXPECT_THAT(get(), HasSubstr("step 50 is the next one that is not known to be damaged: --step 50"));
  Damage(50);
  ASSERT_EQ(Sinkctl({"checkpoint", "verify", id()}).code, kFailedWork);  // finds it out
  EXPECT_THAT(get(), HasSubstr("step 60 is the next one that is not known to be damaged: --step 60"));
}

TEST_F(CheckpointTest, WhereNothingWasMeasuredNoneIsTheBest) {
  Save(50);
  const std::string out = folder_ / "best";
  const Result result = Sinkctl({"checkpoint", "get", id(), "--best", "--out", out});
  EXPECT_EQ(result.code, kNotFound);
  EXPECT_THAT(result.err, HasSubstr("has no best checkpoint: none has a validation loss"));
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(CheckpointTest, AListTellsWhichLossWasMeasuredBeforeTheCheckpoint) {
  const auto list = [this] { return Sinkctl({"checkpoint", "list", id(), "--json"}).json()["checkpoints"]; };
  Save(20);
  EXPECT_TRUE(list()[0]["validation_step"].is_null()) << "nothing was measured";
  Measure(50, 2.5);
  Save(50);
  EXPECT_THAT(Sinkctl({"checkpoint", "list", id()}).out, AllOf(HasSubstr("2.500"), Not(HasSubstr("~"))));
  Save(60);
  EXPECT_EQ(list()[0]["validation_step"], 50);
  EXPECT_EQ(list()[0]["validation_loss"], 2.5);
  EXPECT_EQ(list()[1]["validation_step"], 50);
  const std::string table = Sinkctl({"checkpoint", "list", id()}).out;
  EXPECT_THAT(table, ContainsRegex("60 [^\n]*~2\\.500"));
  EXPECT_THAT(table, ContainsRegex("50 [^\n]* 2\\.500"));
  EXPECT_THAT(table, HasSubstr("~ measured at the last evaluation, before the checkpoint's step"));
}

}  // namespace
}  // namespace sink::cli
