// The store on a disk that is full, or broken, from one of its operations on, for every one of them: a write is
// acknowledged only if it is there afterwards, whole, and what is not acknowledged is there whole or not at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/group_commit.h"
#include "coordinator/store/schema.h"
#include "coordinator/store/sqlite_db.h"
#include "coordinator/store/sqlite_transaction.h"
#include "tests/simulator/lossy_disk.h"

namespace sink::simulator {
namespace {

using store::Database;
using Fault = LossyDisk::Fault;

constexpr char kFile[] = "sink.db";
constexpr int kWrites = 12;
constexpr int kPagesBetweenCheckpoints = 20;  // so that faults meet SQLite's checkpoints, too
constexpr int64_t kForEver = 1'000'000'000;

std::string Id(int n) { return absl::StrCat(std::string(30, 'a'), n / 10, n % 10); }

// A process on the disk.
class Process {
 public:
  Process() {
    auto opened = Database::Open(kFile, Database::Mode::kReadWrite);
    EXPECT_TRUE(opened.ok()) << opened.status();
    db_ = *std::move(opened);
    sqlite3_wal_autocheckpoint(db_->handle(), kPagesBetweenCheckpoints);
    const absl::Status migrated = store::Migrate(*db_);
    EXPECT_TRUE(migrated.ok()) << migrated;
    commit_ = std::make_unique<store::GroupCommit>(db_.get());
  }

  // A job with its configuration, a point and a line of its log.
  absl::Status Add(int n) {
    const std::function<absl::Status(store::Transaction&)> body = [n](store::Transaction& rows) -> absl::Status {
      Sweep sweep;
      sweep.name = "s";
      SINK_RETURN_IF_ERROR(rows.PutSweep(sweep));
      Job job;
      job.id = Id(n);
      job.home_sweep = "s";
      SINK_RETURN_IF_ERROR(rows.InsertJob(job, std::string(3000, 'c')));
      SINK_RETURN_IF_ERROR(rows.PutMetrics(job.id, {{0, absl::StrCat("series/", n), 1, 0.5 * n, 1}}));
      return rows.AppendLogs(job.id, {{0, 1, 1, "info", "begun"}});
    };
    store::PendingWrite write{&body, absl::OkStatus()};
    bool given = false;
    commit_->Commit([&]() -> store::PendingWrite* { return std::exchange(given, true) ? nullptr : &write; });
    return write.status;
  }

  // Whether it is there; a part of it is a failure.
  bool Has(int n) {
    store::SeriesNames names;
    store::SqliteTransaction rows(*db_, names);
    const bool has = rows.GetJob(Id(n)).ok();
    const auto config = rows.GetConfig(Id(n));
    EXPECT_EQ(config.ok() && config->size() == 3000, has) << n;
    const auto points = rows.ListMetrics(Id(n), {});
    EXPECT_EQ(points.ok() && points->size() == 1 && points->front().value == 0.5 * n, has) << n;
    const auto lines = rows.ListLogs(Id(n), 0, 10);
    EXPECT_EQ(lines.ok() && lines->size() == 1, has) << n;
    return has;
  }

  bool IsWhole() {
    store::Query check(*db_, "PRAGMA integrity_check(1)");
    return check.Next() && check.Text(0) == "ok";
  }

 private:
  std::unique_ptr<Database> db_;
  std::unique_ptr<store::GroupCommit> commit_;
};

class FailingDisk : public ::testing::Test {
 protected:
  FailingDisk() {
    { Process first; }  // closing it puts everything into the file
    empty_ = disk_.Contents();
  }

  // Calls `run` with a process whose n-th operation that can be hit fails, for each n that is met.
  void ForEach(int64_t failures, Fault fault, const std::function<void(Process&)>& run) {
    int64_t n = 0;
    do {
      disk_.Format(empty_);
      auto process = std::make_unique<Process>();
      disk_.FailIn(++n, failures, fault);
      SCOPED_TRACE(absl::StrCat("from operation ", n, " on"));
      run(*process);
      if (HasFailure()) return;
      // It dies as it is: without a last look at its files.
      disk_.Restart(nullptr);
      process.reset();
    } while (disk_.has_failed());
    EXPECT_GT(n, kWrites) << "a write has one operation at least";
  }

  void ExpectKept(Process& process, const std::vector<int>& acknowledged) {
    for (const int n : acknowledged) EXPECT_TRUE(process.Has(n)) << n << " was acknowledged";
    for (int n = 1; n <= kWrites; ++n) process.Has(n);
    EXPECT_TRUE(process.IsWhole());
  }

  LossyDisk disk_;
  LossyDisk::Image empty_;
};

TEST_F(FailingDisk, OneWriteThatFindsItFullCostsOneAnswer) {
  ForEach(1, Fault::kFull, [&](Process& process) {
    std::vector<int> acknowledged;
    int refused = 0;
    for (int n = 1; n <= kWrites; ++n) {
      const absl::Status status = process.Add(n);
      if (status.ok()) acknowledged.push_back(n);
      EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
      refused += !status.ok();
      EXPECT_EQ(process.Has(n), status.ok()) << n;
    }
    EXPECT_LE(refused, 1);
    ExpectKept(process, acknowledged);
  });
}

TEST_F(FailingDisk, AFullOneRefusesWritesKeepsReadsAndTakesWritesAgainWhenThereIsRoom) {
  ForEach(kForEver, Fault::kFull, [&](Process& process) {
    std::vector<int> acknowledged;
    for (int n = 1; n < kWrites; ++n) {
      const absl::Status status = process.Add(n);
      if (status.ok()) acknowledged.push_back(n);
      EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
    }
    ExpectKept(process, acknowledged);
    disk_.Heal();
    EXPECT_TRUE(process.Add(kWrites).ok());
    EXPECT_TRUE(process.Has(kWrites));
  });
}

TEST_F(FailingDisk, ABrokenOneEndsEveryWriteAndANewProcessFindsWhatWasAcknowledged) {
  for (const int64_t failures : {int64_t{1}, kForEver}) {
    uint64_t seed = 0;
    ForEach(failures, Fault::kBroken, [&](Process& process) {
      std::vector<int> acknowledged;
      bool failed = false;
      for (int n = 1; n <= kWrites; ++n) {
        const absl::Status status = process.Add(n);
        if (status.ok()) acknowledged.push_back(n);
        EXPECT_TRUE(status.ok() || absl::IsDataLoss(status)) << status;
        EXPECT_TRUE(!failed || !status.ok()) << n << " was taken after a failure";
        failed |= !status.ok();
      }
      Random random(++seed);
      disk_.Restart(seed % 2 == 0 ? &random : nullptr);  // the power may go with it
      Process next;
      ExpectKept(next, acknowledged);
      EXPECT_TRUE(next.Add(kWrites + 1).ok());
    });
  }
}

}  // namespace
}  // namespace sink::simulator
