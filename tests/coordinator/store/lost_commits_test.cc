// A database that has not all that it acknowledged is told from one that has: its files as kill -9, a person with a
// copy, or a disk that forgets leave them.
#include "coordinator/store/lost_commits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/commit_witness.h"
#include "coordinator/store/database_copy.h"
#include "coordinator/store/identity_store.h"
#include "coordinator/store/sqlite_store.h"
#include "coordinator/store/wal_check.h"
#include "tests/testing/temp_dir.h"

namespace sink::store {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr size_t kLogHeader = 32, kPage = 4096, kFrame = 24 + kPage;

std::string BytesOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void PutBytes(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

class LostCommitsTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name, const std::string& ending = "") {
    return absl::StrCat(folder_ / name, "/sink.db", ending);
  }

  std::unique_ptr<SqliteStore> Open(const std::string& name) {
    auto store = SqliteStore::Open(folder_ / name);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  static void Add(JobStore& store, int n) {
    const absl::Status added = store.Write([n](Transaction& rows) -> absl::Status {
      Sweep sweep;
      sweep.name = "s";
      SINK_RETURN_IF_ERROR(rows.PutSweep(sweep));
      Job job;
      job.id = absl::StrCat(n, std::string(32 - absl::StrCat(n).size(), 'a'));
      job.home_sweep = "s";
      return rows.InsertJob(job, "{}");
    });
    EXPECT_TRUE(added.ok()) << added;
  }

  // As kill -9 leaves it.
  void Copy(const std::string& from, const std::string& to) {
    fs::create_directories(folder_ / to);
    for (const char* ending : {"", "-wal", "-commits"}) fs::copy_file(Path(from, ending), Path(to, ending));
  }

  // `live`, with jobs of which the first is in the file and all others in the log.
  std::unique_ptr<SqliteStore> Live(int jobs) {
    Add(*Open("live"), 0);
    auto store = Open("live");
    for (int n = 1; n < jobs; ++n) Add(*store, n);
    return store;
  }

  void Checkpoint(const std::string& name) {
    const auto other = Database::Open(Path(name), Database::Mode::kReadWrite);
    ASSERT_TRUE(other.ok()) << other.status();
    ASSERT_TRUE((*other)->CheckpointLog().ok());
  }

  int64_t JobsIn(const std::string& copy) {
    const auto db = Database::Open(copy, Database::Mode::kUnchanging);
    EXPECT_TRUE(db.ok()) << db.status();
    return db.ok() ? (*db)->QueryInt("SELECT count(*) FROM jobs").value_or(-1) : -1;
  }

  // Of what CopyDatabase makes of `name`.
  int64_t JobsLeftIn(const std::string& name) {
    const absl::Status copied = CopyDatabase(Path(name), folder_ / "rest.db", Source::kLostCommits);
    EXPECT_TRUE(copied.ok()) << copied;
    return JobsIn(folder_ / "rest.db");
  }

  testing::TempDir folder_;
};

TEST_F(LostCommitsTest, AllThatACrashLeavesIsWhole) {
  const auto live = Live(3);
  for (int n = 3; n < 8; ++n) {
    Add(*live, n);
    Copy("live", absl::StrCat("dead-", n));
    EXPECT_TRUE(CheckLogAndCommits(Path("live"), Use::kShared).ok()) << "beside a coordinator that writes";
    EXPECT_NE(Open(absl::StrCat("dead-", n)), nullptr);
    EXPECT_NE(Open(absl::StrCat("dead-", n)), nullptr) << "also after an end that put the log away";
    if (n == 5) Checkpoint("live");
  }
}

TEST_F(LostCommitsTest, AWitnessThatIsBehindOrAsAPowerCutLeavesItSaysNothing) {
  const auto live = Live(3);
  const std::string before = BytesOf(Path("live", "-commits"));
  ASSERT_FALSE(before.empty());
  Add(*live, 3);
  const std::string now = BytesOf(Path("live", "-commits"));
  EXPECT_NE(before, now);
  int n = 0;
  for (const std::string& said : {before, std::string(), std::string(now.size(), '\0'), now + now}) {
    const std::string name = absl::StrCat("dead-", n++);
    Copy("live", name);
    PutBytes(Path(name, "-commits"), said);
    const auto store = Open(name);
    ASSERT_NE(store, nullptr);
    Add(*store, 9);
    EXPECT_TRUE(ReadWitness(Path(name))->has_value()) << "it says so again";
  }
}

TEST_F(LostCommitsTest, ALostOrShortenedLogIsRefusedAndNothingIsChanged) {
  const auto live = Live(6);
  const std::string log = BytesOf(Path("live", "-wal"));
  const size_t half = kLogHeader + (log.size() - kLogHeader) / kFrame / 2 * kFrame;
  int n = 0;
  for (const std::string& left : {std::string(), std::string(log.size(), '\0'), log.substr(0, half)}) {
    const std::string name = absl::StrCat("dead-", n++);
    Copy("live", name);
    PutBytes(Path(name, "-wal"), left);
    if (left.empty()) fs::remove(Path(name, "-wal"));
    const std::string file = BytesOf(Path(name));
    for (int start = 0; start < 2; ++start) {
      const absl::Status refused = SqliteStore::Open(folder_ / name).status();
      EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
      for (const std::string& part : {std::string("has lost commits: it acknowledged "),
                                      absl::StrCat("sink-backup salvage --data ", folder_ / name)})
        EXPECT_THAT(std::string(refused.message()), HasSubstr(part));
      EXPECT_TRUE(BytesOf(Path(name)) == file);
      EXPECT_TRUE(BytesOf(Path(name, "-wal")) == left);
    }
    EXPECT_TRUE(absl::IsDataLoss(CopyDatabase(Path(name), folder_ / "copy.db", Source::kInUse)))
        << "a backup of it would take the place of a better one";
  }
}

TEST_F(LostCommitsTest, AnOlderDatabaseThatWasPutBackByHandIsRefused) {
  auto live = Live(3);
  ASSERT_TRUE(CopyDatabase(Path("live"), folder_ / "backup.db", Source::kInUse).ok());
  Add(*live, 3);
  live.reset();
  fs::copy_file(folder_ / "backup.db", Path("live"), fs::copy_options::overwrite_existing);
  const absl::Status refused = SqliteStore::Open(folder_ / "live").status();
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused << ": it would give its fences again";
}

// SQLite would lay the log over it, and find what it had at no time.
TEST_F(LostCommitsTest, AnOlderFileUnderItsNewerLogIsRefusedAndIsWhatIsLeft) {
  Live(3).reset();
  ASSERT_TRUE(CopyDatabase(Path("live"), folder_ / "backup.db", Source::kAtRest).ok());
  Add(*Open("live"), 3);
  const auto live = Open("live");
  Add(*live, 4);
  Copy("live", "dead");
  fs::copy_file(folder_ / "backup.db", Path("dead"), fs::copy_options::overwrite_existing);
  const absl::Status refused = SqliteStore::Open(folder_ / "dead").status();
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("is older than it was"));
  EXPECT_EQ(JobsLeftIn("dead"), 3);
}

TEST_F(LostCommitsTest, WhatACheckpointHasPutIntoTheFileIsKnown) {
  const auto live = Live(2);
  const int64_t at_start = (*ReadWitness(Path("live")))->in_file;
  EXPECT_GT(at_start, 0);
  // As many pages as make a checkpoint.
  for (int n = 2; n < 200; ++n) Add(*live, 1000 + n);
  const Witness witness = **ReadWitness(Path("live"));
  EXPECT_GT(witness.in_file, at_start);
  EXPECT_LE(witness.in_file, witness.count.commits);
  EXPECT_LT(fs::file_size(Path("live", "-wal")), size_t{1100} * kFrame) << "the log is begun anew";
}

// Each would go on without the commits that are gone, and without a word, were it taken for a witness that is not
// there.
TEST_F(LostCommitsTest, AnythingElseInTheWitnesssPlaceIsRefusedAndNamesTheWayOut) {
  const auto live = Live(6);
  const std::string whole = BytesOf(Path("live", "-commits"));
  using Put = std::function<void(const std::string&)>;
  const std::vector<Put> puts = {
      [](const std::string& path) { fs::create_directory(path); },
      [](const std::string& path) { ASSERT_EQ(mkfifo(path.c_str(), 0600), 0); },
      [](const std::string& path) { fs::create_symlink("nowhere", path); },
      [](const std::string& path) { PutBytes(path, std::string(9000, 'x')); },
      [](const std::string& path) { PutBytes(path, std::string(9000, '\0')); },
      [&whole](const std::string& path) { PutBytes(path, whole.substr(0, 40)); },
      [&whole](const std::string& path) { PutBytes(path, "x" + whole.substr(1)); },
  };
  for (size_t n = 0; n < puts.size(); ++n) {
    const std::string name = absl::StrCat("dead-", n);
    Copy("live", name);
    for (const char* ending : {"-commits", "-wal"}) fs::remove(Path(name, ending));
    puts[n](Path(name, "-commits"));
    const std::string file = BytesOf(Path(name));
    const absl::Status refused = SqliteStore::Open(folder_ / name).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << n << ": " << refused;
    for (const std::string& part : {Path(name, "-commits"), std::string("remove it to go on without this check")})
      EXPECT_THAT(std::string(refused.message()), HasSubstr(part)) << n;
    EXPECT_TRUE(BytesOf(Path(name)) == file) << n;
    EXPECT_FALSE(CopyDatabase(Path(name), folder_ / "copy.db", Source::kInUse).ok()) << n;
    EXPECT_FALSE(CopyDatabase(Path(name), folder_ / "copy.db", Source::kLostCommits).ok()) << n;
    fs::remove(Path(name, "-commits"));
    EXPECT_NE(Open(name), nullptr) << n << ": without the check";
  }
}

TEST_F(LostCommitsTest, APipeInTheLogsPlaceIsRefusedAndNotWaitedFor) {
  Live(2).reset();
  fs::remove(Path("live", "-wal"));
  ASSERT_EQ(mkfifo(Path("live", "-wal").c_str(), 0600), 0);
  const absl::Status refused = SqliteStore::Open(folder_ / "live").status();
  EXPECT_THAT(std::string(refused.message()), HasSubstr(Path("live", "-wal") + " is not a regular file"));
}

TEST_F(LostCommitsTest, AnotherCoordinatorsLogIsRefusedAndNotLaidOverTheFile) {
  const auto live = Live(3);
  Copy("live", "dead");
  {
    fs::rename(folder_ / "live", folder_ / "first");
    const auto other = Live(9);
    fs::copy_file(Path("live", "-wal"), Path("dead", "-wal"), fs::copy_options::overwrite_existing);
  }
  const std::string file = BytesOf(Path("dead")), log = BytesOf(Path("dead", "-wal"));
  const absl::Status refused = SqliteStore::Open(folder_ / "dead").status();
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_TRUE(BytesOf(Path("dead")) == file);
  EXPECT_TRUE(BytesOf(Path("dead", "-wal")) == log);
  EXPECT_EQ(JobsLeftIn("dead"), 1) << "the file alone";
}

TEST_F(LostCommitsTest, ADatabaseThatIsGoneIsNotBegunAnew) {
  Live(3).reset();
  fs::remove(Path("live"));
  const absl::Status refused = SqliteStore::Open(folder_ / "live").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("to begin anew, remove " + Path("live", "-commits")));
  EXPECT_FALSE(fs::exists(Path("live")));
  fs::remove(Path("live", "-commits"));
  EXPECT_NE(Open("live"), nullptr);
}

TEST_F(LostCommitsTest, WhoMayCallIsCountedToo) {
  fs::create_directories(folder_ / "tls");
  const std::string path = folder_ / "tls/identity.db";
  ASSERT_TRUE(IdentityStore::Open(path).ok());
  fs::copy_file(path, folder_ / "kept.db");
  {
    const auto identity = IdentityStore::Open(path);
    ASSERT_TRUE(identity.ok()) << identity.status();
    const Principal admin{
        .name = "user/a", .role = Role::kAdmin, .key = "", .uses = 0, .revoked = false, .created_ms = 1};
    ASSERT_TRUE((*identity)->Put(admin).ok());
  }
  EXPECT_TRUE(IdentityStore::Open(path).ok());
  fs::rename(folder_ / "kept.db", path);
  const absl::Status refused = IdentityStore::Open(path).status();
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused << ": a revocation may be lost";
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--data " + folder_.path().string()));
}

TEST_F(LostCommitsTest, WhatIsLeftIsWhicheverOfFileAndLogCountsMore) {
  const auto live = Live(6);
  const std::string log = BytesOf(Path("live", "-wal"));
  const std::string half = log.substr(0, kLogHeader + (log.size() - kLogHeader) / kFrame / 2 * kFrame);
  Copy("live", "dead");
  PutBytes(Path("dead", "-wal"), half);
  const int64_t left = JobsLeftIn("dead");
  EXPECT_GT(left, 1);
  EXPECT_LT(left, 6);
  Checkpoint("live");
  Copy("live", "put-away");
  PutBytes(Path("put-away", "-wal"), half);
  EXPECT_EQ(JobsLeftIn("put-away"), 6);
}

class DamagedLogTest : public LostCommitsTest {
 protected:
  // `live` and its log with a flipped bit in `frame`, from 1, before and after a checkpoint puts all into the file.
  void Damage(size_t frame) {
    live_ = Live(6);
    before_ = BytesOf(Path("live"));
    damaged_ = BytesOf(Path("live", "-wal"));
    damaged_[kLogHeader + (frame - 1) * kFrame + 500] ^= 1;
    Checkpoint("live");
    after_ = BytesOf(Path("live"));
  }

  // A folder with this file, the damaged log and the witness.
  void Make(const std::string& name, const std::string& file) {
    Copy("live", name);
    PutBytes(Path(name), file);
    PutBytes(Path(name, "-wal"), damaged_);
    EXPECT_TRUE(absl::IsDataLoss(CheckLog(Path(name))));
  }

  // The file as it was before, with the first page of this table as the checkpoint has left it.
  std::string PartlyPutAway(const char* table) {
    const auto db = Database::Open(Path("live"), Database::Mode::kReadOnly);
    EXPECT_TRUE(db.ok()) << db.status();
    const std::string sql = absl::StrCat("SELECT rootpage FROM sqlite_schema WHERE name = '", table, "'");
    const size_t place = static_cast<size_t>((*db)->QueryInt(sql.c_str()).value_or(1) - 1) * kPage;
    std::string part = before_;
    part.replace(place, kPage, after_, place, kPage);
    EXPECT_NE(part, before_);
    return part;
  }

  std::unique_ptr<SqliteStore> live_;
  std::string before_, after_, damaged_;
};

TEST_F(DamagedLogTest, WhatStandsBeforeTheDamageIsLeftAlsoWherePagesWereWrittenAgainAsTheyWere) {
  Damage(2);  // of the first transaction; each has the page of the sweep, which stays what it is
  Make("dead", before_);
  EXPECT_EQ(JobsLeftIn("dead"), 1);
}

TEST_F(DamagedLogTest, TheFileIsLeftThatACheckpointHasGivenAll) {
  Damage(6);
  Make("dead", after_);
  EXPECT_EQ(JobsLeftIn("dead"), 6);
}

TEST_F(DamagedLogTest, AFileWithTheDamageItselfIsNotTaken) {
  Damage(35);  // a page of the last transaction
  const size_t page = static_cast<unsigned char>(damaged_[kLogHeader + 34 * kFrame + 3]);
  std::string file = after_;
  file.replace((page - 1) * kPage, kPage, damaged_, kLogHeader + 34 * kFrame + 24, kPage);
  damaged_[kLogHeader + 6 * kFrame + 500] ^= 1;  // so that the log is damaged before
  Make("dead", file);
  EXPECT_TRUE(absl::IsDataLoss(CopyDatabase(Path("dead"), folder_ / "rest.db", Source::kLostCommits)));
}

TEST_F(DamagedLogTest, NothingIsLeftWhereACheckpointHasGivenAPart) {
  Damage(6);
  for (const char* table : {"meta", "jobs"}) {
    const std::string name = absl::StrCat("dead-", table);
    Make(name, PartlyPutAway(table));
    const absl::Status refused = CopyDatabase(Path(name), folder_ / "rest.db", Source::kLostCommits);
    EXPECT_TRUE(absl::IsDataLoss(refused)) << table << ": " << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("from behind the damage"));
  }
}

TEST_F(LostCommitsTest, ATransactionThatChangesNothingIsNotCountedAndWritesNothing) {
  const auto live = Live(3);
  const std::string said = BytesOf(Path("live", "-commits"));
  const auto log = fs::file_size(Path("live", "-wal"));
  EXPECT_TRUE(live->Write([](Transaction&) { return absl::OkStatus(); }).ok());
  EXPECT_EQ(BytesOf(Path("live", "-commits")), said);
  EXPECT_EQ(fs::file_size(Path("live", "-wal")), log);
}

TEST_F(LostCommitsTest, ACopyThatIsMadeForARestoredCoordinatorIsADatabaseOfItsOwn) {
  const auto live = Live(3);
  auto copy = DatabaseCopy::Take(Path("live"), folder_ / "copy.db", Source::kInUse);
  ASSERT_TRUE(copy.ok()) << copy.status();
  ASSERT_TRUE(copy->PrepareRestored(0, 1'800'000'000).ok());
  ASSERT_TRUE(copy->Close().ok());
  fs::create_directories(folder_ / "restored");
  fs::rename(folder_ / "copy.db", Path("restored"));
  Add(*Open("restored"), 9);
  EXPECT_NE((*ReadWitness(Path("restored")))->count.database, (*ReadWitness(Path("live")))->count.database);
}

}  // namespace
}  // namespace sink::store
