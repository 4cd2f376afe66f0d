// What only a store on disk must show: rules in the file itself, one owner, durability under SIGKILL, a full disk.
#include "coordinator/store/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/job_statements.h"
#include "coordinator/store/log_lines.h"
#include "coordinator/store/schema.h"
#include "coordinator/store/sqlite_transaction.h"
#include "tests/testing/temp_dir.h"

namespace sink::store {
namespace {

using ::testing::HasSubstr;

std::string Id(int n) {
  std::string digits = std::to_string(n);
  return std::string(8 - digits.size(), '0') + digits + std::string(24, 'a');
}

std::unique_ptr<SqliteStore> MustOpen(const std::string& folder, SqliteStore::Options options = {}) {
  auto store = SqliteStore::Open(folder, options);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? std::move(*store) : nullptr;
}

absl::Status AddJob(JobStore& store, int n, const std::string& config = "{}") {
  return store.Write([&](Transaction& rows) -> absl::Status {
    Sweep sweep;
    sweep.name = "s";
    SINK_RETURN_IF_ERROR(rows.PutSweep(sweep));
    Job job;
    job.id = Id(n);
    job.home_sweep = "s";
    return rows.InsertJob(job, config);
  });
}

std::set<std::string> StoredIds(JobStore& store) {
  std::set<std::string> ids;
  const absl::Status status = store.Read([&](Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::vector<Job> jobs, rows.ListJobs({}));
    for (const Job& job : jobs) ids.insert(job.id);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  return ids;
}

// A person with a SQL shell meets the same table of edges.
TEST(SqliteStore, TriggerRefusesEveryIllegalEdgeInRawSql) {
  testing::TempDir folder;
  {
    auto store = MustOpen(folder / "d");
    ASSERT_TRUE(AddJob(*store, 1).ok());
  }
  auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite);
  ASSERT_TRUE(db.ok()) << db.status();
  ASSERT_TRUE((*db)->Execute("PRAGMA synchronous = OFF").ok());  // only for speed
  auto update = [&](JobState state, int generation) {
    return Query(**db, "UPDATE jobs SET state = ?1, generation = ?2, fence = ?3", state, generation, IsLive(state))
        .Run();
  };
  // Puts the job into a state past the trigger, as only this test may.
  auto force = [&](JobState state) {
    ASSERT_TRUE((*db)->Execute("DROP TRIGGER jobs_transition").ok());
    ASSERT_TRUE(update(state, 1).ok());
    const absl::Status made = Migrate(**db);
    ASSERT_TRUE(made.ok()) << made;
  };
  for (JobState from : kAllJobStates) {
    for (JobState to : kAllJobStates) {
      for (int generation : {1, 2, 3}) {
        force(from);
        const absl::Status status = update(to, generation);
        EXPECT_EQ(status.ok(), IsLegal(from, 1, to, generation))
            << NameOf(from) << " to " << NameOf(to) << " in generation " << generation << ": " << status;
        if (!status.ok()) {
          EXPECT_THAT(std::string(status.message()), HasSubstr("illegal state transition"));
        }
      }
    }
  }
  EXPECT_FALSE((*db)->Execute("INSERT INTO jobs SELECT * FROM jobs").ok());
}

TEST(SqliteStore, AStartOnAFileOfThisVersionLeavesTheSchemaAsItIs) {
  testing::TempDir folder;
  const auto version = [&] {
    MustOpen(folder / "d").reset();
    return *(*Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite))->QueryInt("PRAGMA schema_version");
  };
  const int64_t made = version();
  EXPECT_EQ(version(), made);
}

TEST(SqliteStoreDeathTest, AWriteThatDoesNotEndEndsTheProcessAndOneThatWaitsDoesNot) {
  testing::TempDir folder;
  SqliteStore::Options options;
  options.write_limit = std::chrono::milliseconds(100);
  options.told = [](const std::string& what) { std::fputs(what.c_str(), stderr); };
  EXPECT_EXIT(
      {
        auto store = MustOpen(folder / "d", options);
        std::atomic<bool> forever = true;
        store
            ->Write([&](Transaction&) {
              while (forever) continue;
              return absl::OkStatus();
            })
            .IgnoreError();
      },
      ::testing::ExitedWithCode(1), "one write has used .* and does not end");
  auto store = MustOpen(folder / "d", options);  // and the folder is free again
  const absl::Status waited = store->Write([](Transaction&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    return absl::OkStatus();
  });
  EXPECT_TRUE(waited.ok()) << waited;
}

TEST(SqliteStore, SecondOwnerOfAFolderGetsOneClearError) {
  testing::TempDir folder;
  auto first = MustOpen(folder / "d");
  auto second = SqliteStore::Open(folder / "d");
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another coordinator (process "));
  first.reset();
  EXPECT_TRUE(SqliteStore::Open(folder / "d").ok());
}

TEST(SqliteStore, NewerSchemaIsRefusedAndLeftAlone) {
  testing::TempDir folder;
  MustOpen(folder / "d").reset();
  {
    auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite);
    ASSERT_TRUE((*db)->Execute("PRAGMA user_version = 99").ok());
  }
  auto store = SqliteStore::Open(folder / "d");
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("schema version 99"));
  EXPECT_THAT(std::string(store.status().message()), HasSubstr(folder / "d/sink.db"));
  auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite);
  EXPECT_EQ(*(*db)->QueryInt("PRAGMA user_version"), 99);
}

TEST(SqliteStore, AFailingDiskIsNamedWithTheWayOut) {
  testing::TempDir folder;
  const auto db = Database::Open(folder / "sink.db", Database::Mode::kReadWrite);
  ASSERT_TRUE(db.ok()) << db.status();
  for (const int code : {SQLITE_IOERR_WRITE, SQLITE_CANTOPEN_ISDIR, SQLITE_READONLY_DBMOVED}) {
    const absl::Status broken = (*db)->ToStatus(code);
    EXPECT_TRUE(absl::IsDataLoss(broken)) << broken;
    EXPECT_THAT(std::string(broken.message()), HasSubstr(absl::StrCat("(", code, ") at ", folder / "sink.db")));
    EXPECT_THAT(std::string(broken.message()), HasSubstr("put it right and start the coordinator again"));
  }
  EXPECT_THAT(std::string((*db)->ToStatus(SQLITE_CORRUPT).message()), HasSubstr("put a backup in its place"));
}

// A file as an older version of the schema left it.
absl::Status Undo(Database& db, int to_version) {
  absl::Status status = db.Execute("ALTER TABLE sweeps DROP COLUMN generation; PRAGMA user_version = 15");
  if (!status.ok() || to_version == 15) return status;
  status = db.Execute(
      "ALTER TABLE checkpoints DROP COLUMN pinned; ALTER TABLE checkpoints DROP COLUMN validation_loss;"
      "PRAGMA user_version = 14");
  if (!status.ok() || to_version == 14) return status;
  status = db.Execute(
      "DROP INDEX jobs_front;"
      "ALTER TABLE sweeps ADD COLUMN study TEXT NOT NULL DEFAULT '';"
      "UPDATE sweeps SET study = coalesce((SELECT json FROM studies WHERE sweep = name), ''); DROP TABLE studies;"
      "DROP TABLE deleted_jobs; ALTER TABLE jobs DROP COLUMN numbers; ALTER TABLE memberships DROP COLUMN withdrawn;"
      "DROP INDEX jobs_ready; ALTER TABLE jobs DROP COLUMN data_set; ALTER TABLE jobs DROP COLUMN data_content;"
      "CREATE INDEX jobs_ready ON jobs (home_sweep, devices, model, priority DESC, seq) "
      "WHERE state = 1 AND delayed = 0; PRAGMA user_version = 9");
  if (!status.ok() || to_version == 9) return status;
  status = db.Execute(
      "DROP TABLE points; DROP TABLE series; DROP INDEX jobs_ended; ALTER TABLE workers DROP COLUMN hold;"
      "ALTER TABLE workers DROP COLUMN hold_reason;"
      "CREATE TABLE metrics (id INTEGER PRIMARY KEY, job INTEGER NOT NULL REFERENCES jobs (seq), name TEXT NOT NULL, "
      "step INTEGER NOT NULL, value REAL, attempt INTEGER NOT NULL, UNIQUE (job, name, step)) STRICT;"
      "CREATE INDEX metrics_job ON metrics (job); PRAGMA user_version = 7");
  if (!status.ok() || to_version == 7) return status;
  std::string sql = "DROP INDEX jobs_holder; DROP TABLE gang; DROP TABLE rungs; DROP INDEX jobs_ready;";
  sql += "ALTER TABLE workers DROP COLUMN host; DROP INDEX workers_current; ALTER TABLE workers DROP COLUMN retired;";
  for (const char* column : {"stop_metric", "stop_maximize", "stop_first_rung", "stop_eta", "canary", "max_failed"})
    absl::StrAppend(&sql, "ALTER TABLE sweeps DROP COLUMN ", column, ";");
  for (const char* column :
       {"stall_ms", "checkpoints_kept", "checkpoint_period", "stop_message", "per_worker", "rendezvous", "model"})
    absl::StrAppend(&sql, "ALTER TABLE jobs DROP COLUMN ", column, ";");
  sql += "CREATE INDEX jobs_ready ON jobs (home_sweep, devices, priority DESC, seq) WHERE state = 1 AND delayed = 0;";
  if (to_version < 3) sql += "ALTER TABLE sweeps DROP COLUMN study;";
  if (to_version < 2) sql += "DROP INDEX memberships_further;";
  return db.Execute(absl::StrCat(sql, "PRAGMA user_version = ", to_version).c_str());
}

std::string Study(SqliteStore& store, const std::string& sweep) {
  std::string text;
  const absl::Status status = store.Read([&](Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(text, rows.GetStudy(sweep));
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  return text;
}

TEST(SqliteStore, AFileOfTheFirstSchemaIsUpgradedWithItsRows) {
  testing::TempDir folder;
  {
    auto store = MustOpen(folder / "d");
    ASSERT_TRUE(AddJob(*store, 1).ok());
  }
  {
    auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite);
    ASSERT_TRUE(Undo(**db, 1).ok());
  }
  auto store = MustOpen(folder / "d");
  EXPECT_EQ(StoredIds(*store), std::set<std::string>{Id(1)});
  JobQuery of_sweep;
  of_sweep.sweep = "s";
  EXPECT_TRUE(store->Read([&](Snapshot& rows) { return rows.ListJobs(of_sweep).status(); }).ok());
}

TEST(SqliteStore, AFileOfTheSecondSchemaIsUpgradedWithEmptyStudies) {
  testing::TempDir folder;
  {
    auto store = MustOpen(folder / "d");
    ASSERT_TRUE(AddJob(*store, 1).ok());
  }
  {
    auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite);
    ASSERT_TRUE(Undo(**db, 2).ok());
  }
  auto store = MustOpen(folder / "d");
  EXPECT_EQ(StoredIds(*store), std::set<std::string>{Id(1)});
  EXPECT_EQ(Study(*store, "s"), "");
  ASSERT_TRUE(store->Write([](Transaction& rows) { return rows.PutStudy("s", "{}"); }).ok());
  EXPECT_EQ(Study(*store, "s"), "{}");
}

TEST(SqliteStore, AStudyOfAnOlderFileStaysWithItsSweep) {
  testing::TempDir folder;
  {
    auto store = MustOpen(folder / "d");
    ASSERT_TRUE(AddJob(*store, 1).ok());
    ASSERT_TRUE(store->Write([](Transaction& rows) { return rows.PutStudy("s", "{\"a\":1}"); }).ok());
  }
  {
    auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite);
    ASSERT_TRUE(Undo(**db, 9).ok());
  }
  auto store = MustOpen(folder / "d");
  EXPECT_EQ(Study(*store, "s"), "{\"a\":1}");
}

TEST(SqliteStore, CheckpointsOfAnOlderFileAreThereAndCanBePinned) {
  testing::TempDir folder;
  const Checkpoint checkpoint{Id(1), 10, 1, 9, "hash", {{"a.bin", 5, "x"}}, 1};
  {
    auto store = MustOpen(folder / "d");
    ASSERT_TRUE(AddJob(*store, 1).ok());
    ASSERT_TRUE(store->Write([&](Transaction& rows) { return rows.PutCheckpoint(checkpoint); }).ok());
  }
  {
    auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite);
    ASSERT_TRUE(Undo(**db, 14).ok());
  }
  auto store = MustOpen(folder / "d");
  const auto stored = [&] {
    std::vector<Checkpoint> checkpoints;
    const absl::Status status = store->Read([&](Snapshot& rows) -> absl::Status {
      SINK_ASSIGN_OR_RETURN(checkpoints, rows.ListCheckpoints(Id(1)));
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return checkpoints;
  };
  ASSERT_EQ(stored().size(), 1u);
  EXPECT_EQ(stored()[0].files, checkpoint.files);
  EXPECT_FALSE(stored()[0].pinned);
  EXPECT_TRUE(std::isnan(stored()[0].validation_loss)) << "nobody had asked what it was";
  ASSERT_TRUE(store->Write([](Transaction& rows) { return rows.PinCheckpoint(Id(1), 10, true); }).ok());
  store.reset();
  store = MustOpen(folder / "d");
  EXPECT_TRUE(stored()[0].pinned);
}

TEST(SqliteStore, ASweepWhoseCheckpointsAnOlderProgramSavedHasSaved) {
  testing::TempDir folder;
  {
    auto store = MustOpen(folder / "d");
    ASSERT_TRUE(AddJob(*store, 1).ok());
    const absl::Status filled = store->Write([](Transaction& rows) -> absl::Status {
      Sweep sweep;
      sweep.name = "s";
      sweep.policy.canary = true;
      SINK_RETURN_IF_ERROR(rows.PutSweep(sweep));
      SINK_RETURN_IF_ERROR(rows.SetMemberships("s", {{Id(1), {"s", "e", "l", 0}}}));
      return rows.PutCheckpoint({Id(1), 10, 1, 9, "hash", {{"a.bin", 5, "x"}}, 1});
    });
    ASSERT_TRUE(filled.ok()) << filled;
  }
  {
    auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite);
    ASSERT_TRUE((*db)->Execute("DELETE FROM counts WHERE state = 0").ok());
  }
  auto store = MustOpen(folder / "d");
  bool saved = false;
  const absl::Status read = store->Read([&](Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(saved, rows.HasSaved("s"));
    return absl::OkStatus();
  });
  EXPECT_TRUE(read.ok()) << read;
  EXPECT_TRUE(saved);
}

std::vector<LogLine> LogOf(SqliteStore& store, int job, int64_t after = 0) {
  std::vector<LogLine> lines;
  const absl::Status status = store.Read([&](Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(lines, rows.ListLogs(Id(job), after, 1'000'000));
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  return lines;
}

// Some hundred a transaction.
absl::Status AppendLines(SqliteStore& store, int job, int64_t count) {
  constexpr int64_t kAtOnce = 500;
  for (; count > 0; count -= kAtOnce) {
    const std::vector<LogLine> lines(std::min(count, kAtOnce), {0, 2, 1, "stdout", std::string(100, 'x')});
    SINK_RETURN_IF_ERROR(store.Write([&](Transaction& rows) { return rows.AppendLogs(Id(job), lines); }));
  }
  return absl::OkStatus();
}

TEST(SqliteStore, LogLinesOfAnOlderFileStayAndNumberedOnesFollow) {
  testing::TempDir folder;
  {
    auto store = MustOpen(folder / "d");
    for (int n = 1; n <= 2; ++n) ASSERT_TRUE(AddJob(*store, n).ok());
  }
  {
    auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite);
    ASSERT_TRUE(Undo(**db, 15).ok());
    for (int n = 0; n < 6; ++n) {
      ASSERT_TRUE(Query(**db, "INSERT INTO logs (job, time_ms, attempt, level, text) VALUES (?1, 1, 1, 'info', 'old')",
                        1 + n % 2)
                      .Run()
                      .ok());
    }
  }
  auto store = MustOpen(folder / "d");
  const int64_t last_old = LogOf(*store, 1).back().cursor;
  ASSERT_TRUE(AppendLines(*store, 1, kFirstLinesKept + kNewestLinesKept + 50).ok());
  ASSERT_TRUE(AppendLines(*store, 2, 1).ok());
  const std::vector<LogLine> lines = LogOf(*store, 1);
  ASSERT_EQ(lines.size(), static_cast<size_t>(3 + kFirstLinesKept + kNewestLinesKept));
  for (size_t i = 0; i < lines.size(); ++i) {
    ASSERT_EQ(lines[i].text == "old", i < 3) << i;
    ASSERT_EQ(lines[i].missing, i == 3 + kFirstLinesKept ? 50 : 0) << i;
  }
  const std::vector<LogLine> followed = LogOf(*store, 1, last_old);
  ASSERT_EQ(followed.size(), lines.size() - 3);
  EXPECT_EQ(followed[0].missing, 0);
  ASSERT_EQ(LogOf(*store, 2).size(), 4u);
  EXPECT_EQ(LogOf(*store, 2).back().missing, 0);
}

TEST(SqliteStore, AFileDoesNotGrowByLinesBeyondThoseThatAreKept) {
  testing::TempDir folder;
  auto store = MustOpen(folder / "d");
  for (int n = 1; n <= 2; ++n) ASSERT_TRUE(AddJob(*store, n).ok());
  ASSERT_TRUE(AppendLines(*store, 2, 1).ok());  // what comes of job 1 lies before it
  const auto pages = [&] {
    return *(*Database::Open(folder / "d/sink.db", Database::Mode::kReadOnly))->QueryInt("PRAGMA page_count");
  };
  ASSERT_TRUE(AppendLines(*store, 1, 25'000).ok());
  const int64_t full = pages();
  ASSERT_TRUE(AppendLines(*store, 1, 50'000).ok());
  EXPECT_LE(pages(), full + full / 10);
}

TEST(SqliteStore, JobsOfAnOlderFileQueueByTheSetThatTheirConfigurationNames) {
  testing::TempDir folder;
  {
    auto store = MustOpen(folder / "d");
    for (int n = 1; n <= 3; ++n) ASSERT_TRUE(AddJob(*store, n).ok());
  }
  {
    auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite);
    ASSERT_TRUE(Undo(**db, 9).ok());
    ASSERT_TRUE((*db)
                    ->Execute("UPDATE configs SET json = '{\"data\":{\"set\":\"bible\"}}' WHERE job = 1;"
                              "UPDATE configs SET json = 'no json' WHERE job = 2")
                    .ok());
  }
  auto store = MustOpen(folder / "d");
  std::map<std::string, std::string> heads;
  const absl::Status status = store->Read([&](Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::vector<QueueHead> queues, rows.QueueHeads());
    for (const QueueHead& head : queues) heads[head.data_set] = head.job_id;
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(heads, (std::map<std::string, std::string>{{"bible", Id(1)}, {"", Id(2)}}));
}

TEST(SqliteStore, PointsOfAnOlderFileArePackedWithNothingLost) {
  testing::TempDir folder;
  {
    auto store = MustOpen(folder / "d");
    for (int n = 1; n <= 3; ++n) ASSERT_TRUE(AddJob(*store, n).ok());
  }
  std::map<int64_t, std::vector<MetricPoint>> points;  // by job
  {
    auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite);
    ASSERT_TRUE(Undo(**db, 7).ok());
    ASSERT_TRUE((*db)->Execute("BEGIN").ok());
    for (int64_t step = 0; step < 3000; ++step) {
      for (int64_t job : {3, 1}) {
        for (const std::string& name : {std::string("train_loss"), absl::StrCat("alpha/", step % 7)}) {
          const double value = step == 5 ? std::nan("") : 1.0 / static_cast<double>(step + job);
          ASSERT_TRUE(Query(**db, "INSERT INTO metrics (job, name, step, value, attempt) VALUES (?1, ?2, ?3, ?4, ?5)",
                            job, name, step, value, 1)
                          .Run()
                          .ok());
          points[job].push_back({0, name, step, value, 1});
        }
      }
    }
    ASSERT_TRUE((*db)->Execute("COMMIT").ok());
  }
  auto store = MustOpen(folder / "d");
  for (int n = 1; n <= 3; ++n) {
    std::vector<MetricPoint> read;
    const absl::Status status = store->Read([&](Snapshot& rows) -> absl::Status {
      MetricQuery all;
      all.limit = 100'000;
      SINK_ASSIGN_OR_RETURN(read, rows.ListMetrics(Id(n), all));
      return absl::OkStatus();
    });
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_EQ(read.size(), points[n].size()) << n;
    for (size_t i = 0; i < read.size(); ++i) {
      ASSERT_EQ(read[i].name, points[n][i].name);
      ASSERT_EQ(read[i].step, points[n][i].step);
      ASSERT_EQ(read[i].attempt, 1);
      ASSERT_EQ(std::isnan(read[i].value), std::isnan(points[n][i].value));
      if (!std::isnan(read[i].value)) {
        ASSERT_EQ(read[i].value, points[n][i].value);
      }
    }
  }
}

TEST(SqliteStore, APointTakesAThirdOfWhatARowTook) {
  testing::TempDir folder;
  constexpr int kJobs = 20, kSteps = 100, kNames = 147;
  {
    auto store = MustOpen(folder / "d");
    for (int n = 0; n < kJobs; ++n) ASSERT_TRUE(AddJob(*store, n).ok());
  }
  const auto before = std::filesystem::file_size(folder / "d/sink.db");
  {
    auto store = MustOpen(folder / "d");
    for (int step = 0; step < kSteps; ++step) {
      for (int n = 0; n < kJobs; ++n) {
        std::vector<MetricPoint> points;
        for (int i = 0; i < kNames; ++i) points.push_back({0, absl::StrCat("alpha_mean/", i), step, 0.1 * i + step, 1});
        ASSERT_TRUE(store->Write([&](Transaction& rows) { return rows.PutMetrics(Id(n), points); }).ok());
      }
    }
  }
  const double bytes = static_cast<double>(std::filesystem::file_size(folder / "d/sink.db") - before);
  EXPECT_LT(bytes / (kJobs * kSteps * kNames), 84.0 / 3);
}

TEST(Query, KeepsATextThatIsNobodysAsLongAsItLives) {
  testing::TempDir folder;
  auto db = Database::Open(folder / "sink.db", Database::Mode::kReadWrite);
  ASSERT_TRUE(db.ok()) << db.status();
  Query query(**db, "SELECT ?1", std::string(100, 'x'));
  const std::string other(100, 'y');  // where that was, most likely
  ASSERT_TRUE(query.Next()) << query.status();
  EXPECT_EQ(query.Text(0), std::string(100, 'x'));
}

TEST(SqliteStore, TheJobsTableHasExactlyTheColumnsOfTheList) {
  testing::TempDir folder;
  MustOpen(folder / "d").reset();
  auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadOnly);
  std::vector<std::string> table, list = {"seq"};
  Query columns(**db, "SELECT name FROM pragma_table_info('jobs')");
  while (columns.Next()) table.push_back(columns.Text(0));
  ASSERT_TRUE(columns.status().ok()) << columns.status();
  VisitColumns([&](const JobColumn& column) { list.push_back(column.name); });
  EXPECT_THAT(table, ::testing::UnorderedElementsAreArray(list));
  // Those that listings read come first in both, and in one order.
  const size_t listed = static_cast<size_t>(ListedColumns());
  ASSERT_GE(table.size(), listed);
  EXPECT_TRUE(std::equal(list.begin(), list.begin() + listed, table.begin()));
}

// How many instructions of SQLite's machine a read takes.
template <typename Body>
int64_t StepsOf(Database& db, Body body) {
  int64_t steps = 0;
  const auto count = [](void* out) {
    ++*static_cast<int64_t*>(out);
    return 0;
  };
  sqlite3_progress_handler(db.handle(), 1, count, &steps);
  SeriesNames names;
  SqliteTransaction rows(db, names);
  body(rows);
  sqlite3_progress_handler(db.handle(), 0, nullptr, nullptr);
  return steps;
}

// Three live jobs of one worker, of `stored` that are queued in six queues or have ended; ten workers beside those that
// have retired.
void FillForPlans(const std::string& folder, int stored) {
  auto store = MustOpen(folder);
  const absl::Status filled = store->Write([&](Transaction& rows) -> absl::Status {
    for (const char* name : {"a", "b"}) {
      Sweep sweep;
      sweep.name = name;
      SINK_RETURN_IF_ERROR(rows.PutSweep(sweep));
    }
    for (int n = 0; n < stored; ++n) {
      Worker worker;
      worker.id = absl::StrCat("w", n);
      worker.name = "name";
      SINK_RETURN_IF_ERROR(rows.PutWorker(worker));
      if (n >= 10) SINK_RETURN_IF_ERROR(rows.RetireWorker(worker.id));
      Job job;
      job.id = Id(n);
      job.home_sweep = n % 2 == 0 ? "a" : "b";
      job.devices = 1 + n % 3;
      SINK_RETURN_IF_ERROR(rows.InsertJob(job, "{}"));
      if (n >= 3 && n % 4 != 0) continue;
      job.state = n < 3 ? JobState::kLeased : JobState::kCancelled;
      if (n < 3) job.phase = JobState::kLeased;
      if (n < 3) job.holder = {static_cast<uint64_t>(n + 1), "lease", "w", "session", 1};
      SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
    }
    return absl::OkStatus();
  });
  ASSERT_TRUE(filled.ok()) << filled;
}

TEST(SqliteStore, WhatALeaseReadsCostsTheSameHoweverMuchIsStored) {
  testing::TempDir folder;
  struct Read {
    const char* name;
    std::function<void(SqliteTransaction&)> body;
  };
  const std::vector<Read> reads = {
      {"live jobs", [](SqliteTransaction& rows) { EXPECT_EQ(rows.LiveJobs()->size(), 3u); }},
      {"live jobs of a worker", [](SqliteTransaction& rows) { EXPECT_EQ(rows.LiveJobsOf("w")->size(), 3u); }},
      {"live jobs of another", [](SqliteTransaction& rows) { EXPECT_TRUE(rows.LiveJobsOf("v")->empty()); }},
      {"queue front", [](SqliteTransaction& rows) { EXPECT_TRUE((*rows.QueueFront()).has_value()); }},
      {"the next in a queue",
       [](SqliteTransaction& rows) { EXPECT_TRUE((*rows.NextInQueue(**rows.QueueFront())).has_value()); }},
      {"queue heads", [](SqliteTransaction& rows) { EXPECT_EQ(rows.QueueHeads()->size(), 6u); }},
      {"a worker", [](SqliteTransaction& rows) { EXPECT_EQ(rows.GetWorker("w7")->name, "name"); }},
      {"workers", [](SqliteTransaction& rows) { EXPECT_EQ(rows.ListWorkers()->size(), 10u); }},
      {"whether a sweep has saved", [](SqliteTransaction& rows) { EXPECT_FALSE(*rows.HasSaved("a")); }},
      {"live jobs of a sweep", [](SqliteTransaction& rows) { EXPECT_EQ(*rows.CountLive("a"), 2); }},
  };
  FillForPlans(folder / "small", 60);
  FillForPlans(folder / "large", 6000);
  for (const Read& read : reads) {
    auto small = Database::Open(folder / "small/sink.db", Database::Mode::kReadOnly);
    auto large = Database::Open(folder / "large/sink.db", Database::Mode::kReadOnly);
    const int64_t few = StepsOf(**small, read.body), many = StepsOf(**large, read.body);
    EXPECT_GT(few, 0) << read.name;
    EXPECT_LE(many, few + few / 10) << read.name;
  }
}

TEST(SqliteStore, TheNewestValueOfACurveCostsTheSameHoweverLongItIs) {
  const auto steps_of = [](int64_t points_stored) {
    testing::TempDir folder;
    {
      auto store = MustOpen(folder / "d");
      EXPECT_TRUE(AddJob(*store, 1).ok());
      std::vector<MetricPoint> points;
      for (int64_t step = 1; step <= points_stored; ++step) points.push_back({0, "loss", step, 0.5, 1});
      EXPECT_TRUE(store->Write([&](Transaction& rows) { return rows.PutMetrics(Id(1), points); }).ok());
    }
    auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadOnly);
    return StepsOf(**db, [&](SqliteTransaction& rows) {
      EXPECT_EQ(*rows.LastValue(Id(1), "loss", points_stored - 10, points_stored), 0.5);
    });
  };
  EXPECT_LE(steps_of(200'000), steps_of(2'000) + 100);
}

TEST(SqliteStore, ALogLineCostsTheSameHoweverManyCameBefore) {
  const auto steps_of = [](int64_t lines_before) {
    testing::TempDir folder;
    {
      auto store = MustOpen(folder / "d");
      EXPECT_TRUE(AddJob(*store, 1).ok());
      EXPECT_TRUE(AppendLines(*store, 1, lines_before).ok());
    }
    auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite);
    return StepsOf(**db, [](SqliteTransaction& rows) {
      EXPECT_TRUE(rows.AppendLogs(Id(1), {{0, 1, 1, "stdout", "one more"}}).ok());
    });
  };
  const int64_t full = steps_of(22'000);
  EXPECT_LE(steps_of(44'000), full + 5);
  EXPECT_LE(full, steps_of(100) + 100) << "the line that goes is found at once";
}

TEST(SqliteStore, AFileThatIsNoDatabaseIsAnErrorThatNamesIt) {
  testing::TempDir folder;
  std::filesystem::create_directories(folder.path() / "d");
  {
    FILE* file = fopen((folder / "d/sink.db").c_str(), "w");
    for (int i = 0; i < 1000; ++i) fputs("not a database ", file);
    fclose(file);
  }
  auto store = SqliteStore::Open(folder / "d");
  ASSERT_FALSE(store.ok());
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("sink.db"));
}

TEST(SqliteStore, FullDiskRefusesWritesKeepsReadsAndRecovers) {
  testing::TempDir folder;
  const std::string big(20'000, 'x');
  std::set<std::string> acknowledged;
  {
    auto store = MustOpen(folder / "d", {.max_pages = 120});
    absl::Status status;
    for (int n = 1; n <= 200 && status.ok(); ++n) {
      status = AddJob(*store, n, big);
      if (status.ok()) acknowledged.insert(Id(n));
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("disk full"));
    EXPECT_FALSE(acknowledged.empty());
    EXPECT_EQ(StoredIds(*store), acknowledged);
    // Small changes that need no new page still work.
    EXPECT_TRUE(store->Write([](Transaction& rows) { return rows.SetEpoch(3); }).ok());
  }
  auto store = MustOpen(folder / "d");
  EXPECT_EQ(StoredIds(*store), acknowledged);
  EXPECT_TRUE(AddJob(*store, 999, big).ok());
}

// A child acknowledges each job on a pipe once Write has returned, until it is killed at a random moment.
[[noreturn]] void WriteUntilKilled(const std::string& folder, int first, int fd) {
  auto store = SqliteStore::Open(folder);
  if (!store.ok()) _exit(1);
  const int ready = 0;
  if (write(fd, &ready, sizeof(ready)) != sizeof(ready)) _exit(3);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int n = first + t;; n += 4) {
        if (!AddJob(**store, n).ok()) _exit(2);
        if (write(fd, &n, sizeof(n)) != sizeof(n)) _exit(3);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  _exit(0);
}

TEST(SqliteStore, NoAcknowledgedWriteIsLostInAHundredKills) {
  testing::TempDir folder;
  std::mt19937 random(7);
  std::set<std::string> acknowledged;
  int first = 1;
  for (int kill_number = 0; kill_number < 100; ++kill_number) {
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(fds[0]);
      WriteUntilKilled(folder / "d", first, fds[1]);
    }
    close(fds[1]);
    int n = -1, wait_status;
    ASSERT_EQ(read(fds[0], &n, sizeof(n)), static_cast<ssize_t>(sizeof(n)));
    usleep(random() % 50'000);
    kill(child, SIGKILL);
    waitpid(child, &wait_status, 0);
    ASSERT_TRUE(WIFSIGNALED(wait_status)) << "the child ended by itself: " << WEXITSTATUS(wait_status);
    while (read(fds[0], &n, sizeof(n)) == sizeof(n)) acknowledged.insert(Id(n));
    close(fds[0]);
    first += 1000;
    if (kill_number % 10 == 9) {
      auto store = MustOpen(folder / "d");
      const std::set<std::string> stored = StoredIds(*store);
      for (const std::string& id : acknowledged) ASSERT_TRUE(stored.contains(id)) << id << " was acknowledged and lost";
    }
  }
  EXPECT_GT(acknowledged.size(), 100u);
  auto db = Database::Open(folder / "d/sink.db", Database::Mode::kReadWrite);
  Query check(**db, "PRAGMA integrity_check");
  ASSERT_TRUE(check.Next());
  EXPECT_EQ(check.Text(0), "ok");
}

}  // namespace
}  // namespace sink::store
