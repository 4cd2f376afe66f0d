// Which job goes before which, in both stores.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/store/job_store.h"
#include "coordinator/store/queue_head.h"
#include "tests/coordinator/store/job_rows.h"

namespace sink::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class QueueContract : public JobRows {};

TEST_P(QueueContract, CountsTheJobsThatGoBeforeOne) {
  for (int n = 1; n <= 5; ++n) Insert(QueuedJob(n, 1, n == 4 ? 3 : n == 5 ? -1 : 0));
  Job late = GetJob(1);
  late.delayed = true;
  Update(late);
  const auto ahead = [this](int n, const QueueHead& queue) {
    return Get<int>([&](Snapshot& rows) { return rows.CountAhead(Id(n), queue); });
  };
  const QueueHead queue = {.sweep = "s", .devices = 1};
  EXPECT_EQ(ahead(4, queue), 0);
  EXPECT_EQ(ahead(2, queue), 1) << "job 1 is delayed";
  EXPECT_EQ(ahead(3, queue), 2);
  EXPECT_EQ(ahead(5, queue), 3);
}

TEST_P(QueueContract, CountsTheJobsOfEachQueueThatGoBeforeOne) {
  for (const auto& [n, set] : std::vector<std::pair<int, std::string>>{{1, "bible"}, {2, "regmix"}, {3, "regmix"}}) {
    Job job = QueuedJob(n, 1, 0);
    job.data_set = set;
    Insert(job);
  }
  Insert(QueuedJob(4, 2, 0));
  const auto ahead_of_last = [this](const QueueHead& queue) {
    return Get<int>([&](Snapshot& rows) { return rows.CountAhead(Id(4), queue); });
  };
  EXPECT_EQ(ahead_of_last({.sweep = "s", .devices = 1, .data_set = "bible"}), 1);
  EXPECT_EQ(ahead_of_last({.sweep = "s", .devices = 1, .data_set = "regmix"}), 2);
  EXPECT_EQ(ahead_of_last({.sweep = "s", .devices = 1, .data_set = "regmix", .data_content = "2"}), 0);
  EXPECT_EQ(ahead_of_last({.sweep = "s", .devices = 2}), 0) << "its own";
}

TEST_P(QueueContract, AJobThatGoesOnLetsNoOtherStart) {
  const auto may_let_start = [this](const Job& job) {
    bool placement = false;
    Must([&](Transaction& rows) {
      const absl::Status status = rows.UpdateJob(job);
      placement = rows.changes().placement;
      return status;
    });
    return placement;
  };
  Insert(QueuedJob(1, 1, 0));
  Job job = Lease(GetJob(1), 1);
  EXPECT_FALSE(may_let_start(job));
  job.state = job.phase = JobState::kRunning;
  EXPECT_FALSE(may_let_start(job));
  job.state = JobState::kDisconnected;
  EXPECT_FALSE(may_let_start(job));
  job.state = job.phase = JobState::kFinalizing;
  EXPECT_TRUE(may_let_start(job)) << "its devices are free";
  job.state = JobState::kSucceeded;
  job.holder = {};
  EXPECT_TRUE(may_let_start(job)) << "as the first of a sweep that waits for it";
  Insert(QueuedJob(2, 1, 0));
  Job again = Lease(GetJob(2), 2);
  again.attempt = 2;
  EXPECT_TRUE(may_let_start(again)) << "where it had failed, it stood before the next in line";
}

TEST_P(QueueContract, QueueHeadsFollowPriorityThenSubmission) {
  Insert(QueuedJob(3));
  Insert(QueuedJob(1, 1, 5));
  Insert(QueuedJob(2, 1, 5));
  Insert(QueuedJob(4, 8));
  auto heads = [&] { return Get<std::vector<QueueHead>>([](Snapshot& rows) { return rows.QueueHeads(); }); };
  auto front = [&] { return Get<std::optional<QueueHead>>([](Snapshot& rows) { return rows.QueueFront(); }); };
  EXPECT_EQ(front()->job_id, Id(1));
  ASSERT_EQ(heads().size(), 2u);
  EXPECT_EQ(heads()[0].job_id, Id(1));
  EXPECT_EQ(heads()[1].job_id, Id(4));
  EXPECT_EQ(heads()[1].devices, 8);
  Update(Lease(GetJob(1), 1));
  EXPECT_EQ(heads()[0].job_id, Id(2));
  Job delayed = GetJob(2);
  delayed.delayed = true;
  Update(delayed);
  EXPECT_EQ(heads()[0].job_id, Id(3));
  EXPECT_EQ(front()->job_id, Id(3));
  Update(Lease(GetJob(3), 2));
  EXPECT_EQ(front()->job_id, Id(4));
  EXPECT_EQ(front()->devices, 8);
  Update(Lease(GetJob(4), 3));
  EXPECT_FALSE(front().has_value());
  EXPECT_THAT(Get<std::vector<std::string>>([](Snapshot& rows) { return rows.DelayedJobs(); }), ElementsAre(Id(2)));
  EXPECT_EQ(Get<int>([](Snapshot& rows) { return rows.CountLive("s"); }), 3);
}

TEST_P(QueueContract, AQueueIsFollowedFromOneJobToTheNext) {
  Insert(QueuedJob(1, 1, 5));
  Insert(QueuedJob(2));
  Insert(QueuedJob(3, 1, 5));
  Insert(QueuedJob(4, 1, 7));
  Insert(QueuedJob(5));
  Insert(QueuedJob(6));
  Insert(QueuedJob(7, 8, 6));  // in queues of their own
  Job other = QueuedJob(8, 1, 6);
  other.data_set = "bible";
  Insert(other);
  Update(Lease(GetJob(5), 1));
  const auto next = [&](const QueueHead& after) {
    return Get<std::optional<QueueHead>>([&](Snapshot& rows) { return rows.NextInQueue(after); });
  };
  const auto heads = Get<std::vector<QueueHead>>([](Snapshot& rows) { return rows.QueueHeads(); });
  ASSERT_EQ(heads.size(), 3u);
  std::vector<std::string> queue;
  for (std::optional<QueueHead> head = heads[0]; head; head = next(*head)) queue.push_back(head->job_id);
  EXPECT_THAT(queue, ElementsAre(Id(4), Id(1), Id(3), Id(2), Id(6)));
  EXPECT_FALSE(next(heads[1]).has_value());
  EXPECT_FALSE(next(heads[2]).has_value());
  Update(Lease(GetJob(1), 2));
  EXPECT_EQ(next(heads[0])->job_id, Id(3));
  EXPECT_EQ(next(heads[0])->priority, 5);
}

TEST_P(QueueContract, AJobQueuesWithItsHomeWhichMayLetItStart) {
  Sweep other;
  other.name = "t";
  Must([&](Transaction& rows) { return rows.PutSweep(other); });
  for (int n = 1; n <= 2; ++n) Insert(QueuedJob(n));
  bool placement = false;
  Must([&](Transaction& rows) {
    const absl::Status status = rows.SetHome(Id(1), "t");
    placement = rows.changes().placement;
    return status;
  });
  EXPECT_TRUE(placement);
  std::vector<std::pair<std::string, std::string>> queues;
  for (const QueueHead& head : Get<std::vector<QueueHead>>([](Snapshot& rows) { return rows.QueueHeads(); }))
    queues.emplace_back(head.sweep, head.job_id);
  EXPECT_THAT(queues, ElementsAre(std::pair("s", Id(2)), std::pair("t", Id(1))));
  EXPECT_TRUE(absl::IsNotFound(store_->Write([](Transaction& rows) { return rows.SetHome(Id(3), "t"); })));
}

TEST_P(QueueContract, JobsThatMeasureAModelQueueByIt) {
  for (int n = 1; n <= 4; ++n) {
    Job job = QueuedJob(n);
    job.model = n == 1 ? "" : n == 4 ? "a/x" : "b/y";
    Insert(job);
  }
  EXPECT_EQ(GetJob(2).model, "b/y");
  std::vector<std::pair<std::string, std::string>> queues;
  for (const QueueHead& head : Get<std::vector<QueueHead>>([](Snapshot& rows) { return rows.QueueHeads(); }))
    queues.emplace_back(head.model, head.job_id);
  EXPECT_THAT(queues, ElementsAre(std::pair("", Id(1)), std::pair("a/x", Id(4)), std::pair("b/y", Id(2))));
}

TEST_P(QueueContract, JobsThatTrainOnASetQueueByItAndItsContent) {
  const std::vector<std::pair<std::string, std::string>> needs = {
      {"b", ""}, {"a", ""}, {"a", "2"}, {"a", ""}, {"a", "1"}};
  for (size_t n = 0; n < needs.size(); ++n) {
    Job job = QueuedJob(static_cast<int>(n) + 1);
    std::tie(job.data_set, job.data_content) = needs[n];
    Insert(job);
  }
  std::vector<std::tuple<std::string, std::string, std::string>> queues;
  for (const QueueHead& head : Get<std::vector<QueueHead>>([](Snapshot& rows) { return rows.QueueHeads(); }))
    queues.emplace_back(head.data_set, head.data_content, head.job_id);
  EXPECT_THAT(queues, ElementsAre(std::tuple("a", "", Id(2)), std::tuple("a", "1", Id(5)), std::tuple("a", "2", Id(3)),
                                  std::tuple("b", "", Id(1))));
}

INSTANTIATE_TEST_SUITE_P(Stores, QueueContract, ::testing::Values("memory", "sqlite"),
                         [](const auto& parameter) { return std::string(parameter.param); });

}  // namespace
}  // namespace sink::store
