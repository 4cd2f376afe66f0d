// What charts are told, over the rules themselves and a database.
#include "coordinator/service/disk_watch.h"
#include "coordinator/store/sqlite_store.h"
#include "coordinator/web/topics.h"
#include "tests/coordinator/core/fixture.h"
#include "tests/testing/temp_dir.h"

namespace sink::web {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kOneDayMs = 24 * 3'600'000;

class CurveTopicTest : public ManagerTest {
 protected:
  CurveTopicTest() {
    database_ = *store::SqliteStore::Open(folder_ / "data");
    CoreOptions options;
    options.new_lease_id = [this] { return "lease-" + std::to_string(++leases_); };
    manager = *JobManager::Start(database_.get(), options, this, now);
  }
  ~CurveTopicTest() override { manager.reset(); }

  sink::testing::TempDir folder_;
  std::unique_ptr<store::SqliteStore> database_;
  const DiskWatch disk_{"/", 0};
  int leases_ = 0;
};

TEST_F(CurveTopicTest, AnOpenChartShowsWhatAJobMeasuresAfterItsPointsWereThinned) {
  job_steps = 2000;
  Submit({1});
  Register();
  const Lease lease = Start(1);
  std::vector<Event> events;
  uint64_t seq = 1;
  for (int step = 1; step <= 1500; ++step) events.push_back(Metric(++seq, step, 1.0 / step));
  ASSERT_TRUE(manager->workers().Report("w", lease, events, now).ok());
  ASSERT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kUser, seq), JobState::kFailed);
  const auto topic =
      MakeTopic({.queries = &manager->queries(), .disk = &disk_, .now = [this] { return now; }}, "points/" + Id(1));
  ASSERT_NE(topic, nullptr);
  ASSERT_TRUE(topic->Whole().ok());
  ASSERT_TRUE(topic->Changes().ok());

  Advance(2 * kOneDayMs);
  const auto thinned = manager->retention().Collect({.full_for_ms = kOneDayMs, .points_a_curve = 10}, false, now);
  ASSERT_TRUE(thinned.ok()) << thinned.status();
  ASSERT_EQ(thinned->points_after, 10);
  ASSERT_TRUE(manager->clients().Retry({.sweep = "", .jobs = {Id(1)}}, now).ok());
  Register();
  const Lease again = Start(2);
  ASSERT_TRUE(manager->workers().Report("w", again, {Metric(2, 1501, 0.25)}, now).ok());
  const auto change = topic->Changes();
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_TRUE(change->whole);
  EXPECT_THAT(change->json, HasSubstr(",1501],["));
}

}  // namespace
}  // namespace sink::web
