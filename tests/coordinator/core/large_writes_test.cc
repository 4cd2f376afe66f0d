// What changes many jobs at once says so to the store, which then puts it behind nobody in one transaction.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "coordinator/core/job_manager.h"
#include "coordinator/store/memory_store.h"

namespace sink {
namespace {

class StoreThatCountsLarge final : public store::JobStore {
 public:
  absl::Status Write(const std::function<absl::Status(store::Transaction&)>& body) override {
    return store_.Write(body);
  }
  absl::Status WriteLarge(const std::function<absl::Status(store::Transaction&)>& body) override {
    ++large_;
    return store_.Write(body);
  }
  absl::Status Read(const std::function<absl::Status(store::Snapshot&)>& body) override { return store_.Read(body); }

  // Since the last call.
  int TakeLarge() { return std::exchange(large_, 0); }

 private:
  store::MemoryStore store_;
  int large_ = 0;
};

TEST(LargeWrites, AreTheChangesOfManyJobs) {
  const Now now{1'000'000, 500};
  StoreThatCountsLarge store;
  CoreOptions options;
  options.new_lease_id = [] { return std::string("lease"); };
  const auto manager = *JobManager::Start(&store, options, nullptr, now);
  SubmitRequest request;
  request.sweep = "s";
  for (int n = 0; n < 501; ++n) {
    SubmitJob& job = request.jobs.emplace_back();
    job.id = std::to_string(10'000'000 + n) + std::string(24, 'a');
    job.config_json = "{}";
    job.experiment = "e";
    job.label = "n=" + std::to_string(n);
    job.index = n;
    job.max_steps = 1;
  }
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  EXPECT_EQ(store.TakeLarge(), 1);
  ASSERT_TRUE(manager->clients().SetPriority("s", -1).ok());
  EXPECT_EQ(store.TakeLarge(), 2) << "in two parts";
  ASSERT_TRUE(manager->clients().Cancel({.sweep = "s", .jobs = {}}, now).ok());
  EXPECT_EQ(store.TakeLarge(), 3) << "the last for what an earlier version has left";
  ASSERT_TRUE(manager->clients().Retry({.sweep = "s", .jobs = {}}, now).ok());
  EXPECT_EQ(store.TakeLarge(), 2);
  ASSERT_TRUE(manager->clients().Cancel({.sweep = "s", .jobs = {}}, now).ok());
  EXPECT_EQ(store.TakeLarge(), 3) << "the last for what an earlier version has left";
  const Now later{now.unix_ms + 1000, now.steady_ms + 1000};
  ASSERT_TRUE(manager->retention().Collect({.full_for_ms = 1}, /*dry_run=*/false, later).ok());
  EXPECT_GT(store.TakeLarge(), 1);
  ASSERT_TRUE(manager->clients().DeleteSweep("s", now).ok());
  EXPECT_EQ(store.TakeLarge(), 2);
}

}  // namespace
}  // namespace sink
