// What a watcher of changes is told, over a real port: all at first, in parts, and then what changed in its sweep
// alone.
#include "coordinator/service/sweep_watch.h"

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "absl/synchronization/notification.h"
#include "coordinator/core/change_feed.h"
#include "coordinator/core/job_manager.h"
#include "coordinator/store/memory_store.h"
#include "tests/coordinator/service/service_fixture.h"

namespace sink {
namespace {

using ::testing::ElementsAre;

TEST(ChangeFeed, GivesWhatCameSinceAndSaysWhenItHasForgotten) {
  ChangeFeed feed(/*remembered=*/3);
  const uint64_t begin = feed.position();
  feed.Publish({.jobs = {"a", "b"}, .sweeps = {"s"}});
  ChangeFeed::News news = feed.Since(begin);
  EXPECT_THAT(news.jobs, ElementsAre("a", "b"));
  EXPECT_THAT(news.sweeps, ElementsAre("s"));
  EXPECT_FALSE(news.incomplete);
  EXPECT_TRUE(feed.Since(news.position).jobs.empty());
  const uint64_t signalled = feed.signal().version();
  feed.Publish({});
  EXPECT_EQ(feed.signal().version(), signalled);
  feed.Publish({.jobs = {"c"}});
  EXPECT_THAT(feed.Since(news.position).jobs, ElementsAre("c"));
  EXPECT_TRUE(feed.Since(begin).incomplete);
}

// A client that watches in a thread of its own and keeps every message.
class Watcher {
 public:
  Watcher(std::unique_ptr<CoordinatorClient> client, const std::string& sweep)
      : client_(std::move(client)), thread_([this, sweep] {
          v1::WatchSweepRequest request;
          request.set_name(sweep);
          request.set_interval_ms(100);
          request.set_changes_only(true);
          status_ = client_->WatchSweep(request, [this](const v1::GetSweepResponse& update) {
            const std::lock_guard lock(mutex_);
            updates_.push_back(update);
            return true;
          });
        }) {}
  ~Watcher() {
    client_->CancelCalls();
    if (thread_.joinable()) thread_.join();
  }
  std::vector<v1::GetSweepResponse> WaitFor(size_t count) {
    for (int i = 0; i < 1000; ++i) {
      {
        const std::lock_guard lock(mutex_);
        if (updates_.size() >= count) return updates_;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << "fewer than " << count << " messages";
    return std::vector<v1::GetSweepResponse>(count);
  }
  absl::Status End() {
    thread_.join();
    return status_;
  }

 private:
  const std::unique_ptr<CoordinatorClient> client_;
  std::mutex mutex_;
  std::vector<v1::GetSweepResponse> updates_;
  absl::Status status_;
  std::thread thread_;
};

// Lets a test act when a change is in the store and not yet in the feed.
class StoreWithPause : public store::JobStore {
 public:
  absl::Status Write(const std::function<absl::Status(store::Transaction&)>& body) override {
    absl::Status status = store_.Write(body);
    if (pause) std::exchange(pause, nullptr)();
    return status;
  }
  absl::Status Read(const std::function<absl::Status(store::Snapshot&)>& body) override { return store_.Read(body); }

  std::function<void()> pause;  // once

 private:
  store::MemoryStore store_;
};

// A watch of the sweep "s", without a server.
class SlowFeedTest : public ::testing::Test {
 protected:
  SlowFeedTest() {
    CoreOptions options;
    options.new_lease_id = [] { return std::string("lease"); };
    manager_ = *JobManager::Start(&store_, options, nullptr, now_);
    watch_.emplace(&manager_->queries(), "s", /*changes_only=*/true);
  }
  static std::string IdOf(int n) {
    const std::string digits = std::to_string(n);
    return std::string(8 - digits.size(), '0') + digits + std::string(24, 'a');
  }
  void SubmitJobs(int count, const std::string& sweep = "s") {
    SubmitRequest request;
    request.sweep = sweep;
    for (int n = 0; n < count; ++n) {
      SubmitJob& job = request.jobs.emplace_back();
      job.id = IdOf(n);
      job.config_json = "{}";
      job.experiment = "e";
      job.label = "n=" + std::to_string(n);
      job.index = n;
      job.max_steps = 1;
    }
    ASSERT_TRUE(manager_->clients().Submit(request, now_).ok());
  }
  void Cancel(std::vector<std::string> jobs) {
    EXPECT_TRUE(manager_->clients().Cancel({.sweep = "", .jobs = std::move(jobs)}, now_).ok());
  }
  void CancelSweep(const std::string& sweep) {
    EXPECT_TRUE(manager_->clients().Cancel({.sweep = sweep, .jobs = {}}, now_).ok());
  }
  // Tells what is new, and keeps it; `between`: after each message.
  bool Tell(const std::function<void()>& between = [] {}) {
    const auto done = watch_->Tell([&](const v1::GetSweepResponse& update) {
      for (const v1::Job& job : update.jobs()) told_[job.id()] = job.state();
      between();
      return true;
    });
    EXPECT_TRUE(done.ok()) << done.status();
    return done.ok() && *done;
  }

  const Now now_{1'000'000, 500};
  StoreWithPause store_;
  std::unique_ptr<JobManager> manager_;
  std::optional<SweepWatch> watch_;
  std::map<std::string, v1::JobState> told_;  // last
};

TEST_F(SlowFeedTest, AWatchDoesNotEndBeforeItHasToldTheLastJobsEnd) {
  SubmitJobs(2);
  EXPECT_FALSE(Tell());
  Cancel({IdOf(0)});
  bool done = false;
  store_.pause = [&] { done = Tell(); };
  Cancel({IdOf(1)});
  for (int i = 0; i < 10 && !done; ++i) done = Tell();
  EXPECT_TRUE(done);
  EXPECT_EQ(told_[IdOf(0)], v1::CANCELLED);
  EXPECT_EQ(told_[IdOf(1)], v1::CANCELLED);
}

TEST_F(SlowFeedTest, NorWhereItEndsWhileTheSweepIsToldInParts) {
  constexpr int kJobs = 501;
  SubmitJobs(kJobs);
  std::vector<std::string> others;
  for (int n = 1; n < kJobs; ++n) others.push_back(IdOf(n));
  Cancel(std::move(others));
  absl::Notification stored, published;
  std::thread canceller;
  bool done = Tell([&] {
    if (canceller.joinable()) return;  // the first part has been told, with the job as it was
    store_.pause = [&] {
      stored.Notify();
      published.WaitForNotification();
    };
    canceller = std::thread([&] { Cancel({IdOf(0)}); });
    stored.WaitForNotification();
  });
  published.Notify();
  canceller.join();
  for (int i = 0; i < 10 && !done; ++i) done = Tell();
  EXPECT_TRUE(done);
  EXPECT_EQ(told_[IdOf(0)], v1::CANCELLED);
}

TEST_F(SlowFeedTest, AWatchOfACancelledSweepEndsThoughAnotherSweepsJobGoesOn) {
  SubmitJobs(2);
  SubmitJobs(1, "theirs");
  EXPECT_FALSE(Tell());
  CancelSweep("s");
  EXPECT_TRUE(Tell());
  EXPECT_EQ(told_[IdOf(0)], v1::QUEUED);
  EXPECT_EQ(told_[IdOf(1)], v1::CANCELLED);
  for (const bool changes_only : {true, false}) {
    watch_.emplace(&manager_->queries(), "s", changes_only);
    EXPECT_TRUE(Tell()) << "one that begins only now, too";
  }
  watch_.emplace(&manager_->queries(), "theirs", /*changes_only=*/true);
  EXPECT_FALSE(Tell());
  SubmitJobs(2);
  watch_.emplace(&manager_->queries(), "s", /*changes_only=*/true);
  EXPECT_FALSE(Tell()) << "it wants the job once more";
}

class SweepWatchTest : public testing::ServiceTest {};

TEST_F(SweepWatchTest, ACancelledSweepIsNotOverWhileItsJobIsBeingStopped) {
  const v1::Grant grant = RunningJob("one");
  Submit("two", "1e-3", 2);
  v1::CancelRequest cancel;
  cancel.set_sweep("one");
  ASSERT_EQ(client_->Cancel(cancel)->kept(), 1);
  Watcher left(NewClient(), "one");
  EXPECT_TRUE(left.End().ok());
  EXPECT_EQ(left.WaitFor(1).back().jobs(0).state(), v1::RUNNING);
  cancel.set_sweep("two");
  ASSERT_EQ(client_->Cancel(cancel)->requested(), 1) << "nobody wants it any more";
  Watcher stopping(NewClient(), "one");
  stopping.WaitFor(1);
  ASSERT_TRUE(Finish(grant.lease(), 1, v1::CANCELLED).ok());
  EXPECT_TRUE(stopping.End().ok());
  EXPECT_EQ(stopping.WaitFor(1).back().jobs(0).state(), v1::CANCELLED);
}

TEST_F(SweepWatchTest, OnlyTheJobThatChangedIsToldAgain) {
  const v1::Grant grant = RunningJob("one");
  const std::vector<std::string> ids = Submit("study", "1e-3, 2e-3, 3e-3", 2);
  Watcher watcher(NewClient(), "study");
  const auto first = watcher.WaitFor(1);
  EXPECT_FALSE(first[0].changed_only());
  EXPECT_FALSE(first[0].more());
  EXPECT_EQ(first[0].jobs_size(), 3);
  Submit("other", "7e-3", 3);  // elsewhere
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_EQ(watcher.WaitFor(1).size(), 1u);
  ASSERT_TRUE(Report(grant.lease(), 2, {R"({"type":"progress","step":5,"tokens":50,"tokens_per_second":9})"}).ok());
  const auto second = watcher.WaitFor(2);
  EXPECT_TRUE(second[1].changed_only());
  ASSERT_EQ(second[1].jobs_size(), 1);
  EXPECT_EQ(second[1].jobs(0).id(), grant.lease().job_id()) << "a job of both sweeps";
  EXPECT_EQ(second[1].jobs(0).progress().step(), 5);
  for (const v1::Job& job : {first[0].jobs(0), second[1].jobs(0)}) {
    ASSERT_EQ(job.sweeps_size(), 2);
    EXPECT_EQ(job.sweeps(0).sweep(), "study") << "the one that is watched comes first";
    EXPECT_EQ(job.sweeps(1).sweep(), "one");
  }
  EXPECT_EQ(second[1].sweep().jobs_by_state().at("RUNNING"), 1);
}

TEST_F(SweepWatchTest, AResubmissionWithOtherJobsBeginsAnew) {
  Submit("study", "1e-3, 2e-3");
  Watcher watcher(NewClient(), "study");
  watcher.WaitFor(1);
  Submit("study", "2e-3, 5e-3, 6e-3", 2);
  const auto updates = watcher.WaitFor(2);
  EXPECT_FALSE(updates[1].changed_only());
  EXPECT_EQ(updates[1].jobs_size(), 3);
}

TEST_F(SweepWatchTest, ALongSweepComesInPartsAndEndsWithItsLastJob) {
  const std::string yaml =
      "schema: sink/v1\nname: long\ndata: {set: tiny}\nlimits: {max_jobs: 2000}\nreplicas: 600\nexperiments:\n"
      "  - name: one\n    grid: {train.learning_rate: [1e-3, 2e-3]}\n";
  ASSERT_TRUE(client_->SubmitSweep(testing::Submission(yaml)).ok());
  Watcher watcher(NewClient(), "long");
  const auto parts = watcher.WaitFor(3);
  std::set<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(parts[i].changed_only(), i > 0);
    EXPECT_EQ(parts[i].more(), i < 2);
    for (const v1::Job& job : parts[i].jobs()) EXPECT_TRUE(ids.insert(job.id()).second);
  }
  EXPECT_EQ(ids.size(), 1200u);
  v1::CancelRequest cancel;
  cancel.set_sweep("long");
  ASSERT_TRUE(client_->Cancel(cancel).ok());
  EXPECT_TRUE(watcher.End().ok());
  // One that comes when all has ended is told and let go.
  Watcher late(NewClient(), "long");
  EXPECT_TRUE(late.End().ok());
}

}  // namespace
}  // namespace sink
