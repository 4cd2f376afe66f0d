// What pages say of jobs whose coordinator can store nothing.
#include "coordinator/cli/views/views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "coordinator/cli/views/follow.h"
#include "coordinator/cli/views/job_page.h"
#include "coordinator/cli/views/overview.h"

namespace sink::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kStart = 1'700'000'000'000, kSoon = kStart + 100'000;
constexpr char kWarning[] = "the coordinator's disk is full";

// One job that runs and one that has ended.
v1::GetSweepResponse OneRuns(bool disk_full) {
  v1::GetSweepResponse status;
  status.mutable_sweep()->set_name("study");
  for (const v1::JobState state : {v1::RUNNING, v1::SUCCEEDED}) {
    v1::Job* job = status.add_jobs();
    job->set_id(std::string(32, state == v1::RUNNING ? 'a' : 'b'));
    job->set_state(state);
    job->set_attempt(1);
    job->set_started_ms(kStart);
    if (state == v1::SUCCEEDED) job->set_finished_ms(kSoon);
    v1::Progress* progress = job->mutable_progress();
    progress->set_step(state == v1::RUNNING ? 50 : 100);
    progress->set_max_steps(100);
    progress->set_tokens(6'140'000);
    progress->set_tokens_per_second(61'400);
  }
  status.set_disk_full(disk_full);
  if (disk_full) status.add_warnings(kWarning);
  return status;
}

TEST(SweepPage, ShowsNeitherRatesNorEndsWhileTheDiskIsFull) {
  const Page before = SweepPage(OneRuns(false), kSoon), full = SweepPage(OneRuns(true), kSoon);
  EXPECT_EQ(before.document["jobs"][0]["tokens_per_second"], 61'400);
  EXPECT_FALSE(before.document["jobs"][0]["eta_seconds"].is_null());
  EXPECT_FALSE(before.document["totals"]["eta_seconds"].is_null());
  EXPECT_THAT(RenderPage(before, 200, false), HasSubstr("61.4k tokens/s"));
  for (const char* field : {"tokens_per_second", "eta_seconds"}) {
    EXPECT_TRUE(full.document["jobs"][0][field].is_null()) << field;
    EXPECT_TRUE(full.document["totals"][field].is_null()) << field;
    EXPECT_EQ(full.document["jobs"][1][field], before.document["jobs"][1][field]) << field << " of one that has ended";
  }
  EXPECT_THAT(RenderPage(full, 200, false), AllOf(HasSubstr(kWarning), HasSubstr("50/100"), Not(HasSubstr("61.4k"))));
}

TEST(SweepPage, TellsThatAllIsDoneAlsoWhileTheDiskIsFull) {
  v1::GetSweepResponse status = OneRuns(true);
  status.mutable_jobs(0)->set_state(v1::FAILED);
  EXPECT_EQ(SweepPage(status, kSoon).document["totals"]["eta_seconds"], 0);
}

TEST(SweepPage, CountsAJobThatGoesOnForAnotherSweepAsCancelledInACancelledOne) {
  v1::GetSweepResponse status = OneRuns(false);
  v1::Membership* const ours = status.mutable_jobs(0)->add_sweeps();
  ours->set_sweep("study");
  ours->set_withdrawn(true);
  status.mutable_jobs(0)->add_sweeps()->set_sweep("theirs");
  const Page page = SweepPage(status, kSoon);
  EXPECT_EQ(page.document["totals"]["done"], 2);
  EXPECT_EQ(page.document["totals"]["failed"], 1);
  EXPECT_EQ(page.document["totals"]["fraction"], 1);
  EXPECT_EQ(page.document["totals"]["eta_seconds"], 0);
  EXPECT_EQ(page.document["totals"]["tokens_per_second"], 0);
  EXPECT_THAT(RenderPage(page, 200, false),
              AllOf(HasSubstr("2/2 jobs done"), HasSubstr("1 job goes on: sweep theirs")));
  status.mutable_jobs(0)->set_cancel_requested(true);
  EXPECT_EQ(SweepPage(status, kSoon).document["totals"]["done"], 1) << "it is being stopped";
}

TEST(WatchedSweep, KnowsWhetherTheDiskIsFullByTheNewestMessage) {
  WatchedSweep watched;
  EXPECT_TRUE(watched.Take(OneRuns(false)));
  v1::GetSweepResponse news;
  news.set_changed_only(true);
  for (const bool full : {true, false}) {
    news.set_disk_full(full);
    EXPECT_TRUE(watched.Take(news));
    EXPECT_EQ(watched.status().disk_full(), full);
    EXPECT_EQ(watched.status().jobs_size(), 2);
  }
}

TEST(OverviewPage, AWorkerThatWasStoppedIsNeitherThereNorMissing) {
  Overview overview;
  for (const char* state : {"connected", "disconnected", "stopped", "stopped"}) {
    v1::Worker* worker = overview.workers.add_workers();
    worker->set_name(state);
    worker->set_state(state);
    worker->set_devices(4);
  }
  const std::string text = RenderPage(OverviewPage(overview, "head:7070", 10), 200, false);
  EXPECT_THAT(text, AllOf(HasSubstr("1 worker"), HasSubstr("4/4 devices in use"), HasSubstr("1 disconnected")));
}

TEST(OverviewPage, ShowsNoRatesWhileTheDiskIsFull) {
  Overview overview;
  *overview.active.add_jobs() = OneRuns(false).jobs(0);
  EXPECT_THAT(RenderPage(OverviewPage(overview, "head:7070", 10), 200, false), HasSubstr("61.4k"));
  overview.sweeps.set_disk_full(true);
  EXPECT_THAT(RenderPage(OverviewPage(overview, "head:7070", 10), 200, false), Not(HasSubstr("61.4k")));
}

TEST(JobPage, ShowsNeitherRateNorEndWhileTheDiskIsFullAndSaysWhy) {
  v1::GetJobResponse details;
  *details.mutable_job() = OneRuns(false).jobs(0);
  const Page before = JobPage(details, false);
  EXPECT_EQ(before.document["job"]["tokens_per_second"], 61'400);
  EXPECT_THAT(RenderPage(before, 200, false), AllOf(HasSubstr("61.4k tokens/s"), HasSubstr("ETA")));
  details.set_disk_full(true);
  details.add_warnings(kWarning);
  const Page full = JobPage(details, false);
  for (const char* field : {"tokens_per_second", "eta_seconds"}) {
    EXPECT_TRUE(full.document["job"][field].is_null()) << field;
  }
  EXPECT_EQ(full.document["warnings"], Json::array({kWarning}));
  EXPECT_THAT(RenderPage(full, 200, false),
              AllOf(HasSubstr(kWarning), HasSubstr("50 of 100"), Not(HasSubstr("61.4k")), Not(HasSubstr("ETA"))));
}

TEST(JobPage, ShowsTheRateOfAJobThatHasEndedAlsoWhileTheDiskIsFull) {
  v1::GetJobResponse details;
  *details.mutable_job() = OneRuns(true).jobs(1);
  details.set_disk_full(true);
  EXPECT_EQ(JobPage(details, false).document["job"]["tokens_per_second"], 61'400);
}

}  // namespace
}  // namespace sink::cli
