// sinkctl gc: which jobs' curves it thins, what it says of that, and that a dry run changes nothing. Of each curve 256
// points stay.
#include <gmock/gmock.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "coordinator/cli/base/exit_codes.h"
#include "proto/files/files.h"
#include "tests/coordinator/cli/helpers/cli_fixture.h"

namespace sink::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kSteps = 300;

class GcTest : public CliTest {
 protected:
  // Two jobs that have ended, each with a point of its loss for every step and one of its validation loss; the first is
  // the better one.
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(CliTest::SetUp());
    const std::string path = WriteSweep("study", {"1e-3", "2e-3"});
    const std::string text = *files::ReadFile(path, 1 << 16);
    std::ofstream(path) << absl::StrReplaceAll(text, {{"max_steps: 100", absl::StrCat("max_steps: ", kSteps)}});
    ASSERT_EQ(Sinkctl({"submit", path}).code, kOk);
    StartWorker();
    const auto grants = TakeJobs();
    ASSERT_EQ(grants.size(), 2u);
    for (const v1::Grant& grant : grants) {
      const double validation_loss = ids_.empty() ? 1 : 2;
      std::vector<pipe::Event> events;
      for (int step = 1; step <= kSteps; ++step) events.push_back(pipe::Metrics{step, {{"train_loss", 1.0 / step}}});
      events.push_back(pipe::Metrics{kSteps, {{"validation_loss/all", validation_loss}}});
      ASSERT_NO_FATAL_FAILURE(Report(grant, events));
      ASSERT_NO_FATAL_FAILURE(Finish(grant, v1::SUCCEEDED));
      ids_.push_back(grant.lease().job_id());
    }
    absl::SleepFor(absl::Milliseconds(10));  // they ended longer ago than the tests ask for
  }

  // How many points are left of the loss of the job.
  size_t Points(size_t job) {
    return Sinkctl({"metrics", ids_.at(job), "--name", "train_loss", "--json"}).json()["points"].size();
  }

  std::vector<std::string> ids_;  // the best first
};

TEST_F(GcTest, ADryRunSaysWhatWouldGoAndChangesNothing) {
  EXPECT_EQ(Sinkctl({"gc", "--older-than", "1h", "--dry-run", "--json"}).json()["jobs"], 0) << "they ended just now";
  const Json planned = Sinkctl({"gc", "--older-than", "1ms", "--dry-run", "--json"}).json();
  EXPECT_EQ(planned["dry_run"], true);
  EXPECT_EQ(planned["jobs"], 2);
  EXPECT_EQ(planned["points_before"], 602);
  EXPECT_EQ(planned["points_after"], 514);
  EXPECT_THAT(Sinkctl({"gc", "--older-than", "1ms", "--dry-run"}).out,
              AllOf(HasSubstr("2 jobs"), HasSubstr("88 of 602 points would go")));
  EXPECT_EQ(Points(0), 300u);
  EXPECT_EQ(Points(1), 300u);
}

TEST_F(GcTest, TheBestJobsKeepAllAndWhatIsThinnedStaysSo) {
  const Result thinned = Sinkctl({"gc", "--older-than", "1ms", "--keep-best", "1"});
  EXPECT_EQ(thinned.code, kOk) << thinned.err;
  EXPECT_THAT(thinned.out, AllOf(HasSubstr("1 job"), HasSubstr("44 of 301 points are gone")));
  EXPECT_EQ(Points(0), 300u);
  EXPECT_EQ(Points(1), 256u);
  EXPECT_EQ(Sinkctl({"gc", "--older-than", "1ms", "--keep-best", "1", "--json"}).json()["jobs"], 0);
  EXPECT_EQ(Sinkctl({"gc", "--older-than", "1ms", "--json"}).json()["jobs"], 1) << "the best, now";
  EXPECT_EQ(Points(0), 256u);
}

TEST_F(GcTest, AnAgeIsATimeAboveZero) {
  for (const char* age : {"soon", "0d", "-1h", "inf", "30"}) {
    const Result refused = Sinkctl({"gc", std::string("--older-than=") + age});
    EXPECT_EQ(refused.code, kUsage) << age;
    EXPECT_THAT(refused.err, HasSubstr("write a time such as 30d or 12h")) << age;
  }
  EXPECT_EQ(Sinkctl({"gc"}).code, kUsage) << "it thins nothing that nobody named";
  EXPECT_EQ(Points(0), 300u);
}

}  // namespace
}  // namespace sink::cli
