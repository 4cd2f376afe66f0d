// The contract of job_store.h, run against both stores.
#include "coordinator/store/job_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>
#include <cmath>
#include <cstdint>
#include <map>
#include <thread>
#include <tuple>

#include "coordinator/job/status_macros.h"
#include "coordinator/store/job_columns.h"
#include "tests/coordinator/store/job_rows.h"

namespace sink::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class JobStoreContract : public JobRows {};

TEST_P(JobStoreContract, AStudyStaysWithItsSweep) {
  const auto study = [&] { return Get<std::string>([](Snapshot& rows) { return rows.GetStudy("s"); }); };
  EXPECT_EQ(study(), "");
  Must([](Transaction& rows) { return rows.PutStudy("s", "{\"a\":1}"); });
  EXPECT_EQ(study(), "{\"a\":1}");
  Sweep again;
  again.name = "s";
  Must([&](Transaction& rows) { return rows.PutSweep(again); });
  EXPECT_EQ(study(), "{\"a\":1}");
  const absl::Status failed = store_->Write([](Transaction& rows) -> absl::Status {
    SINK_RETURN_IF_ERROR(rows.PutStudy("s", "changed"));
    return absl::AbortedError("");
  });
  EXPECT_FALSE(failed.ok());
  EXPECT_EQ(study(), "{\"a\":1}");
  EXPECT_TRUE(absl::IsNotFound(store_->Write([](Transaction& rows) { return rows.PutStudy("other", "{}"); })));
  EXPECT_TRUE(absl::IsNotFound(store_->Read([](Snapshot& rows) { return rows.GetStudy("other").status(); })));
}

// Every field that a live job can have at once, each with a value of its own.
Job FullJob(Job job) {
  job.generation = 1;
  job.state = JobState::kRunning;
  job.phase = JobState::kRunning;
  job.attempt = 2;
  job.worker = "name";
  job.holder = {77, "lease", "w", "session", 21};
  job.failure_class = FailureClass::kNan;
  job.message = std::string("null \0 byte", 11);
  job.progress = {3, 10, 4096, 12.5, LatestValues::FromMap({{"train_loss", 1.5}})};
  job.event_cursor = 9;
  job.start_step = 2;
  job.restarts_without_progress = 22;
  job.retry_budget = {31, 32, 33, 34};
  job.failures = {35, 36, 37, 38};
  job.devices = 4;
  job.per_worker = 6;
  job.priority = -3;
  job.model = "owner/name";
  job.data_set = "regmix";
  job.data_content = "abc";
  job.max_time_ms = 1000;
  job.stall_ms = 1001;
  job.checkpoints_kept = 23;
  job.checkpoint_period = 24;
  job.cancel_requested = job.timed_out = true;
  job.stop_message = "too slow";
  job.rendezvous = "host:29500";
  job.queued_ms = 11;
  job.started_ms = 12;
  job.finished_ms = 13;
  return job;
}

TEST_P(JobStoreContract, EveryFieldOfAJobReadsBack) {
  Job job = QueuedJob(1);
  job.created_ms = 10;
  Insert(job);
  Update(Lease(GetJob(1), 76));
  job = FullJob(GetJob(1));
  Update(job);
  const auto expect_all = [](const Job& read) {
    EXPECT_EQ(read.id, Id(1));
    EXPECT_EQ(read.home_sweep, "s");
    EXPECT_EQ(read.generation, 1);
    EXPECT_EQ(read.state, JobState::kRunning);
    EXPECT_EQ(read.phase, JobState::kRunning);
    EXPECT_EQ(read.attempt, 2);
    EXPECT_EQ(read.worker, "name");
    EXPECT_EQ(read.holder.fence, 77u);
    EXPECT_EQ(read.holder.lease_id, "lease");
    EXPECT_EQ(read.holder.worker_id, "w");
    EXPECT_EQ(read.holder.session, "session");
    EXPECT_EQ(read.holder.poll, 21u);
    EXPECT_EQ(read.failure_class, FailureClass::kNan);
    EXPECT_EQ(read.message, std::string("null \0 byte", 11));
    EXPECT_EQ(read.progress.step, 3);
    EXPECT_EQ(read.progress.max_steps, 10);
    EXPECT_EQ(read.progress.tokens, 4096);
    EXPECT_EQ(read.progress.tokens_per_second, 12.5);
    EXPECT_EQ(read.progress.latest.ToMap(), (std::map<std::string, double>{{"train_loss", 1.5}}));
    EXPECT_EQ(read.event_cursor, 9u);
    EXPECT_EQ(read.start_step, 2);
    EXPECT_EQ(read.restarts_without_progress, 22);
    EXPECT_EQ(read.retry_budget, (FailureCounts{31, 32, 33, 34}));
    EXPECT_EQ(read.failures, (FailureCounts{35, 36, 37, 38}));
    EXPECT_EQ(read.devices, 4);
    EXPECT_EQ(read.per_worker, 6);
    EXPECT_EQ(read.priority, -3);
    EXPECT_EQ(read.model, "owner/name");
    EXPECT_EQ(read.data_set, "regmix");
    EXPECT_EQ(read.data_content, "abc");
    EXPECT_EQ(read.max_time_ms, 1000);
    EXPECT_EQ(read.stall_ms, 1001);
    EXPECT_EQ(read.checkpoints_kept, 23);
    EXPECT_EQ(read.checkpoint_period, 24);
    EXPECT_FALSE(read.delayed);
    EXPECT_TRUE(read.cancel_requested);
    EXPECT_TRUE(read.timed_out);
    EXPECT_EQ(read.stop_message, "too slow");
    EXPECT_EQ(read.rendezvous, "host:29500");
    EXPECT_EQ(read.created_ms, 10);
    EXPECT_EQ(read.queued_ms, 11);
    EXPECT_EQ(read.started_ms, 12);
    EXPECT_EQ(read.finished_ms, 13);
  };
  expect_all(GetJob(1));
  const auto live = Get<std::vector<Job>>([](Snapshot& rows) { return rows.LiveJobs(); });
  ASSERT_EQ(live.size(), 1u);
  expect_all(live[0]);
  // A listing has what people see.
  const auto listed = Get<std::vector<Job>>([](Snapshot& rows) { return rows.ListJobs({}); });
  ASSERT_EQ(listed.size(), 1u);
  VisitColumns([](const JobColumn& column, const auto& a,
                  const auto& b) { EXPECT_TRUE(!column.is(kListed) || a == b) << column.name; },
               listed[0], job);
}

TEST_P(JobStoreContract, AJobIsInsertedWithEveryField) {
  Job job = FullJob(QueuedJob(1));
  job.state = job.phase = JobState::kQueued;
  job.holder = {0, "lease", "w", "session", 21};
  job.delayed = true;
  job.created_ms = 10;
  Insert(job);
  const Job read = GetJob(1);
  VisitColumns([](const JobColumn& column, const auto& a, const auto& b) { EXPECT_EQ(a, b) << column.name; }, read,
               job);
}

TEST_P(JobStoreContract, AnUpdateLeavesWhatIsWrittenOnce) {
  Job job = QueuedJob(1);
  job.created_ms = 10;
  Insert(job);
  job.created_ms = 99;
  job.home_sweep = "another";
  job.priority = 7;
  Update(job);
  EXPECT_EQ(GetJob(1).created_ms, 10);
  EXPECT_EQ(GetJob(1).home_sweep, "s");
  EXPECT_EQ(GetJob(1).priority, 7);
}

TEST_P(JobStoreContract, ProgressChangesNothingElse) {
  Insert(QueuedJob(1));
  const Job before = GetJob(1);
  Job changed = FullJob(before);
  Must([&](Transaction& rows) { return rows.UpdateProgress(changed); });
  const Job after = GetJob(1);
  VisitColumns([](const JobColumn& column, const auto& read, const auto& old,
                  const auto& given) { EXPECT_EQ(read, column.is(kProgress) ? given : old) << column.name; },
               after, before, changed);
}

TEST_P(JobStoreContract, ABodyThatFailsLeavesNothing) {
  Insert(QueuedJob(1));
  Member({{1, 0}});
  const absl::Status status = store_->Write([&](Transaction& rows) -> absl::Status {
    SINK_RETURN_IF_ERROR(rows.InsertJob(QueuedJob(2), "{}"));
    SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(Id(1)));
    SINK_RETURN_IF_ERROR(rows.UpdateJob(Lease(job, 5)));
    SINK_RETURN_IF_ERROR(rows.SetMemberships("s", {}));
    SINK_RETURN_IF_ERROR(rows.AppendLogs(Id(1), {LogLine{0, 1, 1, "info", "x"}}));
    return absl::AbortedError("changed my mind");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(GetJob(1).state, JobState::kQueued);
  EXPECT_EQ(GetJob(1).sweeps.size(), 1u);
  EXPECT_THAT(Ids({}), ElementsAre(Id(1)));
  EXPECT_THAT(Get<std::vector<LogLine>>([&](Snapshot& rows) { return rows.ListLogs(Id(1), 0, 10); }), IsEmpty());
}

TEST_P(JobStoreContract, ATransactionSeesItsOwnChanges) {
  Must([&](Transaction& rows) -> absl::Status {
    SINK_RETURN_IF_ERROR(rows.InsertJob(QueuedJob(1), "{}"));
    return rows.GetJob(Id(1)).status();
  });
}

TEST_P(JobStoreContract, IllegalTransitionsAreRefused) {
  Insert(QueuedJob(1));
  Job job = GetJob(1);
  job.state = JobState::kSucceeded;
  EXPECT_EQ(store_->Write([&](Transaction& rows) { return rows.UpdateJob(job); }).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(GetJob(1).state, JobState::kQueued);
  EXPECT_EQ(store_->Write([&](Transaction& rows) { return rows.InsertJob(job, "{}"); }).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->Write([&](Transaction& rows) { return rows.InsertJob(QueuedJob(1), "{}"); }).code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_P(JobStoreContract, ALeaseExistsExactlyWhileLive) {
  Insert(QueuedJob(1));
  Job job = Lease(GetJob(1), 0);
  EXPECT_EQ(store_->Write([&](Transaction& rows) { return rows.UpdateJob(job); }).code(),
            absl::StatusCode::kFailedPrecondition);
  job.holder.fence = 3;
  Update(job);
  job.state = JobState::kQueued;
  EXPECT_EQ(store_->Write([&](Transaction& rows) { return rows.UpdateJob(job); }).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_P(JobStoreContract, MissingRowsAreNotFound) {
  auto code = [&](auto get) { return store_->Read([&](Snapshot& rows) { return get(rows).status(); }).code(); };
  EXPECT_EQ(code([](Snapshot& r) { return r.GetJob(Id(9)); }), absl::StatusCode::kNotFound);
  EXPECT_EQ(code([](Snapshot& r) { return r.GetConfig(Id(9)); }), absl::StatusCode::kNotFound);
  EXPECT_EQ(code([](Snapshot& r) { return r.GetSweep("none"); }), absl::StatusCode::kNotFound);
  EXPECT_EQ(code([](Snapshot& r) { return r.GetWorker("none"); }), absl::StatusCode::kNotFound);
  EXPECT_EQ(code([](Snapshot& r) { return r.ListLogs(Id(9), 0, 1); }), absl::StatusCode::kNotFound);
  EXPECT_EQ(code([](Snapshot& r) { return r.ListMetrics(Id(9), {}); }), absl::StatusCode::kNotFound);
  EXPECT_EQ(code([](Snapshot& r) { return r.SampleMetrics(Id(9), {}); }), absl::StatusCode::kNotFound);
  EXPECT_EQ(code([](Snapshot& r) { return r.LastValue(Id(9), "a", 0, 1); }), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->Write([](Transaction& r) { return r.UpdateJob(QueuedJob(9)); }).code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->Write([](Transaction& r) { return r.UpdateProgress(QueuedJob(9)); }).code(),
            absl::StatusCode::kNotFound);
}

TEST_P(JobStoreContract, GangMembersGoWithTheirJob) {
  for (int n : {1, 2}) Insert(QueuedJob(n));
  GangMember member;
  member.job_id = Id(2);
  member.first_rank = 4;
  member.devices = 4;
  member.worker = "node";
  member.holder = {9, "lease", "w", "session", 0};
  GangMember other = member;
  other.job_id = Id(1);
  other.holder.fence = 10;
  Must([&](Transaction& rows) -> absl::Status {
    SINK_RETURN_IF_ERROR(rows.PutMember(member));
    return rows.PutMember(other);
  });
  member.holder.poll = 3;
  member.ended = true;
  member.failure_class = FailureClass::kNan;
  member.message = "why";
  Must([&](Transaction& rows) { return rows.PutMember(member); });
  const auto all = [&] { return Get<std::vector<GangMember>>([](Snapshot& rows) { return rows.LiveMembers(); }); };
  const auto of_job = [&](int n) {
    return Get<std::vector<GangMember>>([&](Snapshot& rows) { return rows.MembersOf(Id(n)); }).size();
  };
  const auto of_worker = [&](const std::string& id) {
    return Get<std::vector<GangMember>>([&](Snapshot& rows) { return rows.LiveMembersOf(id); }).size();
  };
  ASSERT_EQ(all().size(), 2u);
  EXPECT_EQ(all()[0].job_id, Id(1)) << "in submission order";
  EXPECT_EQ(of_job(2), 1u);
  EXPECT_EQ(of_job(7), 0u);
  EXPECT_EQ(of_worker("w"), 2u);
  EXPECT_EQ(of_worker("v"), 0u);
  const GangMember read = all()[1];
  EXPECT_EQ(read.first_rank, 4);
  EXPECT_EQ(read.devices, 4);
  EXPECT_EQ(read.worker, "node");
  EXPECT_EQ(read.lease(2), (sink::Lease{Id(2), 2, 9, "lease"}));
  EXPECT_EQ(read.holder.worker_id, "w");
  EXPECT_EQ(read.holder.session, "session");
  EXPECT_EQ(read.holder.poll, 3u);
  EXPECT_TRUE(read.ended);
  EXPECT_EQ(read.failure_class, FailureClass::kNan);
  EXPECT_EQ(read.message, "why");
  Must([&](Transaction& rows) { return rows.DeleteMembers(Id(2)); });
  Must([&](Transaction& rows) { return rows.DeleteMembers(Id(2)); });
  EXPECT_EQ(all().size(), 1u);
  EXPECT_TRUE(absl::IsNotFound(store_->Write([&](Transaction& rows) {
    other.job_id = Id(3);
    return rows.PutMember(other);
  })));
}

TEST_P(JobStoreContract, ASweepThatWithdrawsItsWishKeepsTheJobsPlaces) {
  for (int n = 1; n <= 2; ++n) Insert(QueuedJob(n));
  Member({{1, 0}, {2, 1}, {1, 2}});
  ASSERT_TRUE(store_->Write([](Transaction& rows) { return rows.SetWithdrawn("s", Id(1), true); }).ok());
  JobQuery query;
  query.sweep = "s";
  const auto listed = Get<std::vector<Job>>([&](Snapshot& rows) { return rows.ListJobs(query); });
  ASSERT_EQ(listed.size(), 2u);
  for (const Job& job : {GetJob(1), listed[0]}) {
    ASSERT_EQ(job.sweeps.size(), 2u);
    EXPECT_TRUE(job.sweeps[0].withdrawn && job.sweeps[1].withdrawn);
  }
  EXPECT_FALSE(GetJob(2).sweeps[0].withdrawn);
  Member({{1, 0}});
  EXPECT_FALSE(GetJob(1).sweeps[0].withdrawn);
}

TEST_P(JobStoreContract, AListOfASweepTellsOfOtherSweepsPlacesOnlyWhenItIsAsked) {
  for (int n = 1; n <= 2; ++n) Insert(QueuedJob(n));
  Member({{1, 0}, {2, 1}, {1, 2}});
  Sweep before;
  before.name = "a";  // by its name it comes first
  Must([&](Transaction& rows) { return rows.PutSweep(before); });
  Must([](Transaction& rows) { return rows.SetMemberships("a", {{Id(1), Membership{"a", "e", "l", 0}}}); });
  JobQuery query;
  query.sweep = "s";
  const Membership own{"s", "e", "l", 0}, further{"s", "e", "l", 2}, other{"a", "e", "l", 0};
  const auto list = [&] { return Get<std::vector<Job>>([&](Snapshot& rows) { return rows.ListJobs(query); }); };
  EXPECT_THAT(list()[0].sweeps, ElementsAre(own, further));
  query.places = true;
  EXPECT_THAT(list()[0].sweeps, ElementsAre(own, further, other));
  EXPECT_THAT(list()[1].sweeps, ElementsAre(Membership{"s", "e", "l", 1}));
  query.sweep.clear();
  EXPECT_THAT(list()[0].sweeps, ElementsAre(other, own, further));
}

TEST_P(JobStoreContract, AJobThatItsHomeDoesNotWantMovesToTheOldestSweepThatDoes) {
  for (int n = 1; n <= 2; ++n) Insert(QueuedJob(n));
  Member({{1, 0}, {2, 1}});
  const auto want = [this](const std::string& sweep) {
    Must([&](Transaction& rows) { return rows.SetMemberships(sweep, {{Id(1), Membership{sweep, "e", "l", 0}}}); });
    return GetJob(1).home_sweep;
  };
  const auto withdraw = [this](const std::string& sweep, bool withdrawn) {
    Must([&](Transaction& rows) { return rows.SetWithdrawn(sweep, Id(1), withdrawn); });
    return GetJob(1).home_sweep;
  };
  Sweep later;
  for (const char* name : {"old", "new"}) {
    later.name = name;
    later.created_ms += 10;
    Must([&](Transaction& rows) { return rows.PutSweep(later); });
    EXPECT_EQ(want(name), "s");
  }
  EXPECT_EQ(withdraw("s", true), "old");
  EXPECT_EQ(withdraw("s", false), "old") << "which wants it still";
  EXPECT_EQ(withdraw("s", true), "old");
  EXPECT_EQ(withdraw("new", true), "old");
  EXPECT_EQ(withdraw("old", true), "old") << "nobody wants it";
  EXPECT_EQ(withdraw("new", false), "new");
  std::vector<std::tuple<std::string, std::string>> queues;
  for (const QueueHead& head : Get<std::vector<QueueHead>>([](Snapshot& rows) { return rows.QueueHeads(); }))
    queues.emplace_back(head.sweep, head.job_id);
  EXPECT_THAT(queues, ElementsAre(std::tuple("new", Id(1)), std::tuple("s", Id(2))));
  Must([](Transaction& rows) { return rows.SetMemberships("new", {}); });
  EXPECT_EQ(GetJob(1).home_sweep, "new") << "which has left it to run, and nobody wants it";
  EXPECT_EQ(withdraw("new", true), "new") << "where it has no place";
  EXPECT_EQ(withdraw("old", true), "new");
  Must([](Transaction& rows) { return rows.LeaveSweep("old", Id(1)); });
  EXPECT_EQ(GetJob(1).home_sweep, "new");
  Must([](Transaction& rows) { return rows.LeaveSweep("new", Id(1)); });
  EXPECT_EQ(GetJob(1).home_sweep, "s") << "the oldest that has it";
  EXPECT_EQ(want("new"), "new");
  EXPECT_EQ(withdraw("s", false), "new");
  Must([](Transaction& rows) { return rows.SetMemberships("new", {}); });
  EXPECT_EQ(GetJob(1).home_sweep, "s") << "which wants it";
  EXPECT_EQ(GetJob(2).home_sweep, "s");
}

TEST_P(JobStoreContract, CountsFollowStatesAndMemberships) {
  for (int n = 1; n <= 3; ++n) Insert(QueuedJob(n));
  Member({{1, 0}, {2, 1}, {1, 2}});  // job 1 twice
  Update(Lease(GetJob(1), 1));
  Sweep sweep = Get<Sweep>([](Snapshot& rows) { return rows.GetSweep("s"); });
  EXPECT_EQ(sweep.jobs, 2);
  EXPECT_THAT(sweep.jobs_by_state, ElementsAre(std::pair(JobState::kQueued, 1), std::pair(JobState::kLeased, 1)));
  Member({{3, 0}});
  sweep = Get<Sweep>([](Snapshot& rows) { return rows.GetSweep("s"); });
  EXPECT_THAT(sweep.jobs_by_state, ElementsAre(std::pair(JobState::kQueued, 1)));
  const auto all = Get<std::vector<std::pair<JobState, int64_t>>>([](Snapshot& rows) { return rows.CountJobs(); });
  ASSERT_EQ(all.size(), kAllJobStates.size());
  EXPECT_EQ(all[0], std::pair(JobState::kQueued, int64_t{2}));
  EXPECT_EQ(all[1], std::pair(JobState::kLeased, int64_t{1}));
}

TEST_P(JobStoreContract, ListsSweepsInExpansionOrderWithPages) {
  for (int n = 1; n <= 4; ++n) Insert(QueuedJob(n));
  Member({{3, 0}, {1, 1}, {3, 2}, {2, 3}});
  EXPECT_THAT(Ids({}), ElementsAre(Id(1), Id(2), Id(3), Id(4)));
  JobQuery query;
  query.limit = 2;
  EXPECT_THAT(Ids(query), ElementsAre(Id(1), Id(2)));
  query.after = Id(2);
  EXPECT_THAT(Ids(query), ElementsAre(Id(3), Id(4)));
  query = {};
  query.sweep = "s";
  EXPECT_THAT(Ids(query), ElementsAre(Id(3), Id(1), Id(2)));
  const auto jobs = Get<std::vector<Job>>([&](Snapshot& rows) { return rows.ListJobs(query); });
  EXPECT_THAT(jobs[0].sweeps, ElementsAre(Membership{"s", "e", "l", 0}, Membership{"s", "e", "l", 2}));
  query.after = Id(3);
  query.limit = 1;
  EXPECT_THAT(Ids(query), ElementsAre(Id(1)));
  Update(Lease(GetJob(2), 1));
  query = {};
  query.sweep = "s";
  query.states = {JobState::kLeased};
  EXPECT_THAT(Ids(query), ElementsAre(Id(2)));
  EXPECT_THAT(Get<std::vector<std::string>>([](Snapshot& rows) { return rows.FindJobs("0000000"); }),
              ElementsAre(Id(1), Id(2)));
}

TEST_P(JobStoreContract, WhoReadsPointsThatAreThinnedMeanwhileIsToldToBeginAnew) {
  Insert(QueuedJob(1));
  std::vector<MetricPoint> points;
  for (int64_t step = 1; step <= 5000; ++step) points.push_back({0, "a", step, 1.0 / static_cast<double>(step), 1});
  Must([&](Transaction& rows) { return rows.PutMetrics(Id(1), points); });
  const auto read = [&](int64_t after, int limit) {
    MetricQuery page;
    page.after = after;
    page.limit = limit;
    return Get<std::vector<MetricPoint>>([&](Snapshot& rows) { return rows.ListMetrics(Id(1), page); });
  };
  const std::vector<MetricPoint> all = read(0, 10'000);
  ASSERT_EQ(all.size(), 5000u);
  EXPECT_EQ(read(all[1999].id, 2000).front().step, 2001);
  Must([](Transaction& rows) { return rows.ThinMetrics(Id(1), 256, INT64_MAX).status(); });
  for (const size_t read_to : {0, 1999, 4999}) {
    MetricQuery rest;
    rest.after = all[read_to].id;
    const auto list = [&](Snapshot& rows) { return rows.ListMetrics(Id(1), rest).status(); };
    EXPECT_EQ(store_->Read(list).code(), absl::StatusCode::kAborted) << read_to;
  }
  const std::vector<MetricPoint> left = read(0, 10'000);
  ASSERT_EQ(left.size(), 256u);
  EXPECT_EQ(left.back().step, 5000);
  EXPECT_GT(left.front().id, all.back().id) << "no place comes back";
  const auto sample = Get<MetricSample>([](Snapshot& rows) { return rows.SampleMetrics(Id(1), {}); });
  EXPECT_EQ(sample.points.size(), 256u);
  EXPECT_EQ(sample.last, left.back().id);
  Must([](Transaction& rows) { return rows.PutMetrics(Id(1), {{0, "a", 5001, 0.5, 2}}); });
  const std::vector<MetricPoint> later = read(sample.last, 10'000);
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0].step, 5001);
}

TEST_P(JobStoreContract, WhatWasMeasuredAfterAStepGoesAndTellsItsReadersToBeginAnew) {
  Insert(QueuedJob(1));
  const auto thin = [&](int64_t last_step) {
    Thinned thinned;
    Must([&](Transaction& rows) -> absl::Status {
      SINK_ASSIGN_OR_RETURN(thinned, rows.ThinMetrics(Id(1), INT_MAX, last_step));
      return absl::OkStatus();
    });
    return thinned;
  };
  const auto read = [&] {
    return Get<std::vector<MetricPoint>>([](Snapshot& rows) { return rows.ListMetrics(Id(1), {}); });
  };
  Must([](Transaction& rows) -> absl::Status {
    SINK_RETURN_IF_ERROR(rows.PutMetrics(
        Id(1),
        {{0, "a", 1, 0.5, 1}, {0, "b", 1, 7, 1}, {0, "a", 2, 0.25, 1}, {0, "a", 3, 0.125, 1}, {0, "c", 3, 9, 1}}));
    SINK_RETURN_IF_ERROR(rows.PutHeatmap(Id(1), {"h", 1, 1, 2, 3, {1, 2, 3, 4, 5, 6}}));
    SINK_RETURN_IF_ERROR(rows.PutHeatmap(Id(1), {"h", 3, 1, 1, 1, {0.5}}));
    return absl::OkStatus();
  });
  const std::vector<MetricPoint> all = read();
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(thin(3).points_after, 5) << "there is nothing after it";
  EXPECT_EQ(read().back().id, all.back().id);

  const Thinned back = thin(2);
  EXPECT_EQ(back.points_before, 5);
  EXPECT_EQ(back.points_after, 3);
  EXPECT_EQ(back.newest, (std::map<std::string, double>{{"a", 0.25}, {"b", 7}}));
  EXPECT_THAT(back.map_cells, ElementsAre(6));
  EXPECT_EQ(read().size(), 3u);
  EXPECT_EQ(Get<std::vector<Heatmap>>([](Snapshot& rows) { return rows.ListHeatmaps(Id(1)); }).size(), 1u);
  EXPECT_TRUE(thin(0).newest.empty());
  EXPECT_TRUE(read().empty());
  EXPECT_TRUE(Get<MetricSample>([](Snapshot& rows) { return rows.SampleMetrics(Id(1), {}); }).points.empty());

  Must([](Transaction& rows) { return rows.PutMetrics(Id(1), {{0, "a", 1, 0.75, 2}}); });
  ASSERT_EQ(read().size(), 1u);
  EXPECT_GT(read()[0].id, all.back().id) << "who has read all of the old ones takes no new one for one of them";
  MetricQuery rest;
  rest.after = all[0].id;
  const auto list = [&](Snapshot& rows) { return rows.ListMetrics(Id(1), rest).status(); };
  EXPECT_EQ(store_->Read(list).code(), absl::StatusCode::kAborted);
}

TEST_P(JobStoreContract, APointIsReplacedInPlaceAndKeepsItsId) {
  Insert(QueuedJob(1));
  auto put = [&](std::vector<MetricPoint> points) {
    Must([&](Transaction& rows) { return rows.PutMetrics(Id(1), points); });
  };
  put({{0, "a", 1, 0.5, 1}, {0, "a", 2, std::nan(""), 1}, {0, "b/x", 1, -HUGE_VAL, 1}});
  put({{0, "a", 1, 0.75, 2}});
  const auto points = Get<std::vector<MetricPoint>>([](Snapshot& rows) { return rows.ListMetrics(Id(1), {}); });
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[0].value, 0.75);
  EXPECT_EQ(points[0].attempt, 2);
  EXPECT_TRUE(std::isnan(points[1].value));
  EXPECT_EQ(points[2].value, -HUGE_VAL);
  EXPECT_LT(points[0].id, points[1].id);
  MetricQuery query;
  query.names = {"b/*"};
  EXPECT_EQ(Get<std::vector<MetricPoint>>([&](Snapshot& rows) { return rows.ListMetrics(Id(1), query); }).size(), 1u);
  query = {};
  query.after = points[0].id;
  query.from_step = 2;
  EXPECT_EQ(Get<std::vector<MetricPoint>>([&](Snapshot& rows) { return rows.ListMetrics(Id(1), query); }).size(), 1u);
}

TEST_P(JobStoreContract, ChildRowsReadBack) {
  Insert(QueuedJob(1));
  Attempt attempt;
  attempt.job_id = Id(1);
  attempt.attempt = 2;
  attempt.fence = 9;
  attempt.message = "m";
  attempt.state = AttemptState::kFailed;
  Checkpoint checkpoint{Id(1), 10, 2, 9, "hash", {{"a.bin", 5, "x"}, {"b", 6, "y"}}, 1};
  Worker worker;
  worker.id = "w";
  worker.name = "node";
  worker.devices = 3;
  Must([&](Transaction& rows) -> absl::Status {
    SINK_RETURN_IF_ERROR(rows.PutAttempt(attempt));
    SINK_RETURN_IF_ERROR(rows.PutCheckpoint(checkpoint));
    checkpoint.step = 20;
    SINK_RETURN_IF_ERROR(rows.PutCheckpoint(checkpoint));
    SINK_RETURN_IF_ERROR(rows.PutHeatmap(Id(1), {"alpha/1", 5, 1, 1, 2, {0.25, 0.75}}));
    SINK_RETURN_IF_ERROR(rows.AppendLogs(Id(1), {{0, 1, 1, "info", "one"}, {0, 2, 1, "info", "two"}}));
    SINK_RETURN_IF_ERROR(rows.PutWorker(worker));
    SINK_RETURN_IF_ERROR(rows.PutRequest({"r", "h", "answer"}));
    return rows.SetEpoch(7);
  });
  Must([&](Transaction& rows) { return rows.DeleteCheckpoint(Id(1), 10); });
  EXPECT_EQ(Get<Attempt>([](Snapshot& rows) { return rows.GetAttempt(Id(1), 2); }).message, "m");
  const auto checkpoints = Get<std::vector<Checkpoint>>([](Snapshot& rows) { return rows.ListCheckpoints(Id(1)); });
  ASSERT_EQ(checkpoints.size(), 1u);
  EXPECT_EQ(checkpoints[0].files, checkpoint.files);
  const auto heatmaps = Get<std::vector<Heatmap>>([](Snapshot& rows) { return rows.ListHeatmaps(Id(1)); });
  ASSERT_EQ(heatmaps.size(), 1u);
  EXPECT_THAT(heatmaps[0].values, ElementsAre(0.25, 0.75));
  const auto before_tail = [&](int lines) {
    return Get<int64_t>([lines](Snapshot& rows) { return rows.CursorBeforeTail(Id(1), lines); });
  };
  for (const int all : {2, 3}) EXPECT_EQ(before_tail(all), 0) << all;
  const int64_t before_last = before_tail(1);
  const auto tail = Get<std::vector<LogLine>>([&](Snapshot& rows) { return rows.ListLogs(Id(1), before_last, 9); });
  ASSERT_EQ(tail.size(), 1u);
  EXPECT_EQ(tail[0].text, "two");
  EXPECT_THAT(Get<std::vector<LogLine>>([&](Snapshot& rows) { return rows.ListLogs(Id(1), tail[0].cursor, 9); }),
              IsEmpty());
  EXPECT_EQ(Get<Worker>([](Snapshot& rows) { return rows.GetWorker("w"); }).name, "node");
  EXPECT_EQ(Get<std::optional<RequestRecord>>([](Snapshot& rows) { return rows.FindRequest("r"); })->response,
            "answer");
  EXPECT_EQ(Get<uint64_t>([](Snapshot& rows) { return rows.GetEpoch(); }), 7u);
  EXPECT_EQ(Get<std::string>([](Snapshot& rows) { return rows.GetConfig(Id(1)); }), "{\"job\":\"" + Id(1) + "\"}");
}

TEST_P(JobStoreContract, ItIsKnownWhetherAnyJobHasACheckpoint) {
  const auto has = [this] { return Get<bool>([](Snapshot& rows) { return rows.HasCheckpoints(); }); };
  Insert(QueuedJob(1));
  EXPECT_FALSE(has());
  Must([](Transaction& rows) { return rows.PutCheckpoint({Id(1), 10, 1, 9, "hash", {{"a.bin", 5, "x"}}, 1}); });
  EXPECT_TRUE(has());
  Must([](Transaction& rows) { return rows.DeleteCheckpoint(Id(1), 10); });
  EXPECT_FALSE(has());
}

TEST_P(JobStoreContract, ASweepHasSavedOnceAJobThatItHasNowHas) {
  const auto saved = [this](const std::string& sweep) {
    return Get<bool>([&](Snapshot& rows) { return rows.HasSaved(sweep); });
  };
  const auto put = [this](int job) {
    Must([job](Transaction& rows) { return rows.PutCheckpoint({Id(job), 10, 1, 9, "hash", {{"a.bin", 5, "x"}}, 1}); });
  };
  Insert(QueuedJob(1));
  Insert(QueuedJob(2));
  Insert(QueuedJob(3));
  Member({{1, 0}, {2, 1}, {2, 2}});
  put(3);
  EXPECT_FALSE(saved("s")) << "that job has no place in it";
  put(2);
  EXPECT_TRUE(saved("s"));
  Must([](Transaction& rows) { return rows.DeleteCheckpoint(Id(2), 10); });
  EXPECT_TRUE(saved("s")) << "it has been shown that it can";
  Member({{1, 0}});
  EXPECT_FALSE(saved("s")) << "what it has now has shown nothing";
  Member({{1, 0}, {3, 1}});
  EXPECT_TRUE(saved("s")) << "a job comes with its checkpoints";

  const auto put_other = [this] {
    Sweep other;
    other.name = "t";
    Must([&](Transaction& rows) { return rows.PutSweep(other); });
  };
  put_other();
  Must([](Transaction& rows) { return rows.SetMemberships("t", {{Id(3), {"t", "e", "l", 0}}}); });
  EXPECT_TRUE(saved("t"));
  Must([](Transaction& rows) { return rows.LeaveSweep("t", Id(3)); });
  Must([](Transaction& rows) { return rows.DeleteSweep("t"); });
  put_other();
  EXPECT_FALSE(saved("t")) << "another sweep of that name begins anew";
  EXPECT_TRUE(saved("s"));
}

TEST_P(JobStoreContract, ACheckpointWrittenAnewKeepsItsPin) {
  Insert(QueuedJob(1));
  const auto stored = [this] {
    return Get<std::vector<Checkpoint>>([](Snapshot& rows) { return rows.ListCheckpoints(Id(1)); });
  };
  Checkpoint checkpoint{Id(1), 10, 1, 9, "hash", {{"a.bin", 5, "x"}}, 1};
  checkpoint.pinned = true;  // which is not said here
  Must([&](Transaction& rows) { return rows.PutCheckpoint(checkpoint); });
  ASSERT_EQ(stored().size(), 1u);
  EXPECT_FALSE(stored()[0].pinned);
  EXPECT_TRUE(std::isnan(stored()[0].validation_loss));
  Must([&](Transaction& rows) { return rows.PinCheckpoint(Id(1), 10, true); });
  checkpoint.pinned = false;
  checkpoint.manifest_hash = "another";
  checkpoint.validation_loss = 2.5;
  Must([&](Transaction& rows) { return rows.PutCheckpoint(checkpoint); });
  EXPECT_TRUE(stored()[0].pinned);
  EXPECT_EQ(stored()[0].manifest_hash, "another");
  EXPECT_EQ(stored()[0].validation_loss, 2.5);
  Must([&](Transaction& rows) { return rows.PinCheckpoint(Id(1), 20, true); });
  EXPECT_EQ(stored().size(), 1u) << "a pin makes no checkpoint";
  Must([&](Transaction& rows) { return rows.PinCheckpoint(Id(1), 10, false); });
  EXPECT_FALSE(stored()[0].pinned);
}

TEST_P(JobStoreContract, TheLastValueOfACurveIsThatOfItsLastStepInTheRange) {
  Insert(QueuedJob(1));
  const auto last = [this](const std::string& name, int64_t after, int64_t until) {
    return Get<std::optional<double>>([&](Snapshot& rows) { return rows.LastValue(Id(1), name, after, until); });
  };
  EXPECT_EQ(last("loss", -1, 100), std::nullopt);
  Must([&](Transaction& rows) {
    return rows.PutMetrics(Id(1), {{0, "loss", 0, 9.0, 1}, {0, "other", 5, 1.0, 1}, {0, "loss", 10, 8.0, 1}});
  });
  // A later attempt begins before that, measures other steps, and repeats one.
  Must([&](Transaction& rows) { return rows.PutMetrics(Id(1), {{0, "loss", 5, 7.0, 2}, {0, "loss", 10, 6.0, 2}}); });
  EXPECT_EQ(last("loss", -1, 4), 9.0);
  EXPECT_EQ(last("loss", 0, 4), std::nullopt) << "the range begins after its first step";
  EXPECT_EQ(last("loss", 0, 9), 7.0);
  EXPECT_EQ(last("loss", 0, 10), 6.0) << "it ends with its last";
  EXPECT_EQ(last("loss", 10, 100), std::nullopt);
  EXPECT_EQ(last("lo", -1, 100), std::nullopt);
}

TEST_P(JobStoreContract, AWorkerThatHasRetiredIsInTheListOfAllAlone) {
  Worker worker;
  worker.id = "w";
  worker.name = "node";
  Must([&](Transaction& rows) { return rows.PutWorker(worker); });
  Must([&](Transaction& rows) { return rows.RetireWorker("w"); });
  Must([&](Transaction& rows) { return rows.RetireWorker("nobody"); });
  const auto current = [&] { return Get<std::vector<Worker>>([](Snapshot& rows) { return rows.ListWorkers(); }); };
  const auto all = [&] { return Get<std::vector<Worker>>([](Snapshot& rows) { return rows.ListAllWorkers(); }); };
  EXPECT_THAT(current(), IsEmpty());
  EXPECT_EQ(all().size(), 1u);
  EXPECT_TRUE(absl::IsNotFound(store_->Read([](Snapshot& rows) { return rows.GetWorker("w").status(); })));
  Must([&](Transaction& rows) { return rows.PutWorker(worker); });
  EXPECT_EQ(current().size(), 1u);
  EXPECT_EQ(all().size(), 1u);
}

TEST_P(JobStoreContract, ConcurrentBodiesRunOneAfterAnother) {
  Insert(QueuedJob(1));
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        const absl::Status status = store_->Write([](Transaction& rows) -> absl::Status {
          SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(Id(1)));
          ++job.progress.step;
          return rows.UpdateProgress(job);
        });
        EXPECT_TRUE(status.ok()) << status;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(GetJob(1).progress.step, 200);
}

TEST_P(JobStoreContract, ASweepKeepsItsPolicy) {
  Sweep sweep;
  sweep.name = "s";
  sweep.policy = {.stop_metric = "loss",
                  .stop_maximize = true,
                  .stop_first_rung = 1000,
                  .stop_eta = 4,
                  .canary = true,
                  .max_failed = 0};
  Must([&](Transaction& rows) { return rows.PutSweep(sweep); });
  EXPECT_EQ(Get<Sweep>([](Snapshot& rows) { return rows.GetSweep("s"); }).policy, sweep.policy);
  EXPECT_EQ(Get<std::vector<Sweep>>([](Snapshot& rows) { return rows.ListSweeps(); })[0].policy, sweep.policy);
}

TEST_P(JobStoreContract, ASweepKeepsItsGenerationWhenItIsPutAgain) {
  Sweep sweep;
  sweep.name = "s";
  Must([&](Transaction& rows) { return rows.PutSweep(sweep); });
  Must([](Transaction& rows) { return rows.SetGeneration("s", 7); });
  Must([](Transaction& rows) { return rows.SetGeneration("nosuch", 8); });
  Must([&](Transaction& rows) { return rows.PutSweep(sweep); });
  EXPECT_EQ(Get<Sweep>([](Snapshot& rows) { return rows.GetSweep("s"); }).generation, 7);
  EXPECT_EQ(Get<std::vector<Sweep>>([](Snapshot& rows) { return rows.ListSweeps(); })[0].generation, 7);
}

TEST_P(JobStoreContract, AJobKeepsWhatItWasSubmittedWith) {
  Job job = QueuedJob(1);
  job.stall_ms = 7;
  job.checkpoints_kept = 3;
  job.checkpoint_period = 500;
  Insert(job);
  job.stop_message = "enough";
  Update(job);
  const Job stored = Get<Job>([](Snapshot& rows) { return rows.GetJob(Id(1)); });
  EXPECT_EQ(stored.stall_ms, 7);
  EXPECT_EQ(stored.checkpoints_kept, 3);
  EXPECT_EQ(stored.checkpoint_period, 500);
  EXPECT_EQ(stored.stop_message, "enough");
}

TEST_P(JobStoreContract, AJobIsAtARungOnceAndRungsAreListedByJobAndByStep) {
  Insert(QueuedJob(1));
  Insert(QueuedJob(2));
  const RungResult first{"s", 10, Id(1), 0.5, 1, 1, false}, second{"s", 10, Id(2), NAN, 2, 2, true},
      third{"s", 30, Id(1), 0.25, 1, 1, false};
  for (const RungResult& result : {third, second, first}) {
    Must([&](Transaction& rows) { return rows.InsertRung(result); });
  }
  EXPECT_EQ(store_->Write([&](Transaction& rows) { return rows.InsertRung(first); }).code(),
            absl::StatusCode::kAlreadyExists);
  const auto rung = Get<std::vector<RungResult>>([](Snapshot& rows) { return rows.ListRung("s", 10); });
  ASSERT_EQ(rung.size(), 2u);
  EXPECT_EQ(rung[0], first);
  EXPECT_TRUE(std::isnan(rung[1].value) && rung[1].stopped);
  EXPECT_THAT(Get<std::vector<RungResult>>([](Snapshot& rows) { return rows.ListRungsOf(Id(1)); }),
              ElementsAre(first, third));
}

TEST_P(JobStoreContract, NamesOfHeatMapsComeOnceEachInOrder) {
  for (int n = 1; n <= 2; ++n) Insert(QueuedJob(n));
  const auto names = [this](int n) {
    return Get<std::vector<std::string>>([n](Snapshot& rows) { return rows.HeatmapNames(Id(n)); });
  };
  EXPECT_THAT(names(1), IsEmpty());
  Must([&](Transaction& rows) -> absl::Status {
    for (const char* name : {"b", "a", "b/1"})
      for (int64_t step = 1; step <= 3; ++step)
        SINK_RETURN_IF_ERROR(rows.PutHeatmap(Id(1), {name, step, 1, 1, 2, {0.25, 0.75}}));
    return rows.PutHeatmap(Id(2), {"c", 1, 1, 1, 1, {1.0}});
  });
  EXPECT_THAT(names(1), ElementsAre("a", "b", "b/1"));
  EXPECT_THAT(names(2), ElementsAre("c"));
}

TEST_P(JobStoreContract, ADeletedJobLeavesNothingAndItsIdIsFree) {
  for (int n = 1; n <= 2; ++n) Insert(QueuedJob(n));
  Member({{1, 0}, {2, 1}});
  Attempt attempt;
  attempt.job_id = Id(1);
  attempt.attempt = 1;
  attempt.fence = 9;
  attempt.state = AttemptState::kFailed;
  Must([&](Transaction& rows) -> absl::Status {
    SINK_RETURN_IF_ERROR(rows.PutAttempt(attempt));
    SINK_RETURN_IF_ERROR(rows.PutCheckpoint({Id(1), 10, 1, 9, "hash", {{"a.bin", 5, "x"}}, 1}));
    SINK_RETURN_IF_ERROR(rows.PutMetrics(Id(1), {{0, "train_loss", 1, 2.5, 1}}));
    SINK_RETURN_IF_ERROR(rows.PutHeatmap(Id(1), {"alpha/1", 5, 1, 1, 2, {0.25, 0.75}}));
    SINK_RETURN_IF_ERROR(rows.AppendLogs(Id(1), {{0, 1, 1, "info", "one"}}));
    return rows.InsertRung({"s", 10, Id(1), 0.5, 1, 1, false});
  });
  const auto erase = [&](const std::string& id) {
    return store_->Write([&](Transaction& rows) { return rows.DeleteJob(id); }).code();
  };
  EXPECT_EQ(erase(Id(1)), absl::StatusCode::kFailedPrecondition) << "it has not ended";
  Job ended = GetJob(1);
  ended.state = JobState::kCancelled;
  Update(ended);
  EXPECT_EQ(erase(Id(1)), absl::StatusCode::kFailedPrecondition) << "a sweep has it";
  Must([&](Transaction& rows) { return rows.LeaveSweep("s", Id(1)); });
  EXPECT_EQ(erase(Id(1)), absl::StatusCode::kOk);
  EXPECT_EQ(erase(Id(1)), absl::StatusCode::kNotFound);
  const auto deleted = [this] {
    return Get<std::vector<DeletedJob>>([](Snapshot& rows) { return rows.ListDeletedJobs(); });
  };
  EXPECT_THAT(deleted(), ElementsAre(DeletedJob{Id(1), attempt.fence}));
  Must([&](Transaction& rows) { return rows.ForgetDeletedJob({Id(1), attempt.fence - 1}); });
  EXPECT_EQ(deleted().size(), 1u) << "it was run again since";
  Must([&](Transaction& rows) { return rows.ForgetDeletedJob({Id(1), attempt.fence}); });
  EXPECT_THAT(deleted(), IsEmpty());

  EXPECT_EQ(Get<Sweep>([](Snapshot& rows) { return rows.GetSweep("s"); }).jobs, 1);
  const auto all = Get<std::vector<std::pair<JobState, int64_t>>>([](Snapshot& rows) { return rows.CountJobs(); });
  EXPECT_EQ(all[0], std::pair(JobState::kQueued, int64_t{1}));
  EXPECT_EQ(all.back(), std::pair(JobState::kCancelled, int64_t{0}));
  EXPECT_THAT(Get<std::vector<RungResult>>([](Snapshot& rows) { return rows.ListRung("s", 10); }), IsEmpty());
  Insert(QueuedJob(1));
  EXPECT_THAT(Get<std::vector<Attempt>>([](Snapshot& rows) { return rows.ListAttempts(Id(1)); }), IsEmpty());
  EXPECT_THAT(Get<std::vector<Checkpoint>>([](Snapshot& rows) { return rows.ListCheckpoints(Id(1)); }), IsEmpty());
  EXPECT_THAT(Get<std::vector<MetricPoint>>([](Snapshot& rows) { return rows.ListMetrics(Id(1), {}); }), IsEmpty());
  EXPECT_THAT(Get<std::vector<Heatmap>>([](Snapshot& rows) { return rows.ListHeatmaps(Id(1)); }), IsEmpty());
  EXPECT_THAT(Get<std::vector<LogLine>>([](Snapshot& rows) { return rows.ListLogs(Id(1), 0, 9); }), IsEmpty());
}

TEST_P(JobStoreContract, TellsWhichJobsOfAHomeHaveNotEnded) {
  for (const int n : {1, 2, 3, 4}) Insert(QueuedJob(n));
  Job late = GetJob(2), ended = GetJob(3);
  late.delayed = true;
  Update(late);
  ended.state = JobState::kCancelled;
  Update(ended);
  Update(Lease(GetJob(4), 7));
  const auto live = [this](const std::string& sweep) {
    return Get<std::vector<std::string>>([&](Snapshot& rows) { return rows.LiveHomeJobIds(sweep); });
  };
  EXPECT_THAT(live("s"), UnorderedElementsAre(Id(1), Id(2), Id(4)));
  EXPECT_THAT(live("t"), IsEmpty());
}

TEST_P(JobStoreContract, ASweepIsDeletedWhenNoJobIsLeftInIt) {
  Sweep other;
  other.name = "t";
  Must([&](Transaction& rows) { return rows.PutSweep(other); });
  Insert(QueuedJob(1));
  Member({{1, 0}});
  Must([&](Transaction& rows) { return rows.SetMemberships("t", {{Id(1), Membership{"t", "e", "l", 0}}}); });
  const auto erase = [&](const std::string& name) {
    return store_->Write([&](Transaction& rows) { return rows.DeleteSweep(name); }).code();
  };
  EXPECT_EQ(erase("s"), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Get<std::vector<std::string>>([](Snapshot& rows) { return rows.HomeJobIds("s"); }), ElementsAre(Id(1)));
  Must([&](Transaction& rows) { return rows.LeaveSweep("s", Id(1)); });
  EXPECT_EQ(GetJob(1).home_sweep, "t");
  EXPECT_EQ(erase("s"), absl::StatusCode::kOk);
  EXPECT_EQ(erase("s"), absl::StatusCode::kNotFound);
  EXPECT_EQ(Get<std::vector<Sweep>>([](Snapshot& rows) { return rows.ListSweeps(); }).size(), 1u);
  ASSERT_EQ(GetJob(1).sweeps.size(), 1u);
  // A sweep of that name may come again, and begins at nothing.
  Sweep again;
  again.name = "s";
  Must([&](Transaction& rows) { return rows.PutSweep(again); });
  EXPECT_EQ(Get<Sweep>([](Snapshot& rows) { return rows.GetSweep("s"); }).jobs, 0);
}

INSTANTIATE_TEST_SUITE_P(Stores, JobStoreContract, ::testing::Values("memory", "sqlite"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace sink::store
