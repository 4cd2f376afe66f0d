// Copies of a data folder that is in use, and what a coordinator makes of one that is put back: rules and store are the
// coordinator's own, the workers are played.
#include "coordinator/backup/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "coordinator/backup/adopt.h"
#include "coordinator/core/job_manager.h"
#include "coordinator/errors/error_detail.h"
#include "coordinator/store/begun_salvage.h"
#include "coordinator/store/checkpoint_folder.h"
#include "coordinator/store/folder_lock.h"
#include "coordinator/store/identity_store.h"
#include "coordinator/store/sqlite_store.h"
#include "proto/files/hash.h"
#include "proto/pipe/events.h"
#include "proto/run/manifest.h"
#include "tests/testing/temp_dir.h"

namespace sink::backup {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr Now kNow{1'800'000'000'000, 1000};
constexpr int64_t kSeconds = kNow.unix_ms / 1000;

std::string Id(int n) {
  const std::string digits = std::to_string(n);
  return std::string(32 - digits.size(), '0') + digits;
}

class BackupTest : public ::testing::Test {
 protected:
  // A coordinator without a network, on a data folder.
  struct Coordinator {
    std::unique_ptr<store::SqliteStore> store;
    std::unique_ptr<JobManager> manager;
  };
  Coordinator Open(const std::string& folder) {
    Coordinator made;
    auto store = store::SqliteStore::Open(folder);
    EXPECT_TRUE(store.ok()) << store.status();
    made.store = *std::move(store);
    CoreOptions options;
    options.new_lease_id = [] { return "lease-" + std::to_string(++lease_ids); };
    auto manager = JobManager::Start(made.store.get(), options, nullptr, kNow);
    EXPECT_TRUE(manager.ok()) << manager.status();
    made.manager = *std::move(manager);
    return made;
  }

  static void Submit(JobManager& manager, int job, const std::string& config = "{}") {
    SubmitRequest request;
    request.sweep = "s" + std::to_string(job);
    request.retry_budget = {.infra = 10};
    request.jobs.push_back({.id = Id(job), .config_json = config, .max_steps = 100, .experiment = "e"});
    ASSERT_TRUE(manager.clients().Submit(request, kNow).ok());
  }
  static std::vector<Lease> Register(JobManager& manager, const std::vector<Lease>& held = {},
                                     const std::string& session = "a") {
    RegisterRequest request;
    request.worker_id = request.name = "w";
    request.session = session;
    request.devices = 4;
    request.held = held;
    const auto keep = manager.workers().Register(request, kNow);
    EXPECT_TRUE(keep.ok()) << keep.status();
    return *keep;
  }
  static Grant Ask(JobManager& manager, uint64_t poll, const std::string& session = "a") {
    const auto grants = manager.dispatcher().AcquireLeases({"w", session, poll, 1}, kNow);
    EXPECT_TRUE(grants.ok() && grants->size() == 1);
    return grants->front();
  }
  static absl::Status Say(JobManager& manager, const Lease& lease, uint64_t seq, int64_t step) {
    return manager.workers()
        .Report("w", lease, {{seq, pipe::Encode(pipe::Metrics{step, {{"loss", 1.0}}}), 1}}, kNow)
        .status();
  }
  // As the service leaves it: the files, then the row.
  void Commit(JobManager& manager, const Lease& lease, int64_t step, std::string bytes = "") {
    const std::string path = CheckpointPath("data", lease, step);
    fs::create_directories(path);
    if (bytes.empty()) bytes = "weights of step " + std::to_string(step);
    std::ofstream(path + "/model.safetensors") << bytes;
    const CheckpointFile file{"model.safetensors", bytes.size(), files::Hash(bytes)};
    const auto dropped =
        manager.workers().CommitCheckpoint("w", lease, {step, "hash-" + std::to_string(step), {file}, 0}, kNow);
    ASSERT_TRUE(dropped.ok()) << dropped.status();
    for (const Checkpoint& old : *dropped) fs::remove_all(CheckpointPath("data", lease, old.step));
  }
  // The first job, on its worker.
  static Lease StartJob(JobManager& manager) {
    Submit(manager, 1);
    Register(manager);
    return Ask(manager, 1).lease;
  }
  // The first three, by their ids.
  static std::map<std::string, Lease> StartJobs(JobManager& manager) {
    for (const int job : {1, 2, 3}) Submit(manager, job);
    Register(manager);
    std::map<std::string, Lease> leases;
    for (uint64_t poll = 1; poll <= 3; ++poll) {
      const Lease lease = Ask(manager, poll).lease;
      leases[lease.job_id] = lease;
    }
    return leases;
  }
  std::string CheckpointPath(const std::string& folder, const Lease& lease, int64_t step) {
    return (folder_ / folder) + "/checkpoints/" + lease.job_id + "/" + std::to_string(lease.fence) + "/step-" +
           std::to_string(step);
  }
  absl::StatusOr<Report> MakeCopy() { return Make(folder_ / "data", folder_ / "copy"); }
  absl::StatusOr<Report> PutBack(const std::string& folder, bool replace = false) {
    return Restore(folder_ / "copy", folder_ / folder, {replace, kSeconds});
  }

  static inline std::atomic<int> lease_ids = 0;
  testing::TempDir folder_;
};

TEST_F(BackupTest, ACopyOfARunningCoordinatorGoesOnWhereItWasMade) {
  Coordinator old = Open(folder_ / "data");
  const Lease lease = StartJob(*old.manager);
  ASSERT_TRUE(Say(*old.manager, lease, 1, 7).ok());
  Commit(*old.manager, lease, 5);
  ASSERT_TRUE(old.manager->checkpoints().Pin(Id(1), 5, true).ok());

  const auto report = MakeCopy();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->jobs, 1);
  EXPECT_EQ(report->checkpoints, 1);
  EXPECT_EQ(report->lost_checkpoints, 0);
  ASSERT_TRUE(PutBack("restored").ok());

  Coordinator restored = Open(folder_ / "restored");
  const auto points = restored.manager->queries().ReadMetrics(Id(1), {});
  ASSERT_EQ(points->size(), 1u);
  EXPECT_EQ(points->front().step, 7);
  EXPECT_TRUE(restored.manager->queries().ListCheckpoints(Id(1))->front().pinned);
  // Its worker comes back, goes on under the lease that the copy knows, and its newer events are taken.
  EXPECT_EQ(Register(*restored.manager, {lease}), std::vector<Lease>{lease});
  EXPECT_TRUE(Say(*restored.manager, lease, 2, 8).ok());
  EXPECT_TRUE(fs::exists(CheckpointPath("restored", lease, 5) + "/model.safetensors"));
}

TEST_F(BackupTest, LeasesGrantedAfterTheCopyAreStaleAndTheirJobsBeginAgainFromItsCheckpoint) {
  Coordinator old = Open(folder_ / "data");
  Submit(*old.manager, 1);
  Register(*old.manager);
  const Lease first = Ask(*old.manager, 1).lease;
  Commit(*old.manager, first, 5);
  ASSERT_TRUE(MakeCopy().ok());

  // What the copy does not know: coordinators that came after it, and an attempt that got further.
  old = {};
  old = Open(folder_ / "data");
  Register(*old.manager, {}, "b");  // another daemon, without the lease: it is lost
  const Lease second = Ask(*old.manager, 1, "b").lease;
  Commit(*old.manager, second, 20);
  old = {};
  ASSERT_TRUE(PutBack("restored").ok());

  Coordinator restored = Open(folder_ / "restored");
  // The copy knows the worker by the session of the daemon before: this one is told to register, not that it is stale.
  const auto beat = restored.manager->workers().Heartbeat({"w", "b", {}, 1}, kNow);
  EXPECT_TRUE(absl::IsNotFound(beat.status())) << beat.status();
  EXPECT_TRUE(Register(*restored.manager, {second}, "b").empty());
  EXPECT_TRUE(IsStaleLease(Say(*restored.manager, second, 1, 21)));
  const Grant third = Ask(*restored.manager, 1, "b");
  EXPECT_GT(third.lease.fence, second.fence);
  ASSERT_TRUE(third.resume_from.has_value());
  EXPECT_EQ(third.resume_from->step, 5);
}

TEST_F(BackupTest, TwoRestoresOfOneCopyNeverGiveOneFence) {
  Coordinator old = Open(folder_ / "data");
  Submit(*old.manager, 1);
  ASSERT_TRUE(MakeCopy().ok());
  old = {};
  ASSERT_TRUE(PutBack("data", /*replace=*/true).ok());
  old = Open(folder_ / "data");
  Register(*old.manager);
  const uint64_t fence = Ask(*old.manager, 1).lease.fence;
  old = {};
  ASSERT_TRUE(PutBack("data", /*replace=*/true).ok());
  old = Open(folder_ / "data");
  Register(*old.manager);
  EXPECT_GT(Ask(*old.manager, 1).lease.fence, fence);
  EXPECT_TRUE(fs::exists(folder_ / "data/sink.db.replaced"));
}

TEST_F(BackupTest, ADatabaseWhosePlaceWasTakenOutlivesARestoreAfterIt) {
  Coordinator old = Open(folder_ / "data");
  Submit(*old.manager, 1);
  ASSERT_TRUE(MakeCopy().ok());
  Submit(*old.manager, 2);  // what only the database that is replaced knows
  old = {};
  const auto first = PutBack("data", /*replace=*/true), second = PutBack("data", /*replace=*/true);
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_EQ(first->set_aside, folder_ / "data/sink.db.replaced");
  EXPECT_EQ(second->set_aside, folder_ / "data/sink.db.replaced-2");
  fs::create_directories(folder_ / "looked-at");
  for (const char* ending : {"", "-wal"}) {
    if (!fs::exists(first->set_aside + ending)) continue;
    fs::copy_file(first->set_aside + ending, (folder_ / "looked-at/sink.db") + ending);
  }
  EXPECT_EQ(Open(folder_ / "looked-at").manager->queries().ListJobs({})->size(), 2u);
  EXPECT_EQ(Open(folder_ / "data").manager->queries().ListJobs({})->size(), 1u);
  EXPECT_TRUE(PutBack("restored")->set_aside.empty());
}

TEST_F(BackupTest, NewerCheckpointsAreSetAsideByARestoreAndTheirJobGoesOnFromOneThatIsAdopted) {
  Coordinator old = Open(folder_ / "data");
  const Lease lease = StartJob(*old.manager);
  Commit(*old.manager, lease, 5);
  ASSERT_TRUE(MakeCopy().ok());
  Commit(*old.manager, lease, 10);
  old = {};
  const std::string newer = CheckpointPath("data", lease, 10);
  ASSERT_TRUE(run::WriteManifest(newer, 10).ok());
  const auto restored = PutBack("data", /*replace=*/true);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->checkpoints, 1);
  EXPECT_EQ(restored->checkpoints_set_aside, 1);
  EXPECT_TRUE(fs::exists(CheckpointPath("data", lease, 5)));
  EXPECT_FALSE(fs::exists(newer));
  EXPECT_FALSE(fs::exists(store::SalvageNote(folder_ / "data")));

  Adoption adoption;
  const absl::Status adopted = Adopt(folder_ / "data", {}, /*unix_seconds=*/1'800'000'000, &adoption);
  ASSERT_TRUE(adopted.ok()) << adopted;
  EXPECT_EQ(adoption.jobs.size(), 1u);
  EXPECT_TRUE(fs::exists(newer + "/model.safetensors"));
  Coordinator coordinator = Open(folder_ / "data");
  Register(*coordinator.manager, {}, "b");  // another daemon: the job is queued again
  const Grant grant = Ask(*coordinator.manager, 1, "b");
  EXPECT_GT(grant.lease.fence, lease.fence);
  ASSERT_TRUE(grant.resume_from.has_value());
  EXPECT_EQ(grant.resume_from->step, 10);
  EXPECT_EQ(grant.resume_from->fence, lease.fence);
}

TEST_F(BackupTest, ADamagedPageIsSaidWithTheWaysOut) {
  Coordinator old = Open(folder_ / "data");
  Submit(*old.manager, 1);
  old = {};
  constexpr int kPage = 4096;
  {
    const auto db = store::Database::Open(folder_ / "data/sink.db", store::Database::Mode::kUnchanging);
    ASSERT_TRUE(db.ok()) << db.status();
    const auto root = (*db)->QueryInt("SELECT rootpage FROM sqlite_schema WHERE name = 'logs'");
    ASSERT_TRUE(root.ok()) << root.status();
    std::fstream file(folder_ / "data/sink.db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp((*root - 1) * kPage);
    file << std::string(kPage, '\xff');
  }
  const absl::Status damaged = MakeCopy().status();
  EXPECT_TRUE(absl::IsDataLoss(damaged)) << damaged;
  for (const char* way_out : {"sink-backup restore --from BACKUP --data DIR --replace", "sqlite3 FILE .recover"})
    EXPECT_THAT(std::string(damaged.message()), HasSubstr(way_out));
}

TEST_F(BackupTest, ALogThatWasLeftBehindIsNotLaidOverTheDatabaseThatTakesItsPlace) {
  Coordinator old = Open(folder_ / "data");
  Submit(*old.manager, 1);
  ASSERT_TRUE(MakeCopy().ok());
  Submit(*old.manager, 2);
  fs::create_directories(folder_ / "restored");
  for (const char* folder : {"copy", "restored"})
    fs::copy_file(folder_ / "data/sink.db-wal", (folder_ / folder) + "/sink.db-wal");
  Submit(*old.manager, 3);
  ASSERT_TRUE(MakeCopy().ok());
  EXPECT_FALSE(fs::exists(folder_ / "copy/sink.db-wal"));
  ASSERT_TRUE(PutBack("restored").ok());
  EXPECT_EQ(Open(folder_ / "restored").manager->queries().ListJobs({})->size(), 3u);
  EXPECT_TRUE(fs::exists(folder_ / "restored/sink.db.replaced-wal")) << "it may be all that is left of somebody's";
}

TEST_F(BackupTest, AFurtherCopyAddsWhatIsNewAndForgetsWhatIsGone) {
  Coordinator old = Open(folder_ / "data");
  const Lease lease = StartJob(*old.manager);
  Commit(*old.manager, lease, 5);
  Commit(*old.manager, lease, 10);
  ASSERT_TRUE(MakeCopy().ok());
  Commit(*old.manager, lease, 15);  // pushes out 5
  const auto report = MakeCopy();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->checkpoints, 2);
  EXPECT_EQ(report->bytes, std::string("weights of step 15").size());
  EXPECT_FALSE(fs::exists(CheckpointPath("copy", lease, 5)));
  EXPECT_TRUE(fs::exists(CheckpointPath("copy", lease, 10)));
  EXPECT_TRUE(fs::exists(CheckpointPath("copy", lease, 15)));
}

TEST_F(BackupTest, ACheckpointThatIsDamagedWhereItWasCopiedToIsCopiedAnew) {
  Coordinator old = Open(folder_ / "data");
  const Lease lease = StartJob(*old.manager);
  Commit(*old.manager, lease, 5);
  ASSERT_TRUE(MakeCopy().ok());
  const auto damage = [&](const std::string& folder) {
    std::ofstream(CheckpointPath(folder, lease, 5) + "/model.safetensors") << "Weights of step 5";
  };
  damage("copy");
  const auto again = Make(folder_ / "data", folder_ / "copy", /*read_again=*/true);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->bytes, std::string("weights of step 5").size());
  EXPECT_EQ(Make(folder_ / "data", folder_ / "copy", /*read_again=*/true)->bytes, 0u) << "it is whole now";
  old = {};
  damage("data");  // by the same disk as the database, which is why it is restored
  const auto restored = PutBack("data", /*replace=*/true);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->checkpoints, 1);
  EXPECT_TRUE(restored->begun_anew.empty());
  damage("copy");
  const auto lost = PutBack("elsewhere");
  ASSERT_TRUE(lost.ok()) << lost.status();
  EXPECT_EQ(lost->begun_anew, std::vector<std::string>{Id(1)});
  EXPECT_EQ(files::HashFile(CheckpointPath("data", lease, 5) + "/model.safetensors")->xxh3,
            files::Hash("weights of step 5"));
}

TEST_F(BackupTest, AFileThatCannotBeReadCostsItsCheckpointAndNotTheCopy) {
  Coordinator old = Open(folder_ / "data");
  const Lease lease = StartJob(*old.manager);
  Commit(*old.manager, lease, 5);
  Commit(*old.manager, lease, 10);
  const std::string file = CheckpointPath("data", lease, 10) + "/model.safetensors";
  fs::remove(file);
  fs::create_symlink(file, file);  // its content is nowhere, as on a bad sector
  const auto report = MakeCopy();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->checkpoints, 1);
  EXPECT_EQ(report->lost_checkpoints, 1);
}

// Which number the folder of checkpoints has, and which one its database knows.
TEST_F(BackupTest, TheDatabaseOfACopyAndOfWhatIsMadeOfItKnowsTheFolderOfCheckpointsBesideIt) {
  const auto number_of = [this](const std::string& folder) {
    return store::ReadFolderId((folder_ / folder) + "/checkpoints").value_or(-1);
  };
  const auto known_by = [](Coordinator coordinator) {
    int64_t known = -1;
    EXPECT_TRUE(coordinator.store
                    ->Read([&known](store::Snapshot& rows) {
                      known = rows.GetMark(store::kFolderIdMark).value_or(-1);
                      return absl::OkStatus();
                    })
                    .ok());
    return known;
  };
  const auto start = [this](const std::string& folder) {  // as a coordinator's start does
    Coordinator made = Open(folder_ / folder);
    EXPECT_TRUE(store::KnownFolderId(made.store.get(), (folder_ / folder) + "/checkpoints").ok());
    return made;
  };
  Coordinator old = start("data");
  Commit(*old.manager, StartJob(*old.manager), 5);
  ASSERT_TRUE(MakeCopy().ok());
  ASSERT_TRUE(MakeCopy().ok());  // removes from the copy what nobody names
  old = {};
  EXPECT_GT(number_of("copy"), 0);
  EXPECT_NE(number_of("copy"), number_of("data"));
  ASSERT_TRUE(PutBack("restored").ok());
  EXPECT_GT(number_of("restored"), 0);
  EXPECT_EQ(known_by(Open(folder_ / "restored")), number_of("restored"));
  const int64_t before = number_of("data");
  ASSERT_TRUE(PutBack("data", /*replace=*/true).ok());
  EXPECT_EQ(number_of("data"), before);
  EXPECT_EQ(known_by(Open(folder_ / "data")), before);
  EXPECT_EQ(known_by(Open(folder_ / "copy")), number_of("copy")) << "in case one is started where the copy lies";
}

TEST_F(BackupTest, WhatIsMissingWhileTheDiskOfTheCheckpointsIsAwayIsNotTakenForLost) {
  Coordinator old = Open(folder_ / "data");
  ASSERT_TRUE(store::KnownFolderId(old.store.get(), folder_ / "data/checkpoints").ok());
  Commit(*old.manager, StartJob(*old.manager), 5);
  ASSERT_TRUE(MakeCopy().ok());
  fs::rename(folder_ / "data/checkpoints", folder_ / "unmounted");
  fs::create_directories(folder_ / "data/checkpoints");
  const absl::Status refused = MakeCopy().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_NE(refused.message().find("mount their disk"), std::string::npos) << refused;
  fs::remove(folder_ / "data/checkpoints");
  fs::rename(folder_ / "unmounted", folder_ / "data/checkpoints");
  const auto report = MakeCopy();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->lost_checkpoints, 0);
  old = {};
  fs::rename(folder_ / "copy/checkpoints", folder_ / "unmounted");
  EXPECT_TRUE(absl::IsFailedPrecondition(PutBack("restored").status()));
}

TEST_F(BackupTest, WhereFilesAreGoneTheCopyKeepsWhatItHasOfBefore) {
  Coordinator old = Open(folder_ / "data");
  const Lease lease = StartJob(*old.manager);
  Commit(*old.manager, lease, 5);
  ASSERT_TRUE(MakeCopy().ok());
  const std::string copied = CheckpointPath("copy", lease, 5);
  ASSERT_TRUE(fs::exists(copied));
  Commit(*old.manager, lease, 10);
  ASSERT_TRUE(old.store->Write([](store::Transaction& rows) { return rows.DeleteCheckpoint(Id(1), 5); }).ok());
  fs::remove_all(CheckpointPath("data", lease, 10));
  const auto report = MakeCopy();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->lost_checkpoints, 1);
  EXPECT_TRUE(fs::exists(copied)) << "all that there is";
}

TEST_F(BackupTest, AJobWhoseNewCheckpointsWentBeforeTheyWereCopiedGoesOnFromTheOneThatTheCopyHad) {
  Coordinator old = Open(folder_ / "data");
  const Lease lease = StartJob(*old.manager);
  Commit(*old.manager, lease, 5);
  Commit(*old.manager, lease, 10);
  ASSERT_TRUE(old.manager->checkpoints().Pin(Id(1), 10, true).ok());
  ASSERT_TRUE(MakeCopy().ok());
  Commit(*old.manager, lease, 15);
  Commit(*old.manager, lease, 20);
  // As if others had pushed it out, too.
  ASSERT_TRUE(old.store->Write([](store::Transaction& rows) { return rows.DeleteCheckpoint(Id(1), 10); }).ok());
  for (const int64_t step : {15, 20}) fs::remove_all(CheckpointPath("data", lease, step));
  for (int time = 0; time < 2; ++time) {  // what stands in is there the next time, too
    const auto report = MakeCopy();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->lost_checkpoints, 2);
    EXPECT_EQ(report->checkpoints, 1) << "the newest that it had";
    EXPECT_TRUE(report->begun_anew.empty());
  }
  EXPECT_FALSE(fs::exists(folder_ / "copy/sink.db.former"));
  const int attempt = old.manager->queries().ListCheckpoints(Id(1))->front().attempt;
  old = {};
  ASSERT_TRUE(PutBack("restored").ok());
  Coordinator restored = Open(folder_ / "restored");
  const auto rows = restored.manager->queries().ListCheckpoints(Id(1));
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(rows->front().step, 10);
  EXPECT_EQ(rows->front().attempt, attempt);
  EXPECT_EQ(rows->front().fence, lease.fence);
  EXPECT_TRUE(rows->front().pinned);
  Register(*restored.manager, {}, "b");  // another daemon: the job is queued again
  const Grant grant = Ask(*restored.manager, 1, "b");
  ASSERT_TRUE(grant.resume_from.has_value());
  EXPECT_EQ(grant.resume_from->step, 10);
}

TEST_F(BackupTest, WhatTheCopyHadStandsInOnlyWhereItIsWholeAndLaterThanAllThatIsLeft) {
  Coordinator old = Open(folder_ / "data");
  const std::map<std::string, Lease> leases = StartJobs(*old.manager);
  ASSERT_EQ(leases.size(), 3u);
  for (const int job : {1, 2, 3}) Commit(*old.manager, leases.at(Id(job)), 10);
  ASSERT_TRUE(MakeCopy().ok());
  std::ofstream(CheckpointPath("copy", leases.at(Id(1)), 10) + "/model.safetensors") << "Weights of step 10";
  for (const int job : {1, 2, 3}) {
    Commit(*old.manager, leases.at(Id(job)), 20);
    ASSERT_TRUE(old.store->Write([&](store::Transaction& rows) { return rows.DeleteCheckpoint(Id(job), 10); }).ok());
  }
  Commit(*old.manager, leases.at(Id(2)), 30);  // and has 20
  for (const auto& [job, step] : std::map<int, int64_t>{{1, 20}, {2, 30}, {3, 20}})
    fs::remove_all(CheckpointPath("data", leases.at(Id(job)), step));
  const auto report = MakeCopy();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->lost_checkpoints, 3);
  EXPECT_EQ(report->begun_anew, std::vector<std::string>{Id(1)}) << "its own is damaged";
  old = {};
  ASSERT_TRUE(PutBack("restored").ok());
  Coordinator restored = Open(folder_ / "restored");
  EXPECT_TRUE(restored.manager->queries().ListCheckpoints(Id(1))->empty());
  for (const auto& [job, step] : std::map<int, int64_t>{{2, 20}, {3, 10}}) {
    const auto rows = restored.manager->queries().ListCheckpoints(Id(job));
    ASSERT_EQ(rows->size(), 1u) << job;
    EXPECT_EQ(rows->front().step, step) << job;
  }
}

TEST_F(BackupTest, ACheckpointThatIsPushedOutAfterItWasCopiedServesWhereThoseAfterItAreTooFast) {
  Coordinator old = Open(folder_ / "data");
  const std::map<std::string, Lease> leases = StartJobs(*old.manager);
  ASSERT_EQ(leases.size(), 3u);
  Commit(*old.manager, leases.at(Id(1)), 10);
  Commit(*old.manager, leases.at(Id(2)), 10, std::string(32 << 20, 'w'));  // while it is copied, the first one's goes
  Commit(*old.manager, leases.at(Id(3)), 10);
  fs::remove_all(CheckpointPath("data", leases.at(Id(3)), 10));  // so that there is a second try
  Checkpoint next = old.manager->queries().ListCheckpoints(Id(1))->front();
  next.step = 15;  // whose files go before any try comes to them
  std::atomic<bool> stop = false;
  std::thread pushing([&] {
    while (!stop && !fs::exists(CheckpointPath("copy", leases.at(Id(1)), 10)))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const absl::Status pushed = old.store->Write([&](store::Transaction& rows) {
      absl::Status status = rows.DeleteCheckpoint(Id(1), 10);
      status.Update(rows.PutCheckpoint(next));
      return status;
    });
    EXPECT_TRUE(pushed.ok()) << pushed;
  });
  const auto report = MakeCopy();
  stop = true;
  pushing.join();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->checkpoints, 2);
  EXPECT_EQ(report->begun_anew, std::vector<std::string>{Id(3)});
  old = {};
  ASSERT_TRUE(PutBack("restored").ok());
  const auto rows = Open(folder_ / "restored").manager->queries().ListCheckpoints(Id(1));
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(rows->front().step, 10);
}

TEST_F(BackupTest, ACoordinatorThatWasBegunAnewDoesNotTakeThePlaceOfTheCopy) {
  {
    Coordinator old = Open(folder_ / "data");
    Submit(*old.manager, 1);
  }
  Open(folder_ / "data");  // started twice
  ASSERT_TRUE(MakeCopy().ok());
  fs::remove_all(folder_ / "data");
  {
    const Coordinator anew = Open(folder_ / "data");
    const auto refused = MakeCopy();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("begun anew"));
  }
  ASSERT_TRUE(PutBack("restored").ok());
  EXPECT_TRUE(Open(folder_ / "restored").manager->queries().GetJob(Id(1)).ok());
}

TEST_F(BackupTest, ADamagedCheckpointIsLeftOutAndSaid) {
  Coordinator old = Open(folder_ / "data");
  const Lease lease = StartJob(*old.manager);
  Commit(*old.manager, lease, 5);
  Commit(*old.manager, lease, 10);
  std::ofstream(CheckpointPath("data", lease, 10) + "/model.safetensors") << "Weights of step 10";
  const auto report = MakeCopy();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->lost_checkpoints, 1);
  ASSERT_TRUE(PutBack("restored").ok());
  const auto rows = Open(folder_ / "restored").manager->queries().ListCheckpoints(Id(1));
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(rows->front().step, 5);
}

TEST_F(BackupTest, WhoMayCallComesAlongAndWhatIsThereStays) {
  Coordinator old = Open(folder_ / "data");
  fs::create_directories(folder_ / "data/tls/server");
  std::ofstream(folder_ / "data/tls/ca.key.pem") << "the key";
  std::ofstream(folder_ / "data/tls/server/cert.pem") << "a certificate";
  auto identity = store::IdentityStore::Open(folder_ / "data/tls/identity.db");
  ASSERT_TRUE(identity.ok()) << identity.status();
  ASSERT_TRUE((*identity)->Put(Principal{.name = "user/ada"}).ok());
  ASSERT_TRUE(MakeCopy().ok());
  ASSERT_TRUE(MakeCopy().ok()) << "over one that is there";
  ASSERT_TRUE(PutBack("restored").ok());
  for (const char* file : {"ca.key.pem", "server/cert.pem", "identity.db"}) {
    const fs::path path = folder_ / ("restored/tls/" + std::string(file));
    EXPECT_EQ(fs::status(path).permissions() & fs::perms(0077), fs::perms::none) << path << " is open to others";
  }
  std::string key;
  std::getline(std::ifstream(folder_ / "restored/tls/ca.key.pem"), key);
  EXPECT_EQ(key, "the key");
  EXPECT_EQ((*store::IdentityStore::Open(folder_ / "restored/tls/identity.db"))->Principals()->size(), 1u);

  ASSERT_TRUE((*identity)->RemovePrincipal("user/ada").ok());
  identity->reset();
  old = {};
  ASSERT_TRUE(PutBack("data", /*replace=*/true).ok());
  EXPECT_TRUE((*store::IdentityStore::Open(folder_ / "data/tls/identity.db"))->Principals()->empty())
      << "who was removed since the copy is back";
}

TEST_F(BackupTest, RestoringWritesNothingToTheCopy) {
  Coordinator old = Open(folder_ / "data");
  Submit(*old.manager, 1);
  Register(*old.manager);
  Commit(*old.manager, Ask(*old.manager, 1).lease, 5);
  fs::create_directories(folder_ / "data/tls");
  const auto identity = store::IdentityStore::Open(folder_ / "data/tls/identity.db");
  ASSERT_TRUE(identity.ok()) << identity.status();
  ASSERT_TRUE(MakeCopy().ok());
  // A folder's time is that of the last file that came or went, such as SQLite's beside a database that is read.
  const auto times = [this] {
    std::map<fs::path, fs::file_time_type> found = {{folder_ / "copy", fs::last_write_time(folder_ / "copy")}};
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "copy"))
      found[entry.path()] = entry.last_write_time();
    return found;
  };
  const auto before = times();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // more than a file system's clock tick
  const auto report = PutBack("restored");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->checkpoints, 1);
  EXPECT_TRUE(times() == before);
  EXPECT_EQ(Open(folder_ / "restored").manager->queries().ListJobs({})->size(), 1u);
}

TEST_F(BackupTest, ACopyWithALogBesideItIsRestoredWithWhatTheLogHas) {
  {
    Coordinator old = Open(folder_ / "data");
    Submit(*old.manager, 1);
    fs::create_directories(folder_ / "copy");
    for (const char* name : {"sink.db", "sink.db-wal", "sink.db-shm"})  // as after a crash: nothing was put together
      fs::copy_file(folder_ / ("data/" + std::string(name)), folder_ / ("copy/" + std::string(name)));
  }
  ASSERT_TRUE(PutBack("restored").ok());
  EXPECT_EQ(Open(folder_ / "restored").manager->queries().ListJobs({})->size(), 1u);
}

TEST_F(BackupTest, IsOfOneMomentWhileOthersWrite) {
  Coordinator old = Open(folder_ / "data");
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int job = 10; !stop; ++job) Submit(*old.manager, job);
  });
  for (int n = 0; n < 5; ++n) {
    const auto report = MakeCopy();
    ASSERT_TRUE(report.ok()) << report.status();
    fs::remove_all(folder_ / "restored");
    ASSERT_TRUE(PutBack("restored").ok());
    // A submission's job and sweep are there both or neither.
    Coordinator restored = Open(folder_ / "restored");
    EXPECT_EQ(restored.manager->queries().ListJobs({})->size(), restored.manager->queries().ListSweeps()->size());
    EXPECT_EQ(static_cast<int64_t>(restored.manager->queries().ListJobs({})->size()), report->jobs);
  }
  stop = true;
  writer.join();
}

TEST_F(BackupTest, OnADiskWithRoomForHalfOfItFailsAndLeavesTheCopyBefore) {
  const std::string disk = folder_ / "disk";
  fs::create_directories(disk);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=12m") != 0) GTEST_SKIP() << "mounting a small disk needs root";
  const auto unmount = absl::MakeCleanup([&disk] { umount(disk.c_str()); });
  Coordinator old = Open(folder_ / "data");
  Submit(*old.manager, 1);
  ASSERT_TRUE(Make(folder_ / "data", disk + "/copy").ok());
  for (int job = 2; job < 10; ++job) Submit(*old.manager, job, std::string(1 << 20, 'x'));
  // SQLite's log of the copy has room, the file beside it not.
  const auto failed = Make(folder_ / "data", disk + "/copy");
  EXPECT_TRUE(absl::IsResourceExhausted(failed.status())) << failed.status();
  ASSERT_TRUE(Restore(disk + "/copy", folder_ / "restored", {.unix_seconds = kSeconds}).ok());
  EXPECT_EQ(Open(folder_ / "restored").manager->queries().ListJobs({})->size(), 1u);
}

TEST_F(BackupTest, AFolderThatIsRestoredIsPrivateAndThoseAboveItLetItsOwnerThrough) {
  const mode_t usual = umask(022);
  const auto put_back = absl::MakeCleanup([usual] { umask(usual); });
  Coordinator old = Open(folder_ / "data");
  ASSERT_TRUE(MakeCopy().ok());
  ASSERT_TRUE(PutBack("lib/sink/coordinator/").ok());
  for (const char* above : {"lib", "lib/sink"})
    EXPECT_NE(fs::status(folder_ / above).permissions() & fs::perms::others_exec, fs::perms::none) << above;
  EXPECT_EQ(fs::status(folder_ / "lib/sink/coordinator").permissions(), fs::perms::owner_all);
}

TEST_F(BackupTest, WhatRootRestoresIsTheFoldersOwners) {
  if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  Coordinator old = Open(folder_ / "data");
  const Lease lease = StartJob(*old.manager);
  Commit(*old.manager, lease, 5);
  fs::create_directories(folder_ / "data/tls");
  std::ofstream(folder_ / "data/tls/ca.key.pem") << "the key";
  ASSERT_TRUE(MakeCopy().ok());
  const std::string theirs = folder_ / "theirs", mine = folder_ / "mine";
  constexpr uid_t kUser = 12345, kGroup = 23456;
  fs::create_directories(theirs);
  std::ofstream(theirs + "/sink.db") << "what is damaged";
  std::ofstream(mine) << "a file of root elsewhere";
  fs::create_symlink(mine, theirs + "/link");
  ASSERT_EQ(chown(theirs.c_str(), kUser, kGroup), 0);
  ASSERT_TRUE(PutBack("theirs", /*replace=*/true).ok());
  struct stat info = {};
  for (const auto& entry : fs::recursive_directory_iterator(theirs)) {
    ASSERT_EQ(lstat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, kUser) << entry.path();
    EXPECT_EQ(info.st_gid, kGroup) << entry.path();
  }
  EXPECT_TRUE(fs::exists(CheckpointPath("theirs", lease, 5) + "/model.safetensors"));
  EXPECT_TRUE(fs::exists(theirs + "/tls/ca.key.pem"));
  ASSERT_EQ(stat(mine.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0u) << "a link was followed";
}

TEST_F(BackupTest, IsMadeOnlyInAFolderThatNobodyHas) {
  Coordinator running = Open(folder_ / "data"), other = Open(folder_ / "other");
  Submit(*running.manager, 1);
  const auto over_other = Make(folder_ / "data", folder_ / "other");
  EXPECT_TRUE(absl::IsFailedPrecondition(over_other.status()));
  EXPECT_THAT(std::string(over_other.status().message()), HasSubstr("another coordinator"));
  other = {};
  EXPECT_TRUE(Open(folder_ / "other").manager->queries().ListJobs({})->empty()) << "its database was replaced";

  ASSERT_TRUE(MakeCopy().ok());
  const auto lock = store::LockFolder(folder_ / "copy");  // as one that was started before and is slow
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_THAT(std::string(MakeCopy().status().message()), HasSubstr("or a sink-backup"));
  close(*lock);
  EXPECT_TRUE(MakeCopy().ok());

  running = {};
  EXPECT_THAT(std::string(Make(folder_ / "data", folder_ / "./data").status().message()), HasSubstr("itself"));
}

TEST_F(BackupTest, RefusesToTakeThePlaceOfADatabaseUnasked) {
  Coordinator old = Open(folder_ / "data");
  ASSERT_TRUE(MakeCopy().ok());
  const auto running = PutBack("data", /*replace=*/true);
  EXPECT_THAT(std::string(running.status().message()), HasSubstr("another coordinator"));
  old = {};
  const auto unasked = PutBack("data");
  EXPECT_THAT(std::string(unasked.status().message()), HasSubstr("--replace"));
  EXPECT_FALSE(Make(folder_ / "nothing", folder_ / "copy").ok());
}

}  // namespace
}  // namespace sink::backup
