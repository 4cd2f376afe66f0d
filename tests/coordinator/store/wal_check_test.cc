// The look at a log before SQLite reads it, on logs that the store itself has written: what a power cut may leave goes
// on, and what it cannot have left is told, with nothing changed.
#include "coordinator/store/wal_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/testing/temp_dir.h"

namespace sink::store {
namespace {

using ::testing::HasSubstr;

constexpr size_t kLogHeader = 32, kFrameHeader = 24, kPage = 4096, kFrame = kFrameHeader + kPage;

std::string BytesOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void PutBytes(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

LogState Walk(const std::string& log) {
  const auto state = WalkLog(log.size(), [&log](uint64_t offset, size_t size, std::string* bytes) {
    EXPECT_LE(offset + size, log.size());
    *bytes = log.substr(offset, size);
    return absl::OkStatus();
  });
  EXPECT_TRUE(state.ok()) << state.status();
  return state.ok() ? *state : LogState{};
}

size_t PlaceOf(uint64_t frame, size_t byte = 0) { return kLogHeader + (frame - 1) * kFrame + byte; }

bool CommitsIn(const std::string& log, uint64_t frame) {
  return log.compare(PlaceOf(frame, 4), 4, std::string(4, '\0')) != 0;
}

std::string Flipped(std::string log, size_t place) {
  log[place] = static_cast<char>(log[place] ^ 1 << place % 8);
  return log;
}

class WalCheckTest : public ::testing::Test {
 protected:
  static constexpr int kCommits = 6;

  WalCheckTest() {
    Open("live").reset();  // what makes the schema is not in the log of what follows
    const auto store = Open("live");
    for (int n = 1; n <= kCommits; ++n) AddLargeJob(*store, n);
    Copy("live", "dead");
    log_ = BytesOf(folder_ / "dead/sink.db-wal");
    for (uint64_t frame = 1; PlaceOf(frame + 1) <= log_.size(); ++frame) {
      if (CommitsIn(log_, frame)) commits_.push_back(frame);
    }
  }

  std::unique_ptr<SqliteStore> Open(const std::string& name) {
    auto store = SqliteStore::Open(folder_ / name);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  static void AddLargeJob(JobStore& store, int n) {
    const absl::Status added = store.Write([n](Transaction& rows) -> absl::Status {
      Sweep sweep;
      sweep.name = "s";
      SINK_RETURN_IF_ERROR(rows.PutSweep(sweep));
      Job job;
      job.id = absl::StrCat(n, std::string(31, 'a'));
      job.home_sweep = "s";
      return rows.InsertJob(job, std::string(3 * kPage, static_cast<char>('a' + n)));
    });
    EXPECT_TRUE(added.ok()) << added;
  }

  static size_t JobsIn(SqliteStore& store) {
    size_t jobs = 0;
    const absl::Status read = store.Read([&jobs](Snapshot& rows) -> absl::Status {
      SINK_ASSIGN_OR_RETURN(const std::vector<Job> listed, rows.ListJobs({}));
      jobs = listed.size();
      return absl::OkStatus();
    });
    EXPECT_TRUE(read.ok()) << read;
    return jobs;
  }

  // As kill -9 leaves it.
  void Copy(const std::string& from, const std::string& to) {
    std::filesystem::create_directories(folder_ / to);
    for (const char* name : {"/sink.db", "/sink.db-wal"})
      std::filesystem::copy_file((folder_ / from) + name, (folder_ / to) + name);
  }

  uint64_t frames() const { return commits_.back(); }
  uint64_t last_but_one() const { return commits_[commits_.size() - 2]; }  // the commit before the last transaction

  testing::TempDir folder_;
  std::string log_;
  std::vector<uint64_t> commits_;  // the frames that end transactions, from 1
};

TEST_F(WalCheckTest, ALogOfAKilledStoreIsCleanToItsEnd) {
  ASSERT_EQ(commits_.size(), static_cast<size_t>(kCommits));
  ASSERT_EQ(log_.size(), PlaceOf(frames() + 1));
  const LogState state = Walk(log_);
  EXPECT_FALSE(state.damaged);
  EXPECT_EQ(state.frames, frames());
  EXPECT_EQ(state.committed, frames());
}

TEST_F(WalCheckTest, AFlippedBitBeforeTheLastTransactionIsDamageAtItsFrame) {
  std::vector<size_t> bytes = {kFrameHeader, kFrameHeader + 2047, kFrame - 1};
  for (size_t byte = 0; byte < kFrameHeader; ++byte) bytes.push_back(byte);
  for (uint64_t frame = 1; frame <= frames(); ++frame) {
    for (const size_t byte : bytes) {
      const bool in_commit_field = byte >= 4 && byte < 8;
      const std::string flipped = Flipped(log_, PlaceOf(frame, byte));
      const LogState state = Walk(flipped);
      if (frame > last_but_one()) {
        if (in_commit_field) continue;  // may look like two commits, which is worth a word, too
        EXPECT_FALSE(state.damaged) << "frame " << frame << ", byte " << byte;
        EXPECT_EQ(state.committed, last_but_one());
        continue;
      }
      if (in_commit_field && CommitsIn(log_, frame) && !CommitsIn(flipped, frame)) continue;  // a commit no more
      if (frame == last_but_one() && PlaceOf(frame, 8) % 512 == 0) continue;  // may be an older log's commit
      ASSERT_TRUE(state.damaged) << "frame " << frame << ", byte " << byte;
      EXPECT_EQ(state.bad, frame) << "byte " << byte;
    }
  }
}

TEST_F(WalCheckTest, AFlippedBitInTheHeaderIsDamage) {
  for (size_t byte = 0; byte < kLogHeader; ++byte) {
    const LogState state = Walk(Flipped(log_, byte));
    EXPECT_TRUE(state.damaged) << byte;
    EXPECT_EQ(state.bad, 0u) << byte;
  }
  EXPECT_TRUE(Walk(std::string(kLogHeader, '\0') + log_.substr(kLogHeader)).damaged);
  EXPECT_FALSE(Walk(std::string(log_.size(), '\0')).damaged) << "a new file that was cut short";
}

TEST_F(WalCheckTest, FramesThatWereWipedOutAreDamageToo) {
  // Without the commit before the last transaction nothing says that there were two.
  for (uint64_t frame = 1; frame < last_but_one(); ++frame) {
    std::string wiped = log_;
    wiped.replace(PlaceOf(frame), kFrame, std::string(kFrame, '\0'));
    EXPECT_TRUE(Walk(wiped).damaged) << frame;
  }
}

TEST_F(WalCheckTest, ALogThatIsCutShortAnywhereIsNoDamage) {
  std::vector<size_t> sizes;
  for (size_t size = 0; size < log_.size(); size += 997) sizes.push_back(size);
  for (size_t size = 0; size <= kLogHeader + kFrameHeader; ++size) sizes.push_back(size);
  for (uint64_t frame = 1; frame <= frames(); ++frame) {
    for (const int off : {-1, 0, 1, 23, 24, 25}) sizes.push_back(PlaceOf(frame) + off);
  }
  for (const size_t size : sizes) {
    const LogState state = Walk(log_.substr(0, size));
    const uint64_t whole = size < kLogHeader ? 0 : (size - kLogHeader) / kFrame;
    const auto behind = std::upper_bound(commits_.begin(), commits_.end(), whole);
    EXPECT_FALSE(state.damaged) << size;
    EXPECT_EQ(state.committed, behind == commits_.begin() ? 0 : *std::prev(behind)) << size;
  }
}

TEST_F(WalCheckTest, AnyPartOfTheLastTransactionMayBeMissing) {
  std::mt19937 random(7);
  const size_t begin = PlaceOf(last_but_one() + 1);
  for (int round = 0; round < 300; ++round) {
    const size_t sector = round % 2 == 0 ? 512 : kPage;
    std::string torn = log_;
    for (size_t at = begin; at < torn.size(); at = (at / sector + 1) * sector) {
      if (random() % 2 == 0) continue;
      const size_t size = std::min(torn.size(), (at / sector + 1) * sector) - at;
      torn.replace(at, size, std::string(size, '\0'));
    }
    const LogState state = Walk(torn);
    EXPECT_FALSE(state.damaged) << round;
    EXPECT_GE(state.committed, last_but_one()) << round;
  }
}

TEST_F(WalCheckTest, WhatIsLeftOfAnOlderLogIsNoPartOfThisOne) {
  const auto db = Database::Open(folder_ / "other.db", Database::Mode::kReadWrite);
  ASSERT_TRUE(db.ok()) << db.status();
  const auto run = [&db](const char* sql) { ASSERT_TRUE((*db)->Execute(sql).ok()) << sql; };
  run("CREATE TABLE t (x)");
  for (int n = 0; n < 5; ++n) run("INSERT INTO t VALUES (zeroblob(20000))");
  const LogState before = Walk(BytesOf(folder_ / "other.db-wal"));
  ASSERT_TRUE((*db)->CheckpointLog().ok());
  for (int n = 0; n < 2; ++n) run("INSERT INTO t VALUES (1)");
  const std::string log = BytesOf(folder_ / "other.db-wal");
  const LogState state = Walk(log);
  EXPECT_FALSE(state.damaged);
  EXPECT_NE(state.salt, before.salt);
  EXPECT_EQ(state.frames, before.frames);
  ASSERT_GT(state.committed, 0u);
  ASSERT_LT(state.committed, state.frames);
  for (uint64_t frame = state.committed + 1; frame <= state.frames; ++frame)
    EXPECT_FALSE(Walk(Flipped(log, PlaceOf(frame, 100))).damaged) << frame;
  EXPECT_TRUE(Walk(Flipped(log, PlaceOf(1, 100))).damaged);
  EXPECT_FALSE(Walk(Flipped(log, PlaceOf(state.committed, 100))).damaged);
}

// Of the last transaction any blocks may not have come, at any place that a frame's header has in a block.
TEST_F(WalCheckTest, TheLastTransactionMayBeMixedWithAnOlderLog) {
  const std::string wal = folder_ / "other.db-wal";
  const auto db = Database::Open(folder_ / "other.db", Database::Mode::kReadWrite);
  ASSERT_TRUE(db.ok()) << db.status();
  const auto run = [&db](const char* sql) { ASSERT_TRUE((*db)->Execute(sql).ok()) << sql; };
  run("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(3000)), (zeroblob(3000)), (zeroblob(3000))");
  // The older log: in each of its frames a transaction.
  for (int n = 0; n < 150; ++n) run("UPDATE t SET x = randomblob(3000) WHERE rowid = 2");
  ASSERT_TRUE((*db)->CheckpointLog().ok());
  run("UPDATE t SET x = randomblob(3000)");
  std::mt19937 random(7);
  std::string before = BytesOf(wal);
  const uint64_t salt = Walk(before).salt;
  for (int transaction = 0; transaction < 30; ++transaction) {  // a place in a block comes again after 64 frames
    run("UPDATE t SET x = randomblob(3000)");
    const std::string after = BytesOf(wal);
    const LogState whole = Walk(after), old = Walk(before);
    ASSERT_EQ(whole.salt, salt);
    ASSERT_EQ(whole.committed, old.committed + 3);
    ASSERT_LT(whole.committed + 3, whole.frames) << "the older log is at an end";
    const size_t begin = PlaceOf(old.committed + 1), end = PlaceOf(whole.committed + 1);
    for (int round = 0; round < 20; ++round) {
      const size_t block = round % 3 == 0 ? kPage : 512;
      std::string mixed = after;
      for (size_t at = begin; at < end; at = (at / block + 1) * block) {
        if (random() % 2 == 0) continue;
        const size_t size = std::min(end, (at / block + 1) * block) - at;
        mixed.replace(at, size, before, at, size);
      }
      const LogState state = Walk(mixed);
      ASSERT_FALSE(state.damaged) << "after frame " << old.committed << ", round " << round;
      ASSERT_GE(state.committed, old.committed);
    }
    before = after;
  }
}

TEST_F(WalCheckTest, APartThatCannotBeReadIsDamageAtItsFrame) {
  const auto walk_without = [this](size_t unreadable) {
    return *WalkLog(log_.size(), [&](uint64_t offset, size_t size, std::string* bytes) -> absl::Status {
      if (offset <= unreadable && unreadable < offset + size) return absl::DataLossError("a bad sector");
      *bytes = log_.substr(offset, size);
      return absl::OkStatus();
    });
  };
  for (const uint64_t frame : {uint64_t{1}, uint64_t{7}, frames()}) {
    const LogState state = walk_without(PlaceOf(frame, 600));
    EXPECT_TRUE(state.damaged) << frame;
    EXPECT_EQ(state.bad, frame);
    EXPECT_LT(state.committed, frame);
  }
  EXPECT_TRUE(walk_without(0).damaged);
  EXPECT_EQ(walk_without(0).bad, 0u);
}

TEST_F(WalCheckTest, AnyBytesAreWalkedOver) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::string bytes(random() % (4 * kFrame), '\0');
    std::generate(bytes.begin(), bytes.end(), [&random] { return static_cast<char>(random()); });
    if (round % 2 == 0) bytes.replace(0, std::min(bytes.size(), kLogHeader), log_, 0, kLogHeader);
    const LogState state = Walk(bytes);
    EXPECT_EQ(state.committed, 0u);
    if (round % 2 != 0 && bytes.size() > 1000) {
      EXPECT_TRUE(state.damaged);
    }
  }
}

TEST_F(WalCheckTest, AStoreWithADamagedLogIsRefusedAndLeftAsItIs) {
  const std::string wal = folder_ / "dead/sink.db-wal", database = BytesOf(folder_ / "dead/sink.db");
  const std::string damaged = Flipped(log_, PlaceOf(2, 500));
  PutBytes(wal, damaged);
  for (int start = 0; start < 2; ++start) {
    const auto store = SqliteStore::Open(folder_ / "dead");
    ASSERT_TRUE(absl::IsDataLoss(store.status())) << store.status();
    for (const std::string& part : {wal, absl::StrCat("frame 2 of ", frames()), std::string("sink-backup restore"),
                                    absl::StrCat("sink-backup salvage --data ", folder_ / "dead")})
      EXPECT_THAT(std::string(store.status().message()), HasSubstr(part));
    EXPECT_TRUE(BytesOf(wal) == damaged);
    EXPECT_TRUE(BytesOf(folder_ / "dead/sink.db") == database);
  }
}

TEST(WaysOut, NameTheFolderThatTheCoordinatorWasGiven) {
  EXPECT_EQ(SalvageCommand("/data/sink.db"), "sink-backup salvage --data /data");
  EXPECT_EQ(SalvageCommand("/data/tls/identity.db"), "sink-backup salvage --data /data");
  EXPECT_EQ(SalvageCommand("/data/tls/sink.db"), "sink-backup salvage --data /data/tls");
  EXPECT_THAT(HowToPutBack("/data/tls/sink.db"), HasSubstr("restore --from BACKUP --data /data/tls --replace"));
  EXPECT_THAT(HowToPutBack("/data/tls/audit.db"), HasSubstr("BACKUP/tls/audit.db"));
}

TEST_F(WalCheckTest, AStoreGoesOnFromALogWhoseLastTransactionIsTorn) {
  PutBytes(folder_ / "dead/sink.db-wal", log_.substr(0, log_.size() - 100));
  const auto store = Open("dead");
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(JobsIn(*store), static_cast<size_t>(kCommits - 1));
  AddLargeJob(*store, 7);
  AddLargeJob(*store, 8);
  Copy("dead", "dead-again");
  const LogState state = Walk(BytesOf(folder_ / "dead-again/sink.db-wal"));
  EXPECT_FALSE(state.damaged);
  EXPECT_NE(state.salt, Walk(log_).salt) << "what was torn is behind a new log";
  const auto again = Open("dead-again");
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(JobsIn(*again), static_cast<size_t>(kCommits + 1));
}

TEST_F(WalCheckTest, ALogWhoseDatabaseIsGoneIsLeftAsItIs) {
  const auto store = Open("live");
  AddLargeJob(*store, 7);
  for (const bool missing : {false, true}) {
    const std::string name = missing ? "missing" : "empty";
    Copy("live", name);
    const std::string database = folder_ / (name + "/sink.db"), wal = database + "-wal", log = BytesOf(wal);
    PutBytes(database, "");
    if (missing) std::filesystem::remove(database);
    const absl::Status refused = SqliteStore::Open(folder_ / name).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_NE(refused.message().find("is missing or empty"), std::string::npos) << refused;
    EXPECT_TRUE(BytesOf(wal) == log);
    EXPECT_TRUE(absl::IsFailedPrecondition(CheckLog(database)));
  }
}

TEST_F(WalCheckTest, ALogInWhichNothingWasCommittedIsEmptied) {
  const auto store = Open("live");
  AddLargeJob(*store, 7);
  const auto other = Database::Open(folder_ / "live/sink.db", Database::Mode::kReadWrite);
  ASSERT_TRUE(other.ok()) << other.status();
  ASSERT_TRUE((*other)->CheckpointLog().ok());
  AddLargeJob(*store, 8);  // begins the log anew
  Copy("live", "torn");
  const std::string wal = folder_ / "torn/sink.db-wal", log = BytesOf(wal), torn = Flipped(log, PlaceOf(1, 100));
  ASSERT_EQ(Walk(torn).committed, 0u);
  ASSERT_FALSE(Walk(torn).damaged);
  PutBytes(wal, torn);
  const auto again = Open("torn");
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(JobsIn(*again), static_cast<size_t>(kCommits + 1));
  AddLargeJob(*again, 9);
  const LogState state = Walk(BytesOf(wal));
  EXPECT_FALSE(state.damaged);
  EXPECT_NE(state.salt, Walk(log).salt);
  EXPECT_EQ(state.committed, state.frames) << "what was torn is gone";
}

}  // namespace
}  // namespace sink::store
