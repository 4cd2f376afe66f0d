// What a worker offers, and that no device is handed out twice.
#include "worker/devices.h"

#include <gtest/gtest.h>

#include <thread>

namespace sink::worker {
namespace {

TEST(FindDevices, CpuSlotsAreCounted) {
  const auto devices = FindDevices("cpu:3", nullptr);
  ASSERT_TRUE(devices.ok());
  EXPECT_EQ(devices->kind, "cpu");
  EXPECT_EQ(devices->ids.size(), 3u);
}

TEST(FindDevices, OtherTextIsRefusedWithTheChoices) {
  for (const char* spec : {"", "cpu", "cpu:", "cpu:0", "cpu:-1", "cpu:1x", "cpu:99999", "gpu:2", "tpu"}) {
    const auto devices = FindDevices(spec, nullptr);
    EXPECT_TRUE(absl::IsInvalidArgument(devices.status())) << spec;
    EXPECT_NE(devices.status().message().find("cpu:N"), absl::string_view::npos);
  }
}

TEST(FindDevices, AutoAlwaysOffersSomething) {
  const auto devices = FindDevices("auto", nullptr);
  ASSERT_TRUE(devices.ok());
  EXPECT_GE(devices->ids.size(), 1u);
}

TEST(DevicePool, ClaimsAreExclusiveAndComeBack) {
  DevicePool pool({.kind = "H", .ids = {"GPU-a", "GPU-b", "GPU-c"}, .gpu = true});
  auto two = pool.Take(2);
  ASSERT_NE(two, nullptr);
  EXPECT_EQ(two->visible_devices(), "GPU-a,GPU-b");
  EXPECT_EQ(two->device(), "cuda:0");
  ASSERT_EQ(two->size(), 2);
  EXPECT_EQ(two->visible_device(0), "GPU-a");
  EXPECT_EQ(two->visible_device(1), "GPU-b");
  EXPECT_EQ(pool.Take(2), nullptr);
  auto one = pool.Take(1);
  EXPECT_EQ(one->visible_devices(), "GPU-c");
  two.reset();
  EXPECT_EQ(pool.free(), 2);
  EXPECT_EQ(pool.Take(0), nullptr);
  EXPECT_EQ(pool.Take(-1), nullptr);
}

TEST(DevicePool, WhoWaitsHearsOfReturnsSinceTheyLooked) {
  DevicePool pool({.kind = "cpu", .ids = {"", ""}, .gpu = false});
  auto claim = pool.Take(1);
  const int64_t seen = pool.returns();
  pool.WaitForReturn(seen, absl::Milliseconds(1));  // nothing came: the timeout
  EXPECT_EQ(pool.returns(), seen);
  claim.reset();
  pool.WaitForReturn(seen, absl::InfiniteDuration());  // came before the wait
  const int64_t after = pool.returns();
  EXPECT_NE(after, seen);
  std::thread other([&] { pool.Interrupt(); });
  pool.WaitForReturn(after, absl::InfiniteDuration());
  other.join();
}

TEST(DevicePool, CpuJobsSeeNoGpu) {
  DevicePool pool({.kind = "cpu", .ids = {"", ""}, .gpu = false});
  EXPECT_EQ(pool.Take(2)->visible_devices(), "");
  EXPECT_EQ(pool.Take(1)->device(), "cpu");
  EXPECT_EQ(pool.Take(2)->visible_device(1), "");
}

}  // namespace
}  // namespace sink::worker
