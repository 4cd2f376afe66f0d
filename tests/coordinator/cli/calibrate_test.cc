// `sinkctl calibrate` and the hours that `sinkctl plan` takes from it, against a real coordinator.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "coordinator/cli/base/exit_codes.h"
#include "tests/coordinator/cli/helpers/cli_fixture.h"

namespace sink::cli {
namespace {

using ::testing::HasSubstr;

TEST_F(CliTest, CalibrateLearnsFromJobsThatHaveEndedAndPlanAppliesIt) {
  const std::string sweep = WriteSweep("study", {"1e-3", "4e-4", "2e-4"});
  ASSERT_EQ(Sinkctl({"submit", sweep}).code, kOk);
  const Result early = Sinkctl({"calibrate", "study"});
  EXPECT_EQ(early.code, kRefused);
  EXPECT_THAT(early.err, HasSubstr("sweeps/searches/calibration.yaml"));

  StartWorker();
  const auto grants = TakeJobs();
  ASSERT_EQ(grants.size(), 2u);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  Finish(grants[0], v1::SUCCEEDED);
  Finish(grants[1], v1::FAILED, "the data is damaged");
  const std::string file = folder_ / "speed.json";
  const Json speed = Sinkctl({"calibrate", "study", "--out", file, "--json"}).json();
  EXPECT_EQ(speed["jobs"], 1);  // of the one that failed the time says nothing
  EXPECT_GT(speed["s_per_flop"].get<double>(), 0);

  const Json plan = RunSinkctl({"plan", sweep, "--speed", file, "--slots", "2", "--json"}).json();
  const double seconds = plan["jobs"][0]["seconds"].get<double>();
  EXPECT_GE(seconds, 0.05);
  EXPECT_EQ(plan["totals"]["slots"], 2);
  EXPECT_DOUBLE_EQ(plan["totals"]["seconds"].get<double>(), 2 * seconds);  // three equal jobs, two at a time
  EXPECT_THAT(RunSinkctl({"plan", sweep, "--speed", file}).out, HasSubstr("on 1 device as fast as those"));
  EXPECT_TRUE(RunSinkctl({"plan", sweep, "--json"}).json()["jobs"][0]["seconds"].is_null());
}

TEST_F(CliTest, PlanOfSeveralFilesCountsTheJobsThatTheyShareOnce) {
  const std::string one = WriteSweep("one", {"1e-3", "4e-4"}), two = WriteSweep("two", {"4e-4", "2e-4"});
  const Result result = RunSinkctl({"plan", one, two, "--json"});
  ASSERT_EQ(result.code, kOk) << result.err;
  const Json plan = result.json();
  ASSERT_EQ(plan["sweeps"].size(), 2u);
  EXPECT_EQ(plan["sweeps"][1]["sweep"], "two");
  EXPECT_EQ(plan["sweeps"][1]["different"], 2);
  EXPECT_EQ(plan["together"]["different"], 3);
  EXPECT_EQ(plan["together"]["slots"], 1);
  EXPECT_EQ(2 * plan["together"]["tokens"].get<int64_t>(), 3 * plan["sweeps"][0]["tokens"].get<int64_t>());
  EXPECT_THAT(RunSinkctl({"plan", one, two}).out, HasSubstr("together  3 different jobs"));
  EXPECT_EQ(RunSinkctl({"plan", one, folder_ / "nothing.yaml"}).code, kBadFile);
}

TEST(Plan, RefusesASpeedThatIsNone) {
  const testing::TempDir folder;
  const std::string file = folder / "speed.json";
  EXPECT_EQ(RunSinkctl({"plan", "nothing.yaml", "--speed", file}).code, kBadFile);
  std::ofstream(folder / "sweep.yaml") << "schema: sink/v1\nname: one\nexperiments: [{name: a}]\n";
  const Result missing = RunSinkctl({"plan", folder / "sweep.yaml", "--speed", file});
  EXPECT_EQ(missing.code, kBadFile);
  EXPECT_THAT(missing.err, HasSubstr("speed.json: "));
  std::ofstream(file) << "{}";
  const Result wrong = RunSinkctl({"plan", folder / "sweep.yaml", "--speed", file});
  EXPECT_EQ(wrong.code, kBadFile);
  EXPECT_THAT(wrong.err, HasSubstr("not what `sinkctl calibrate --out` writes"));
}

}  // namespace
}  // namespace sink::cli
