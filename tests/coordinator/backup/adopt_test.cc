// Checkpoints that were set aside, back into their places: the files are as a trainer writes them, the rows are read as
// a coordinator reads them.
#include "coordinator/backup/adopt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/backup/backup.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/begun_salvage.h"
#include "coordinator/store/sqlite_store.h"
#include "proto/run/manifest.h"
#include "tests/testing/temp_dir.h"

namespace sink::backup {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kEpoch = 3, kEarlierFence = (kEpoch << 32) + 1, kLaterFence = (kEpoch << 32) + 2;
constexpr int64_t kMeasuredUntil = 12, kAdoptedAt = 1'800'000'000;

class AdoptTest : public ::testing::Test {
 protected:
  AdoptTest() {
    const auto store = Open();
    CheckOk(store->Write([](store::Transaction& rows) -> absl::Status {
      SINK_RETURN_IF_ERROR(rows.SetEpoch(kEpoch));
      Sweep sweep;
      sweep.name = "s";
      return rows.PutSweep(sweep);
    }));
    AddJob(*store, 1);
  }

  static std::string IdOf(int n) { return absl::StrCat(n, std::string(31, 'c')); }
  static void CheckOk(const absl::Status& status) { ASSERT_TRUE(status.ok()) << status; }

  std::unique_ptr<store::SqliteStore> Open() {
    auto store = store::SqliteStore::Open(data_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  static void AddJob(store::JobStore& store, int n, JobState state = JobState::kQueued) {
    CheckOk(store.Write([&](store::Transaction& rows) -> absl::Status {
      Job job;
      job.id = IdOf(n);
      job.home_sweep = "s";
      job.progress.step = kMeasuredUntil;
      SINK_RETURN_IF_ERROR(rows.InsertJob(job, "{}"));
      job.state = state;
      return rows.UpdateJob(job);
    }));
  }

  static run::Manifest WriteFiles(const std::string& folder, int64_t step) {
    fs::create_directories(folder);
    std::ofstream(folder + "/model.safetensors") << "weights of step " << step;
    const auto manifest = run::WriteManifest(folder, step);
    EXPECT_TRUE(manifest.ok());
    return *manifest;
  }

  // One that the database names.
  void AddCheckpoint(int n, uint64_t fence, int64_t step, double loss = 1) {
    const run::Manifest manifest = WriteFiles(PlaceOf(n, fence, step), step);
    Checkpoint row{
        .job_id = IdOf(n), .step = step, .attempt = 1, .fence = fence, .manifest_hash = manifest.hash, .files = {}};
    row.validation_loss = loss;
    for (const run::ManifestFile& file : manifest.files) row.files.push_back({file.name, file.size, file.xxh3});
    CheckOk(Open()->Write([&row](store::Transaction& rows) { return rows.PutCheckpoint(row); }));
  }

  std::string PlaceOf(int n, uint64_t fence, int64_t step) {
    return absl::StrCat(data_, "/checkpoints/", IdOf(n), "/", fence, "/step-", step);
  }
  std::string AsideOf(int n, uint64_t fence, int64_t step) {
    return absl::StrCat(data_, "/checkpoints/set-aside/", IdOf(n), "/", fence, "/step-", step);
  }
  // Of the same size, as by its disk.
  static void Damage(const std::string& folder) {
    std::fstream(folder + "/model.safetensors", std::ios::in | std::ios::out) << "W";
  }

  std::vector<Checkpoint> RowsOf(int n) {
    std::vector<Checkpoint> found;
    CheckOk(Open()->Read([&](store::Snapshot& rows) -> absl::Status {
      SINK_ASSIGN_OR_RETURN(found, rows.ListCheckpoints(IdOf(n)));
      return absl::OkStatus();
    }));
    return found;
  }
  std::vector<int64_t> StepsOf(int n) {
    std::vector<int64_t> steps;
    for (const Checkpoint& row : RowsOf(n)) steps.push_back(row.step);
    return steps;
  }

  std::vector<std::string> LogOf(int n) {
    std::vector<std::string> texts;
    CheckOk(Open()->Read([&](store::Snapshot& rows) -> absl::Status {
      SINK_ASSIGN_OR_RETURN(const std::vector<LogLine> lines, rows.ListLogs(IdOf(n), 0, 100));
      for (const LogLine& line : lines) texts.push_back(line.text);
      return absl::OkStatus();
    }));
    return texts;
  }

  Adoption MustAdopt(const std::vector<std::string>& jobs = {}) {
    Adoption adoption;
    CheckOk(Adopt(data_, jobs, kAdoptedAt, &adoption));
    return adoption;
  }
  absl::Status Refused(const std::vector<std::string>& jobs = {}) {
    Adoption adoption;
    const absl::Status status = Adopt(data_, jobs, kAdoptedAt, &adoption);
    EXPECT_TRUE(adoption.jobs.empty() && adoption.damaged.empty());
    return status;
  }

  testing::TempDir folder_;
  const std::string data_ = folder_ / "data";
};

TEST_F(AdoptTest, TheDatabaseNamesTheLatestAndItIsInItsPlace) {
  AddCheckpoint(1, kEarlierFence, 10, /*loss=*/2.5);
  WriteFiles(AsideOf(1, kEarlierFence, 20), 20);
  const run::Manifest manifest = WriteFiles(AsideOf(1, kLaterFence, 30), 30);
  const Adoption adoption = MustAdopt();
  ASSERT_EQ(adoption.jobs.size(), 1u);
  EXPECT_EQ(adoption.jobs[0].job_id, IdOf(1));
  EXPECT_EQ(adoption.jobs[0].step, 30);
  EXPECT_EQ(adoption.jobs[0].measured_until, kMeasuredUntil);
  EXPECT_THAT(adoption.damaged, IsEmpty());
  EXPECT_TRUE(fs::exists(PlaceOf(1, kLaterFence, 30) + "/model.safetensors"));
  EXPECT_FALSE(fs::exists(AsideOf(1, kLaterFence, 30)));
  EXPECT_TRUE(fs::exists(AsideOf(1, kEarlierFence, 20))) << "nothing is deleted";
  const std::vector<Checkpoint> rows = RowsOf(1);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].step, 30);
  EXPECT_EQ(rows[0].fence, kLaterFence);
  EXPECT_EQ(rows[0].manifest_hash, manifest.hash);
  EXPECT_EQ(rows[0].validation_loss, 2.5) << "the last that is known";
  EXPECT_GT(rows[0].committed_ms, 0);
  EXPECT_THAT(LogOf(1), ElementsAre(AllOf(HasSubstr("of step 30 was adopted"), HasSubstr("between step 12 and that"))));
  // What the row says of its files is so: a backup compares them.
  const auto copied = Make(data_, folder_ / "copy");
  ASSERT_TRUE(copied.ok()) << copied.status();
  EXPECT_EQ(copied->checkpoints, 2);
  EXPECT_EQ(copied->lost_checkpoints, 0);
}

TEST_F(AdoptTest, ALinkToACheckpointIsNone) {
  WriteFiles(folder_ / "elsewhere", 20);
  fs::create_directories(fs::path(AsideOf(1, kLaterFence, 20)).parent_path());
  fs::create_directory_symlink(folder_ / "elsewhere", AsideOf(1, kLaterFence, 20));
  EXPECT_THAT(MustAdopt().jobs, IsEmpty());
}

TEST_F(AdoptTest, WhatIsDamagedStaysSetAsideAndTheNextIsTaken) {
  WriteFiles(AsideOf(1, kEarlierFence, 20), 20);
  WriteFiles(AsideOf(1, kLaterFence, 30), 30);
  Damage(AsideOf(1, kLaterFence, 30));
  WriteFiles(AsideOf(1, kLaterFence, 40), 39);  // its manifest is another's
  fs::create_directories(AsideOf(1, kLaterFence, 50));
  const Adoption adoption = MustAdopt();
  EXPECT_THAT(adoption.damaged,
              ElementsAre(HasSubstr("step 50 of job " + IdOf(1)), HasSubstr("step 40"), HasSubstr("step 30")));
  EXPECT_THAT(StepsOf(1), ElementsAre(20));
  for (const int64_t step : {30, 40, 50}) EXPECT_TRUE(fs::exists(AsideOf(1, kLaterFence, step))) << step;
  EXPECT_FALSE(fs::exists(PlaceOf(1, kLaterFence, 30)));
}

TEST_F(AdoptTest, OnlyWhatIsLaterThanWhatTheJobHasIsTaken) {
  AddCheckpoint(1, kLaterFence, 20);
  WriteFiles(AsideOf(1, kEarlierFence, 10), 10);
  WriteFiles(AsideOf(1, kEarlierFence, 20), 20);
  WriteFiles(AsideOf(1, kEarlierFence, 30) + ".replaced", 30);
  EXPECT_THAT(MustAdopt().jobs, IsEmpty());
  EXPECT_THAT(StepsOf(1), ElementsAre(20));
  EXPECT_EQ(RowsOf(1).front().fence, kLaterFence);
}

TEST_F(AdoptTest, JobsThatHaveEndedOrAreNotKnownKeepWhatTheyHave) {
  AddJob(*Open(), 2, JobState::kCancelled);
  WriteFiles(AsideOf(2, kEarlierFence, 20), 20);
  WriteFiles(AsideOf(3, kEarlierFence, 20), 20);
  EXPECT_THAT(MustAdopt().jobs, IsEmpty());
  EXPECT_THAT(StepsOf(2), IsEmpty());
  EXPECT_TRUE(fs::exists(AsideOf(3, kEarlierFence, 20)));
}

TEST_F(AdoptTest, JobsThatAreNamedAloneAreServedAndMistakesChangeNothing) {
  {
    const auto store = Open();
    AddJob(*store, 2);
    AddJob(*store, 3, JobState::kCancelled);
  }
  for (const int n : {1, 2, 3}) WriteFiles(AsideOf(n, kEarlierFence, 20), 20);
  EXPECT_TRUE(absl::IsNotFound(Refused({IdOf(1), "4ccc"})));
  EXPECT_TRUE(absl::IsInvalidArgument(Refused({""})));
  EXPECT_TRUE(absl::IsFailedPrecondition(Refused({IdOf(1), IdOf(3)})));
  EXPECT_THAT(StepsOf(1), IsEmpty());
  const Adoption adoption = MustAdopt({"2ccc", IdOf(2)});
  ASSERT_EQ(adoption.jobs.size(), 1u);
  EXPECT_EQ(adoption.jobs[0].job_id, IdOf(2));
  EXPECT_THAT(StepsOf(1), IsEmpty());
  EXPECT_TRUE(fs::exists(AsideOf(1, kEarlierFence, 20)));
}

TEST_F(AdoptTest, OneThatWasInterruptedAfterTheRowIsRepairedByRunningItAgain) {
  WriteFiles(AsideOf(1, kEarlierFence, 20), 20);
  ASSERT_EQ(MustAdopt().jobs.size(), 1u);
  fs::create_directories(fs::path(AsideOf(1, kEarlierFence, 20)).parent_path());
  fs::rename(PlaceOf(1, kEarlierFence, 20), AsideOf(1, kEarlierFence, 20));  // as before its move
  EXPECT_EQ(MustAdopt().jobs.size(), 1u);
  EXPECT_TRUE(fs::exists(PlaceOf(1, kEarlierFence, 20) + "/model.safetensors"));
  EXPECT_THAT(StepsOf(1), ElementsAre(20));
  EXPECT_THAT(MustAdopt().jobs, IsEmpty()) << "all is done";
}

TEST_F(AdoptTest, AnotherCheckpointThanTheOneThatIsNamedDoesNotTakeItsPlace) {
  AddCheckpoint(1, kEarlierFence, 20);
  fs::remove_all(PlaceOf(1, kEarlierFence, 20));
  fs::create_directories(AsideOf(1, kEarlierFence, 20));
  std::ofstream(AsideOf(1, kEarlierFence, 20) + "/config.json") << "{}";
  WriteFiles(AsideOf(1, kEarlierFence, 20), 20);
  const Adoption adoption = MustAdopt();
  EXPECT_THAT(adoption.jobs, IsEmpty());
  EXPECT_THAT(adoption.damaged, ElementsAre(HasSubstr("not the checkpoint that the database names")));
}

TEST_F(AdoptTest, WhatLiesInThePlaceWithoutARowMakesRoom) {
  fs::create_directories(PlaceOf(1, kEarlierFence, 20));
  std::ofstream(PlaceOf(1, kEarlierFence, 20) + "/half") << "of an upload";
  WriteFiles(AsideOf(1, kEarlierFence, 20), 20);
  EXPECT_EQ(MustAdopt().jobs.size(), 1u);
  EXPECT_TRUE(fs::exists(PlaceOf(1, kEarlierFence, 20) + "/model.safetensors"));
  EXPECT_FALSE(fs::exists(PlaceOf(1, kEarlierFence, 20) + "/half"));
}

TEST_F(AdoptTest, FencesToComeAreAboveThatOfTheCheckpoint) {
  constexpr uint64_t kNewerEpoch = 9;
  WriteFiles(AsideOf(1, kNewerEpoch << 32, 20), 20);
  WriteFiles(AsideOf(1, ~uint64_t{0} >> 1, 30), 30);  // no fence that a coordinator gives: no start could go above it
  ASSERT_EQ(MustAdopt().jobs.size(), 1u);
  EXPECT_THAT(StepsOf(1), ElementsAre(20));
  CheckOk(Open()->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const uint64_t epoch, rows.GetEpoch());
    EXPECT_EQ(epoch, kNewerEpoch);
    return absl::OkStatus();
  }));
}

TEST_F(AdoptTest, IsRefusedWhileAnotherHasTheFolderOrIsNotDoneWithIt) {
  WriteFiles(AsideOf(1, kEarlierFence, 20), 20);
  {
    const auto running = Open();
    EXPECT_THAT(std::string(Refused().message()), HasSubstr("another coordinator"));
  }
  std::ofstream(store::SalvageNote(data_)) << "jobs 1\n";
  EXPECT_THAT(std::string(Refused().message()), HasSubstr("sink-backup salvage --data " + data_));
  Adoption adoption;
  const absl::Status nothing = Adopt(folder_ / "nothing", {}, kAdoptedAt, &adoption);
  EXPECT_THAT(std::string(nothing.message()), HasSubstr("no coordinator's database"));
  EXPECT_FALSE(fs::exists(folder_ / "nothing"));
}

}  // namespace
}  // namespace sink::backup
