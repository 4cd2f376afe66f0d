// GPUs through a library with NVML's functions (fake_nvml/): which the worker offers, and what it says of them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

#include "absl/time/clock.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/daemon_process.h"
#include "tests/worker/fake_coordinator.h"
#include "worker/daemon.h"
#include "worker/devices.h"
#include "worker/gpu_monitor.h"
#include "worker/nvml.h"

namespace sink::worker {
namespace {

constexpr char kFake[] = SINK_FAKE_NVML;
constexpr int64_t kGibibyte = int64_t{1} << 30;

// Until the monitor has heard of the GPUs.
std::vector<Nvml::Use> FirstOf(const GpuMonitor& monitor) {
  for (int i = 0; i < 1000 && monitor.Latest().empty(); ++i) absl::SleepFor(absl::Milliseconds(10));
  return monitor.Latest();
}

TEST(Gpus, AreFoundWithTheirNameAndIds) {
  for (const char* spec : {"gpu", "auto"}) {
    const auto devices = FindDevices(spec, nullptr, kFake);
    ASSERT_TRUE(devices.ok()) << devices.status();
    EXPECT_TRUE(devices->gpu);
    EXPECT_EQ(devices->kind, "NVIDIA H100 80GB HBM3");
    EXPECT_EQ(devices->ids, (std::vector<std::string>{"GPU-aaaa", "MIG-bbbb"}));
  }
}

TEST(Gpus, ThoseOfABatchSystemAreTaken) {
  EXPECT_EQ(FindDevices("gpu", "1", kFake)->ids, std::vector<std::string>{"1"});
  for (const char* none : {"", "-1", "NoDevFiles"}) EXPECT_FALSE(FindDevices("gpu", none, kFake).ok()) << none;
  EXPECT_EQ(FindDevices("gpu", "0,-1,1", kFake)->ids, std::vector<std::string>{"0"}) << "as CUDA reads it";
}

TEST(Gpus, TheirKindIsThatOfTheFirstThatIsVisible) {
  for (const char* second : {"1", "MIG-bbbb", "MIG-bbbb,GPU-aaaa"})
    EXPECT_EQ(FindDevices("gpu", second, kFake)->kind, "NVIDIA A100-SXM4-40GB MIG 1g.5gb") << second;
  for (const char* first : {"0", "GPU-aaaa", "0,1", "GPU-a"})
    EXPECT_EQ(FindDevices("gpu", first, kFake)->kind, "NVIDIA H100 80GB HBM3") << first;
}

TEST(Gpus, WithoutADriverThereAreNone) {
  EXPECT_TRUE(absl::IsFailedPrecondition(FindDevices("gpu", nullptr, "/nowhere/libnvidia-ml.so.1").status()));
  EXPECT_EQ(FindDevices("auto", nullptr, "/nowhere/libnvidia-ml.so.1")->kind, "cpu");
}

TEST(Nvml, TellsMemoryAndUseByIdOrNumber) {
  auto nvml = Nvml::Open(kFake);
  ASSERT_TRUE(nvml.ok()) << nvml.status();
  for (const char* id : {"GPU-aaaa", "0"}) {
    const auto use = (*nvml)->Ask(id);
    ASSERT_TRUE(use.has_value()) << id;
    EXPECT_EQ(use->memory_bytes, 80 * kGibibyte);
    EXPECT_EQ(use->memory_used_bytes, 20 * kGibibyte);
    EXPECT_EQ(use->busy_percent, 73);
  }
  EXPECT_EQ((*nvml)->Ask("MIG-bbbb")->busy_percent, 0) << "a part of a GPU tells none";
  EXPECT_FALSE((*nvml)->Ask("GPU-cccc").has_value());
  EXPECT_FALSE((*nvml)->Ask("2").has_value());
}

TEST(GpuMonitor, SaysNothingWhereAGpuIsSilent) {
  const GpuMonitor both({"GPU-aaaa", "MIG-bbbb"}, kFake, absl::Milliseconds(10));
  ASSERT_EQ(FirstOf(both).size(), 2u);
  setenv("FAKE_NVML_SILENT", "1", 1);
  for (int i = 0; i < 1000 && !both.Latest().empty(); ++i) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_TRUE(both.Latest().empty());
  unsetenv("FAKE_NVML_SILENT");
  EXPECT_EQ(FirstOf(both).size(), 2u);
  EXPECT_TRUE(GpuMonitor({"0"}, "/nowhere/libnvidia-ml.so.1", absl::Seconds(1)).Latest().empty());
}

TEST(GpuMonitor, TheHeartbeatCarriesWhatItHeard) {
  const testing::TempDir dir;
  FakeCoordinator coordinator;
  coordinator.set_lease_duration(absl::Seconds(1));
  DaemonOptions options = FakeTrainerOptions(dir.path().string());
  options.nvml = kFake;
  Daemon daemon(&coordinator, *FindDevices("gpu", nullptr, kFake), std::move(options));
  daemon.Start();
  for (int i = 0; i < 1000 && coordinator.last_heartbeat().gpus_size() == 0; ++i)
    absl::SleepFor(absl::Milliseconds(10));
  const v1::HeartbeatRequest heartbeat = coordinator.last_heartbeat();
  ASSERT_EQ(heartbeat.gpus_size(), 2);
  EXPECT_EQ(heartbeat.gpus(0).memory_used_bytes(), 20 * kGibibyte);
  EXPECT_EQ(heartbeat.gpus(0).busy_percent(), 73);
  daemon.BeginDrain();
  EXPECT_TRUE(daemon.WaitUntilFinished(absl::Seconds(20)));
}

}  // namespace
}  // namespace sink::worker
