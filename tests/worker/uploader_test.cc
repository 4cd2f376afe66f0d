// A checkpoint on its way to a coordinator that has its difficulties.
#include "worker/uploader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "absl/synchronization/notification.h"
#include "proto/run/checkpoint_names.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/fake_coordinator.h"

namespace sink::worker {
namespace {

// Lets the first upload begin, and fails it when told to.
class Hesitant : public FakeCoordinator {
 public:
  absl::StatusOr<v1::BeginCheckpointResponse> BeginCheckpoint(const v1::BeginCheckpointRequest& request) override {
    if (begun.HasBeenNotified()) return FakeCoordinator::BeginCheckpoint(request);
    begun.Notify();
    fail.WaitForNotification();
    return absl::UnavailableError("the network is down");
  }
  absl::Notification begun, fail;
};

TEST(Uploader, ACheckpointThatIsAnnouncedAgainWhileItIsUploadedArrives) {
  testing::TempDir dir;
  Hesitant coordinator;
  const std::string lease = coordinator.AddJob("job1", "{}");
  StopControl control;
  LeasedCalls calls(&coordinator, "worker", coordinator.attempt(lease).grant.lease(), &control, [] {});
  auto spool = Spool::Open(dir / "spool", Spool::Options());
  ASSERT_TRUE(spool.ok()) << spool.status();
  const std::string folder = dir / run::CheckpointFolderName(7);
  std::filesystem::create_directories(folder);
  for (const char* file : {"model.safetensors", "trainer.json"}) std::ofstream(folder + "/" + file) << file;
  const auto manifest = run::WriteManifest(folder, 7);
  ASSERT_TRUE(manifest.ok());

  Uploader uploader(&calls, spool->get(), dir / "upload", /*keep_period=*/0);
  ASSERT_TRUE(uploader.Offer(folder, 7, manifest->hash, 0).ok());
  coordinator.begun.WaitForNotification();
  EXPECT_TRUE(uploader.Offer(folder, 7, manifest->hash, 0).ok());
  coordinator.fail.Notify();
  const absl::Status committed = uploader.WaitUntilCommitted();
  EXPECT_TRUE(committed.ok()) << committed;
  EXPECT_EQ(coordinator.attempt(lease).committed.count(7), 1u);
}

}  // namespace
}  // namespace sink::worker
