// Going on with what stands before the damage in a log, on folders as kill -9 leaves them: the rules are the
// coordinator's own.
#include "coordinator/backup/salvage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/backup/backup.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/begun_salvage.h"
#include "coordinator/store/checkpoint_folder.h"
#include "coordinator/store/identity_store.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/testing/temp_dir.h"

namespace sink::backup {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr int64_t kSalvagedAt = 1'800'000'000, kSecondsAt2020 = 1'577'836'800;
constexpr uint64_t kFence = (uint64_t{3} << 32) + 1;
constexpr size_t kLogHeaderBytes = 32, kFrameBytes = 24 + 4096;

std::string ContentOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

size_t FramesIn(const std::string& log) { return (fs::file_size(log) - kLogHeaderBytes) / kFrameBytes; }

void DamageFrame(const std::string& log, size_t frame) {
  std::string bytes = ContentOf(log);
  bytes[kLogHeaderBytes + (frame - 1) * kFrameBytes + 1000] ^= 1;
  std::ofstream(log, std::ios::binary) << bytes;
}

class SalvageTest : public ::testing::Test {
 protected:
  static std::string JobId(int n) { return absl::StrCat(n, std::string(31, 'b')); }

  std::unique_ptr<store::SqliteStore> Open(const std::string& name) {
    auto store = store::SqliteStore::Open(folder_ / name);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  static void Must(const absl::Status& status) { ASSERT_TRUE(status.ok()) << status; }

  static void AddJob(store::JobStore& store, int n) {
    Must(store.Write([n](store::Transaction& rows) -> absl::Status {
      Sweep sweep;
      sweep.name = "s";
      SINK_RETURN_IF_ERROR(rows.PutSweep(sweep));
      Job job;
      job.id = JobId(n);
      job.home_sweep = "s";
      return rows.InsertJob(job, "{}");
    }));
  }

  // As the service leaves it: the files, then the row.
  void AddCheckpoint(store::JobStore& store, int64_t step) {
    const std::string path = CheckpointOf("live", step);
    fs::create_directories(path);
    std::ofstream(path + "/model.safetensors") << "weights";
    const Checkpoint row{JobId(1), step, 1, kFence, "hash", {{"model.safetensors", 7, "x"}}, 1};
    Must(store.Write([&row](store::Transaction& rows) { return rows.PutCheckpoint(row); }));
  }
  std::string CheckpointOf(const std::string& name, int64_t step, const std::string& under = "checkpoints/") {
    return absl::StrCat(folder_ / name, "/", under, JobId(1), "/", kFence, "/step-", step);
  }

  std::vector<Checkpoint> RowsIn(const std::string& name) {
    std::vector<Checkpoint> found;
    Must(Open(name)->Read([&found](store::Snapshot& rows) -> absl::Status {
      SINK_ASSIGN_OR_RETURN(found, rows.ListCheckpoints(JobId(1)));
      return absl::OkStatus();
    }));
    return found;
  }

  void Kill() {  // `live`, as `dead`
    fs::create_directories(folder_ / "dead");
    for (const char* name : {"/sink.db", "/sink.db-wal"})
      fs::copy_file((folder_ / "live") + name, (folder_ / "dead") + name);
  }

  // What a coordinator leaves that was killed: `dead`, whose log lost what came after the first step's checkpoint.
  void LeaveDamagedFolder() {
    Open("live").reset();
    const auto store = Open("live");
    Must(store->Write([](store::Transaction& rows) { return rows.SetEpoch(3); }));
    AddJob(*store, 1);
    AddCheckpoint(*store, 10);
    const size_t kept = FramesIn(folder_ / "live/sink.db-wal");
    AddCheckpoint(*store, 20);
    AddJob(*store, 2);
    AddJob(*store, 3);
    Kill();
    fs::copy((folder_ / "live") + "/checkpoints", (folder_ / "dead") + "/checkpoints", fs::copy_options::recursive);
    DamageFrame(folder_ / "dead/sink.db-wal", kept + 1);
  }

  // The same with both checkpoints before the damage, and of them 10 is gone. `known_folder`: as the database knows
  // theirs; 0: it knows none.
  void LeaveOneOfTwoCheckpoints(int64_t known_folder = 0) {
    Open("live").reset();
    const auto store = Open("live");
    Must(store->Write([=](store::Transaction& rows) { return rows.PutMark(store::kFolderIdMark, known_folder); }));
    AddJob(*store, 1);
    AddCheckpoint(*store, 10);
    AddCheckpoint(*store, 20);
    const size_t kept = FramesIn(folder_ / "live/sink.db-wal");
    for (const int n : {2, 3, 4}) AddJob(*store, n);
    Kill();
    DamageFrame(folder_ / "dead/sink.db-wal", kept + 1);
    fs::copy((folder_ / "live") + "/checkpoints", (folder_ / "dead") + "/checkpoints", fs::copy_options::recursive);
    fs::remove_all(CheckpointOf("dead", 10));
  }

  // `dead` as a salvage leaves it that was stopped when its note was written and `moves` of its four renames were made.
  void StopSalvage(const std::string& name, int moves) {
    if (!fs::exists(folder_ / "whole")) {
      fs::copy(folder_ / "dead", folder_ / "whole", fs::copy_options::recursive);
      ASSERT_TRUE(Salvage(folder_ / "whole", kSalvagedAt).ok());
    }
    fs::copy(folder_ / "dead", folder_ / name, fs::copy_options::recursive);
    const std::string place = folder_ / name + "/sink.db";
    fs::copy_file(folder_ / "whole/sink.db", place + ".part");
    std::ofstream(store::SalvageNote(folder_ / name))
        << "jobs 1\nforgotten 0\nanew 0\ndatabase sink.db sink.db.replaced\ncheckpoint " << JobId(1) << "/" << kFence
        << "/step-20\n";
    if (moves > 0) fs::rename(place + "-wal", place + ".replaced-wal");
    if (moves > 1) fs::rename(place, place + ".replaced");
    if (moves > 2) fs::rename(place + ".part", place);
    if (moves > 3) {
      const std::string aside = CheckpointOf(name, 20, "checkpoints/set-aside/");
      fs::create_directories(fs::path(aside).parent_path());
      fs::rename(CheckpointOf(name, 20), aside);
    }
  }

  void ExpectSalvaged(const std::string& name) {
    const std::string place = folder_ / name + "/sink.db";
    const auto salvaged = Salvage(folder_ / name, kSalvagedAt);
    ASSERT_TRUE(salvaged.ok()) << salvaged.status();
    EXPECT_EQ(salvaged->jobs, 1);
    EXPECT_EQ(salvaged->checkpoints, 1);
    EXPECT_EQ(salvaged->set_aside, std::vector<std::string>{place + ".replaced"});
    EXPECT_TRUE(ContentOf(place) == ContentOf(folder_ / "whole/sink.db"));
    EXPECT_TRUE(ContentOf(place + ".replaced") == ContentOf(folder_ / "dead/sink.db"));
    EXPECT_TRUE(ContentOf(place + ".replaced-wal") == ContentOf(folder_ / "dead/sink.db-wal"));
    EXPECT_FALSE(fs::exists(place + ".part"));
    EXPECT_FALSE(fs::exists(place + "-wal"));
    EXPECT_TRUE(fs::exists(CheckpointOf(name, 20, "checkpoints/set-aside/") + "/model.safetensors"));
    EXPECT_NE(Open(name), nullptr);
  }

  testing::TempDir folder_;
};

TEST_F(SalvageTest, GoesOnBeforeTheDamageAsARestoredCoordinatorAndDeletesNothing) {
  LeaveDamagedFolder();
  const std::string database = ContentOf(folder_ / "dead/sink.db"), log = ContentOf(folder_ / "dead/sink.db-wal");
  ASSERT_TRUE(absl::IsDataLoss(store::SqliteStore::Open(folder_ / "dead").status()));
  const auto salvaged = Salvage(folder_ / "dead", kSalvagedAt);
  ASSERT_TRUE(salvaged.ok()) << salvaged.status();
  EXPECT_EQ(salvaged->jobs, 1);
  EXPECT_EQ(salvaged->checkpoints, 1);
  EXPECT_FALSE(salvaged->identity);
  EXPECT_EQ(salvaged->set_aside, std::vector<std::string>{folder_ / "dead/sink.db.replaced"});
  EXPECT_TRUE(ContentOf(folder_ / "dead/sink.db.replaced") == database);
  EXPECT_TRUE(ContentOf(folder_ / "dead/sink.db.replaced-wal") == log);
  EXPECT_TRUE(fs::exists(CheckpointOf("dead", 10) + "/model.safetensors"));
  EXPECT_FALSE(fs::exists(CheckpointOf("dead", 20)));
  EXPECT_TRUE(fs::exists(CheckpointOf("dead", 20, "checkpoints/set-aside/") + "/model.safetensors"));
  const auto store = Open("dead");
  ASSERT_NE(store, nullptr);
  Must(store->Read([](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const uint64_t epoch, rows.GetEpoch());
    EXPECT_GE(epoch, static_cast<uint64_t>(kSalvagedAt - kSecondsAt2020)) << "a fence may be given again";
    SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> checkpoints, rows.ListCheckpoints(JobId(1)));
    EXPECT_EQ(checkpoints.size(), 1u);
    return absl::OkStatus();
  }));
}

TEST_F(SalvageTest, IsRefusedWhereNoLogIsDamaged) {
  auto store = Open("live");
  EXPECT_THAT(std::string(Salvage(folder_ / "live", kSalvagedAt).status().message()), HasSubstr("another coordinator"));
  store.reset();
  const auto whole = Salvage(folder_ / "live", kSalvagedAt);
  EXPECT_TRUE(absl::IsFailedPrecondition(whole.status()));
  EXPECT_THAT(std::string(whole.status().message()), HasSubstr("no database in"));
  const std::string live = folder_ / "live";
  EXPECT_THAT(std::string(whole.status().message()), HasSubstr("--data " + live + " --replace"));
  EXPECT_THAT(std::string(whole.status().message()), HasSubstr("sqlite3 " + live + "/sink.db .recover"));
  EXPECT_THAT(std::string(Salvage(folder_ / "nothing", kSalvagedAt).status().message()), HasSubstr("no coordinator's"));
}

TEST_F(SalvageTest, WhoMayCallIsSalvagedBesideJobsThatAreWhole) {
  Open("dead").reset();
  fs::create_directories(folder_ / "dead/tls");
  fs::create_directories(folder_ / "live/tls");
  const std::string log = folder_ / "dead/tls/identity.db-wal";
  ASSERT_TRUE(store::IdentityStore::Open(folder_ / "live/tls/identity.db").ok());  // what makes it fills a longer log
  {
    const auto identity = store::IdentityStore::Open(folder_ / "live/tls/identity.db");
    ASSERT_TRUE(identity.ok()) << identity.status();
    size_t second = 0;  // the frame that commits it
    for (const char* name : {"user/a", "user/b", "user/c"}) {
      if (std::string(name) == "user/c") second = FramesIn(folder_ / "live/tls/identity.db-wal");
      Must((*identity)->Put(
          Principal{.name = name, .role = Role::kAdmin, .key = "", .uses = 0, .revoked = false, .created_ms = 1}));
    }
    for (const char* name : {"/tls/identity.db", "/tls/identity.db-wal"})
      fs::copy_file((folder_ / "live") + name, (folder_ / "dead") + name);
    DamageFrame(log, second);
  }
  EXPECT_TRUE(absl::IsDataLoss(store::IdentityStore::Open(folder_ / "dead/tls/identity.db").status()));
  const auto salvaged = Salvage(folder_ / "dead", kSalvagedAt);
  ASSERT_TRUE(salvaged.ok()) << salvaged.status();
  EXPECT_TRUE(salvaged->identity);
  EXPECT_EQ(salvaged->jobs, -1);
  const auto identity = store::IdentityStore::Open(folder_ / "dead/tls/identity.db");
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ((*identity)->Principals()->size(), 1u);
  EXPECT_TRUE(fs::exists(folder_ / "dead/tls/identity.db.replaced-wal"));
}

// Neither a copy of what is there nor another database brings back who may call.
TEST_F(SalvageTest, WhoMayCallIsMissedByABackupAndASalvage) {
  Open("live").reset();
  fs::create_directories(folder_ / "live/tls");
  const std::string place = folder_ / "live/tls/identity.db";
  {
    const auto identity = store::IdentityStore::Open(place);
    ASSERT_TRUE(identity.ok()) << identity.status();
    Must((*identity)->Put(
        Principal{.name = "user/a", .role = Role::kAdmin, .key = "", .uses = 0, .revoked = false, .created_ms = 1}));
  }
  fs::remove(place);
  for (const absl::Status& refused :
       {Make(folder_ / "live", folder_ / "copy").status(), Salvage(folder_ / "live", kSalvagedAt).status()}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("BACKUP/tls/identity.db"));
  }
  EXPECT_FALSE(fs::exists(folder_ / "copy")) << "nothing was begun";
}

TEST_F(SalvageTest, OneThatWasStoppedIsRefusedToAllOthersAndGoesOnToItsEnd) {
  LeaveDamagedFolder();
  for (int moves = 0; moves <= 4; ++moves) {
    SCOPED_TRACE(moves);
    const std::string name = absl::StrCat("stopped-", moves);
    StopSalvage(name, moves);
    const RestoreOptions replace{.replace = true, .unix_seconds = kSalvagedAt};
    for (const absl::Status& refused :
         {store::SqliteStore::Open(folder_ / name).status(), Make(folder_ / name, folder_ / "copy").status(),
          Restore(folder_ / "live", folder_ / name, replace).status()}) {
      EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
      EXPECT_THAT(std::string(refused.message()), HasSubstr("sink-backup salvage --data " + folder_ / name));
    }
    ExpectSalvaged(name);
  }
}

TEST_F(SalvageTest, CheckpointsWhoseFilesAreGoneAreNamedNoMoreAndTheirJobsAreCounted) {
  LeaveDamagedFolder();
  // As when newer ones came behind the damage.
  std::ofstream(CheckpointOf("dead", 10) + "/model.safetensors") << "weight";
  const auto salvaged = Salvage(folder_ / "dead", kSalvagedAt);
  ASSERT_TRUE(salvaged.ok()) << salvaged.status();
  EXPECT_EQ(salvaged->forgotten, 1);
  EXPECT_EQ(salvaged->begun_anew, 1);
  EXPECT_EQ(salvaged->checkpoints, 2) << "also what is left of it";
  EXPECT_TRUE(RowsIn("dead").empty());
}

TEST_F(SalvageTest, AJobThatHasAnotherCheckpointLeftDoesNotBeginAnew) {
  LeaveOneOfTwoCheckpoints();
  const auto salvaged = Salvage(folder_ / "dead", kSalvagedAt);
  ASSERT_TRUE(salvaged.ok()) << salvaged.status();
  EXPECT_EQ(salvaged->forgotten, 1);
  EXPECT_EQ(salvaged->begun_anew, 0);
  const std::vector<Checkpoint> rows = RowsIn("dead");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows.front().step, 20);
}

TEST_F(SalvageTest, WhereNoCheckpointIsThereTheirDiskMayBeAwayAndAllStayNamed) {
  LeaveDamagedFolder();
  fs::remove_all((folder_ / "dead") + "/checkpoints");
  fs::create_directories((folder_ / "dead") + "/checkpoints");
  const auto salvaged = Salvage(folder_ / "dead", kSalvagedAt);
  ASSERT_TRUE(salvaged.ok()) << salvaged.status();
  EXPECT_EQ(salvaged->forgotten, 0);
  EXPECT_EQ(RowsIn("dead").size(), 1u);
}

// As where one came into the folder while its disk was not mounted.
TEST_F(SalvageTest, WhereTheFolderIsNotTheOneThatTheDatabaseKnowsNoCheckpointIsForgottenThatItLacks) {
  LeaveOneOfTwoCheckpoints(/*known_folder=*/77);
  const auto salvaged = Salvage(folder_ / "dead", kSalvagedAt);
  ASSERT_TRUE(salvaged.ok()) << salvaged.status();
  EXPECT_EQ(salvaged->forgotten, 0);
  EXPECT_EQ(salvaged->checkpoints, 0);
  EXPECT_EQ(RowsIn("dead").size(), 2u);
}

TEST_F(SalvageTest, WhatWasSetAsideUnderTheSameNameStays) {
  LeaveDamagedFolder();
  const std::string aside = CheckpointOf("dead", 20, "checkpoints/set-aside/");
  fs::create_directories(aside);
  std::ofstream(aside + "/model.safetensors") << "of before";
  ASSERT_TRUE(Salvage(folder_ / "dead", kSalvagedAt).ok());
  EXPECT_EQ(ContentOf(aside + "/model.safetensors"), "weights");
  EXPECT_EQ(ContentOf(aside + ".replaced/model.safetensors"), "of before");
}

TEST_F(SalvageTest, ARestoreThatWasStoppedIsRefusedToOthersAndBroughtToItsEnd) {
  LeaveDamagedFolder();
  ASSERT_TRUE(Make(folder_ / "live", folder_ / "copy").ok());
  // The copy names no checkpoint, as their hashes are made up.
  const std::string in_the_way = (folder_ / "dead") + "/checkpoints/set-aside";
  std::ofstream(in_the_way) << "no folder";
  const std::string database = ContentOf(folder_ / "dead/sink.db");
  const RestoreOptions replace{.replace = true, .unix_seconds = kSalvagedAt};
  EXPECT_FALSE(Restore(folder_ / "copy", folder_ / "dead", replace).ok());
  for (const absl::Status& refused : {store::SqliteStore::Open(folder_ / "dead").status(),
                                      Restore(folder_ / "copy", folder_ / "dead", replace).status()}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("sink-backup salvage --data " + folder_ / "dead"));
  }
  fs::remove(in_the_way);
  const auto ended = Salvage(folder_ / "dead", kSalvagedAt);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->jobs, 3);
  EXPECT_EQ(ended->checkpoints, 2);
  for (const int64_t step : {10, 20})
    EXPECT_TRUE(fs::exists(CheckpointOf("dead", step, "checkpoints/set-aside/"))) << step;
  EXPECT_TRUE(ContentOf(folder_ / "dead/sink.db.replaced") == database);
  EXPECT_NE(Open("dead"), nullptr);
}

TEST_F(SalvageTest, OneThatWasStoppedBeforeItsNoteIsBegunAnew) {
  LeaveDamagedFolder();
  StopSalvage("stopped", 0);
  fs::remove(store::SalvageNote(folder_ / "stopped"));
  std::ofstream(folder_ / "stopped/sink.db.part") << "half of a copy";
  ExpectSalvaged("stopped");
}

TEST_F(SalvageTest, AMoveThatFailsTakesNothingBack) {
  LeaveDamagedFolder();
  StopSalvage("stopped", 1);
  const std::string in_the_way = folder_ / "stopped/sink.db.replaced";
  fs::create_directories(in_the_way + "/x");
  EXPECT_FALSE(Salvage(folder_ / "stopped", kSalvagedAt).ok());
  EXPECT_TRUE(ContentOf(folder_ / "stopped/sink.db.part") == ContentOf(folder_ / "whole/sink.db"));
  EXPECT_TRUE(absl::IsFailedPrecondition(store::SqliteStore::Open(folder_ / "stopped").status()));
  fs::remove_all(in_the_way);
  ExpectSalvaged("stopped");
}

TEST_F(SalvageTest, GoesOnWithTheFileWhereThatHasWhatIsBehindTheDamage) {
  Open("live").reset();
  size_t kept = 0;
  {
    const auto store = Open("live");
    AddJob(*store, 1);
    kept = FramesIn(folder_ / "live/sink.db-wal");
    AddJob(*store, 2);
    AddJob(*store, 3);
    // The log stays as it is until something is written again.
    const auto other = store::Database::Open(folder_ / "live/sink.db", store::Database::Mode::kReadWrite);
    ASSERT_TRUE(other.ok()) << other.status();
    Must((*other)->CheckpointLog());
    Kill();
  }
  DamageFrame(folder_ / "dead/sink.db-wal", kept + 1);
  const auto salvaged = Salvage(folder_ / "dead", kSalvagedAt);
  ASSERT_TRUE(salvaged.ok()) << salvaged.status();
  EXPECT_EQ(salvaged->jobs, 3);
  EXPECT_NE(Open("dead"), nullptr);
}

TEST_F(SalvageTest, GoesOnWithTheFileWhereItsLogWasLostAndKeepsTheWitnessBeside) {
  Open("live").reset();
  {
    const auto store = Open("live");
    AddJob(*store, 1);
    Kill();
    fs::copy_file(folder_ / "live/sink.db-commits", folder_ / "dead/sink.db-commits");
  }
  fs::resize_file(folder_ / "dead/sink.db-wal", 0);
  ASSERT_TRUE(absl::IsDataLoss(store::SqliteStore::Open(folder_ / "dead").status()));
  const auto salvaged = Salvage(folder_ / "dead", kSalvagedAt);
  ASSERT_TRUE(salvaged.ok()) << salvaged.status();
  EXPECT_EQ(salvaged->jobs, 0);
  EXPECT_TRUE(fs::exists(folder_ / "dead/sink.db.replaced-commits"));
  const auto store = Open("dead");
  ASSERT_NE(store, nullptr);
  Must(store->Read([](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const uint64_t epoch, rows.GetEpoch());
    EXPECT_GE(epoch, static_cast<uint64_t>(kSalvagedAt - kSecondsAt2020)) << "a fence may be given again";
    return absl::OkStatus();
  }));
}

TEST_F(SalvageTest, ABackupIsNotReplacedByACopyWithoutWhatIsBehindTheDamage) {
  LeaveDamagedFolder();
  ASSERT_TRUE(Make(folder_ / "live", folder_ / "copy").ok());
  const std::string before = ContentOf(folder_ / "copy/sink.db");
  EXPECT_TRUE(absl::IsDataLoss(Make(folder_ / "dead", folder_ / "copy").status()));
  EXPECT_TRUE(ContentOf(folder_ / "copy/sink.db") == before);
}

}  // namespace
}  // namespace sink::backup
