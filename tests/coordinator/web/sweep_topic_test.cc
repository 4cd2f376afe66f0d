// What pages are told of a sweep, over the rules themselves and a store in memory.
#include "coordinator/service/disk_watch.h"
#include "coordinator/web/topics.h"
#include "tests/coordinator/core/fixture.h"

namespace sink::web {
namespace {

using ::testing::HasSubstr;

class SweepTopicTest : public ManagerTest {
 protected:
  const DiskWatch disk_{"/", 0};
};

TEST_F(SweepTopicTest, WhatAPageThatComesLaterIsToldFirstTheOthersAreToldToo) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  const auto topic =
      MakeTopic({.queries = &manager->queries(), .disk = &disk_, .now = [this] { return now; }}, "sweep/s");
  ASSERT_NE(topic, nullptr);
  ASSERT_TRUE(topic->Whole().ok());
  ASSERT_TRUE(topic->Changes().ok());
  ASSERT_TRUE(manager->workers().Report("w", lease, {Metric(2, 1, 0.5)}, now).ok());
  const auto later = topic->Whole();
  ASSERT_TRUE(later.ok()) << later.status();
  EXPECT_THAT(*later, HasSubstr("\"metrics\":[\"train_loss\"]"));
  const auto change = topic->Changes();
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_THAT(change->json, HasSubstr("\"metrics\":[\"train_loss\"]"));
}

}  // namespace
}  // namespace sink::web
