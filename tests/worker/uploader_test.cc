// A checkpoint on its way to a coordinator that has its difficulties.
#include "worker/uploader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/pipe/events.h"
#include "proto/run/checkpoint_names.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/fake_coordinator.h"
#include "worker/event_sender.h"

namespace sink::worker {
namespace {

constexpr absl::Duration kGrace = absl::Milliseconds(300);

// Has no room for any checkpoint as long as it is full.
class Full : public FakeCoordinator {
 public:
  absl::StatusOr<v1::BeginCheckpointResponse> BeginCheckpoint(const v1::BeginCheckpointRequest& request) override {
    if (!full) return FakeCoordinator::BeginCheckpoint(request);
    ++refused;
    return absl::ResourceExhaustedError("disk full");
  }
  void WaitUntilRefused(int times) const {
    while (refused < times) absl::SleepFor(absl::Milliseconds(10));
  }
  std::atomic<bool> full = true;
  std::atomic<int> refused = 0;
};

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

// A leased job, of which nothing has come yet, and what its worker has for it.
template <typename Coordinator>
struct OneJob {
  testing::TempDir dir;
  Coordinator coordinator;
  const std::string lease = coordinator.AddJob("job1", "{}");
  StopControl control;
  LeasedCalls calls{&coordinator, "worker", coordinator.attempt(lease).grant.lease(), &control, [] {}};
  const std::unique_ptr<Spool> spool = Spool::Open(dir / "spool", Spool::Options()).value();
};

// A checkpoint as a trainer leaves it; returns its folder.
std::string SaveCheckpoint(const testing::TempDir& dir, int64_t step) {
  const std::string folder = dir / run::CheckpointFolderName(step);
  std::filesystem::create_directories(folder);
  for (const char* file : {"model.safetensors", "trainer.json"}) std::ofstream(folder + "/" + file) << file;
  EXPECT_TRUE(run::WriteManifest(folder, step).ok());
  return folder;
}

// What was told to the job's log.
std::vector<pipe::Log> Told(Spool& spool) {
  std::vector<pipe::Log> lines;
  for (const SpoolRecord& record : spool.Read(1, 10, 1 << 20)) {
    const auto parsed = pipe::Parse(record.line);
    const auto* line = parsed.event ? std::get_if<pipe::Log>(&*parsed.event) : nullptr;
    EXPECT_NE(line, nullptr) << record.line;
    if (line != nullptr) lines.push_back(*line);
  }
  return lines;
}

TEST(Uploader, ACheckpointThatIsAnnouncedAgainWhileItIsUploadedArrives) {
  OneJob<Hesitant> job;
  const std::string folder = SaveCheckpoint(job.dir, 7);
  const auto manifest = run::ReadManifest(folder);
  ASSERT_TRUE(manifest.ok());

  Uploader uploader(&job.calls, job.spool.get(), job.dir / "upload", /*keep_period=*/0, kGrace);
  ASSERT_TRUE(uploader.Offer(folder, 7, manifest->hash, 0).ok());
  job.coordinator.begun.WaitForNotification();
  EXPECT_TRUE(uploader.Offer(folder, 7, manifest->hash, 0).ok());
  job.coordinator.fail.Notify();
  const absl::Status committed = uploader.WaitUntilCommitted();
  EXPECT_TRUE(committed.ok()) << committed;
  EXPECT_EQ(job.coordinator.attempt(job.lease).committed.count(7), 1u);
}

TEST(Uploader, WaitsForRoomUntilTheJobIsCancelledAndThenForItsGrace) {
  OneJob<Full> job;
  const std::string folder = SaveCheckpoint(job.dir, 7);
  const std::string waiting = job.dir / ("upload/" + run::CheckpointFolderName(7));
  Uploader uploader(&job.calls, job.spool.get(), job.dir / "upload", /*keep_period=*/0, kGrace);
  ASSERT_TRUE(uploader.Offer(folder, 7, run::ReadManifest(folder)->hash, 0).ok());
  job.coordinator.WaitUntilRefused(3);  // for more than the grace
  EXPECT_TRUE(std::filesystem::exists(waiting)) << "it waits as long as nobody has cancelled the job";
  job.control.Request(StopReason::kCancel);
  const absl::Status given_up = uploader.WaitUntilCommitted();
  EXPECT_TRUE(absl::IsInvalidArgument(given_up)) << given_up;
  EXPECT_EQ(given_up.message(),
            "the checkpoint of step 7 is lost: the job was cancelled, and in the 300ms that it then waits the "
            "coordinator could not store it: disk full");
  EXPECT_FALSE(std::filesystem::exists(waiting));
}

TEST(Uploader, TellsTheJobsLogOfACheckpointThatIsLostAndOfTheOneThatStays) {
  OneJob<Full> job;
  const std::string folder = SaveCheckpoint(job.dir, 7);
  job.control.Request(StopReason::kCancel);
  Uploader uploader(&job.calls, job.spool.get(), job.dir / "upload", /*keep_period=*/0, kGrace, /*stored_step=*/5);
  ASSERT_TRUE(uploader.Offer(folder, 7, run::ReadManifest(folder)->hash, 0).ok());
  const absl::Status given_up = uploader.WaitUntilCommitted();
  const std::vector<pipe::Log> told = Told(*job.spool);
  ASSERT_EQ(told.size(), 2u) << "that it waits, and that it is lost";
  EXPECT_EQ(told[1].level, "error");
  EXPECT_EQ(told[1].message, given_up.message());
  EXPECT_THAT(told[1].message, ::testing::StartsWith("the checkpoint of step 7 is lost: "));
  EXPECT_THAT(told[1].message, ::testing::EndsWith("; that of step 5, the newest that is stored, stays"));
}

TEST(Uploader, TellsTheJobsLogOnceThatACheckpointWaitsAndAgainWhenOneHasBeenStoredSince) {
  OneJob<Full> job;
  Uploader uploader(&job.calls, job.spool.get(), job.dir / "upload", /*keep_period=*/0, kGrace);
  for (const int64_t step : {7, 8}) {
    job.coordinator.full = true;
    const std::string folder = SaveCheckpoint(job.dir, step);
    const int before = job.coordinator.refused;
    ASSERT_TRUE(uploader.Offer(folder, step, run::ReadManifest(folder)->hash, 0).ok());
    job.coordinator.WaitUntilRefused(before + 2);
    job.coordinator.full = false;
    const absl::Status stored = uploader.WaitUntilCommitted();
    EXPECT_TRUE(stored.ok()) << stored;
  }
  const std::vector<pipe::Log> told = Told(*job.spool);
  ASSERT_EQ(told.size(), 2u);
  for (const size_t i : {0u, 1u}) {
    EXPECT_EQ(told[i].level, "warning");
    EXPECT_EQ(told[i].message,
              "the checkpoint of step " + std::to_string(7 + i) +
                  " waits, as the coordinator cannot store it now: disk full; what helps: sinkctl why " +
                  job.calls.lease().job_id());
  }
}

TEST(Uploader, ACancelledJobsGraceEndsWithinTheUploadersPause) {
  OneJob<Full> job;
  const std::string folder = SaveCheckpoint(job.dir, 7);
  Uploader uploader(&job.calls, job.spool.get(), job.dir / "upload", /*keep_period=*/0, kGrace);
  ASSERT_TRUE(uploader.Offer(folder, 7, run::ReadManifest(folder)->hash, 0).ok());
  job.coordinator.WaitUntilRefused(4);  // the next pause is one of 1.3 s or more
  const absl::Time cancelled = absl::Now();
  job.control.Request(StopReason::kCancel);
  EXPECT_FALSE(uploader.WaitUntilCommitted().ok());
  const absl::Duration waited = absl::Now() - cancelled;
  EXPECT_GE(waited, kGrace);
  EXPECT_LT(waited, absl::Milliseconds(1250)) << "before the pause would have been over";
}

TEST(Uploader, DiscardsWhatAFormerDaemonLeftWhereItsEventsAreLost) {
  testing::TempDir dir;
  FakeCoordinator coordinator;
  const std::string lease = coordinator.AddJob("job1", "{}");
  const std::string upload = dir / "upload";
  const std::string folder = SaveCheckpoint(dir, 7);
  const std::string waiting = upload + "/" + run::CheckpointFolderName(7);
  auto spool = Spool::Open(dir / "spool", Spool::Options());
  ASSERT_TRUE(spool.ok()) << spool.status();
  (*spool)->Append("the only event that is left", 1);
  EXPECT_EQ(Uploader::NewestSeq(upload), 0u);
  {
    StopControl former;
    LeasedCalls calls(&coordinator, "worker", coordinator.attempt(lease).grant.lease(), &former, [] {});
    Uploader uploader(&calls, spool->get(), upload, /*keep_period=*/0, kGrace);
    ASSERT_TRUE(uploader.Offer(folder, 7, run::ReadManifest(folder)->hash, 9).ok());
    former.AbandonDelivery();
  }
  ASSERT_TRUE(std::filesystem::exists(waiting));
  EXPECT_EQ(Uploader::NewestSeq(upload), 9u);

  StopControl control;
  LeasedCalls calls(&coordinator, "worker", coordinator.attempt(lease).grant.lease(), &control, [] {});
  Uploader uploader(&calls, spool->get(), upload, /*keep_period=*/0, kGrace);
  for (int i = 0; i < 1000 && std::filesystem::exists(waiting); ++i) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_FALSE(std::filesystem::exists(waiting)) << "it waits for events that nobody has";
  if (std::filesystem::exists(waiting)) control.AbandonDelivery();  // else this would wait for them, too
  const absl::Status lost = uploader.WaitUntilCommitted();
  EXPECT_EQ(lost.message(),
            "the checkpoint of step 7 is lost: the worker's spool was damaged, and events before it are lost");
  const std::vector<SpoolRecord> told = (*spool)->Read(2, 10, 1 << 20);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0].line, ::testing::HasSubstr("the checkpoint of step 7 is lost"));
  EXPECT_EQ(coordinator.attempt(lease).committed.count(7), 0u);
}

TEST(Uploader, TakesUpACheckpointWhoseNumberIsDamagedAfterAllEventsThatTheSpoolHas) {
  OneJob<FakeCoordinator> job;
  const std::string upload = job.dir / "upload", folder = SaveCheckpoint(job.dir, 7);
  ASSERT_EQ(job.spool->Append("the event before it", 1), 1u);
  {
    StopControl former;
    LeasedCalls calls(&job.coordinator, "worker", job.calls.lease(), &former, [] {});
    Uploader uploader(&calls, job.spool.get(), upload, /*keep_period=*/0, kGrace);
    ASSERT_TRUE(uploader.Offer(folder, 7, run::ReadManifest(folder)->hash, 1).ok());
    former.AbandonDelivery();
  }
  std::ofstream(upload + "/" + run::CheckpointFolderName(7) + ".seq") << "\1\2";

  EventSender sender(&job.calls, job.spool.get());
  Uploader uploader(&job.calls, job.spool.get(), upload, /*keep_period=*/0, kGrace);
  const absl::Status committed = uploader.WaitUntilCommitted();
  EXPECT_TRUE(committed.ok()) << committed;
  EXPECT_EQ(job.coordinator.attempt(job.lease).committed.count(7), 1u);
  EXPECT_TRUE(sender.WaitUntilDurable(1));
}

TEST(Uploader, GivesUpWhereTheCoordinatorLacksEventsThatTheSpoolHasForgotten) {
  testing::TempDir dir;
  FakeCoordinator coordinator;
  const std::string lease = coordinator.AddJob("job1", "{}");
  StopControl control;
  LeasedCalls calls(&coordinator, "worker", coordinator.attempt(lease).grant.lease(), &control, [] {});
  auto spool = Spool::Open(dir / "spool", {.segment_bytes = 64});
  ASSERT_TRUE(spool.ok()) << spool.status();
  for (int i = 0; i < 20; ++i) ASSERT_GT((*spool)->Append("a line that fills most of a segment", 1), 0u);
  const std::string folder = SaveCheckpoint(dir, 7);
  {
    EventSender sender(&calls, spool->get());
    ASSERT_TRUE(sender.WaitUntilDurable(20));
    coordinator.LoseRecordsAfter(lease, 0);  // it was restored from a backup
    Uploader uploader(&calls, spool->get(), dir / "upload", /*keep_period=*/0, kGrace);
    ASSERT_TRUE(uploader.Offer(folder, 7, run::ReadManifest(folder)->hash, 20).ok());
    const absl::Status committed = uploader.WaitUntilCommitted();
    EXPECT_TRUE(absl::IsDataLoss(committed)) << committed;
    ASSERT_TRUE(calls.events_given_up());
    EXPECT_THAT(
        calls.why_given_up(),
        ::testing::StartsWith("the coordinator lacks events from 1 on, and this worker does not have them any more"));
    EXPECT_EQ(control.reason(), StopReason::kRefused);
  }
  EXPECT_EQ(coordinator.attempt(lease).committed.count(7), 0u);
}

}  // namespace
}  // namespace sink::worker
