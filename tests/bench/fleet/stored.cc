// See stored.h.
#include "tests/bench/fleet/stored.h"

#include <sqlite3.h>

#include <string>

#include "tests/bench/fleet/program.h"

namespace sink::bench {
namespace {

constexpr char kJobsASweep[] = "10000";

class Sql {
 public:
  explicit Sql(const std::string& path) {
    if (sqlite3_open(path.c_str(), &db_) != SQLITE_OK) Fail("cannot open " + path);
  }
  ~Sql() { sqlite3_close(db_); }
  Sql(const Sql&) = delete;
  Sql& operator=(const Sql&) = delete;

  void Run(const std::string& sql) {
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return;
    Fail(std::string(sqlite3_errmsg(db_)) + " in " + sql.substr(0, 200));
  }
  // The first column of all rows, with commas between.
  std::string Get(const std::string& sql) {
    std::string text;
    const auto add = [](void* out, int, char** values, char**) {
      auto& list = *static_cast<std::string*>(out);
      list += (list.empty() ? "" : ", ") + std::string(values[0] == nullptr ? "" : values[0]);
      return 0;
    };
    if (sqlite3_exec(db_, sql.c_str(), add, &text, nullptr) != SQLITE_OK) Fail(sqlite3_errmsg(db_));
    return text;
  }

 private:
  sqlite3* db_ = nullptr;
};

}  // namespace

void AddFinishedJobs(const std::string& database, int jobs) {
  Sql sql(database);
  const int there = std::stoi(sql.Get("SELECT COUNT(*) FROM jobs WHERE state = 7"));
  if (there >= jobs) return;
  const std::string one = sql.Get("SELECT seq FROM jobs WHERE state = 7 LIMIT 1");
  const std::string its_sweep = "(SELECT home_sweep FROM jobs WHERE seq = " + one + ")";
  const std::string last = sql.Get("SELECT MAX(seq) FROM jobs"), added = std::to_string(jobs - there);
  const auto columns_but = [&sql](const std::string& table, const std::string& but) {
    return sql.Get("SELECT name FROM pragma_table_info('" + table + "') WHERE name NOT IN (" + but + ")");
  };
  const std::string of_sweeps = columns_but("sweeps", "'name'");
  const std::string of_jobs = columns_but("jobs", "'seq', 'id', 'state', 'phase', 'fence', 'home_sweep'");
  const std::string of_memberships = columns_but("memberships", "'sweep', 'position', 'job'");
  const std::string of_attempts = columns_but("attempts", "'job'");
  sql.Run(
      "PRAGMA synchronous = OFF; BEGIN; DROP TRIGGER IF EXISTS jobs_begin; DROP TRIGGER IF EXISTS jobs_transition;"
      "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < " +
      added + ") SELECT i FROM n;" + "INSERT INTO sweeps (name, " + of_sweeps + ") SELECT 'ended-' || i, " + of_sweeps +
      " FROM n, (SELECT * FROM sweeps WHERE name = " + its_sweep + ") WHERE i * " + kJobsASweep + " < " + added + ";" +
      "INSERT INTO jobs (seq, id, state, phase, fence, home_sweep, " + of_jobs + ") SELECT " + last +
      " + 1 + i, lower(hex(randomblob(16))), 7, 6, 0, 'ended-' || (i / " + kJobsASweep + "), " + of_jobs +
      " FROM n, (SELECT * FROM jobs WHERE seq = " + one + ");" + "INSERT INTO configs (job, json) SELECT " + last +
      " + 1 + i, json FROM n, configs WHERE job = " + one + ";" + "INSERT INTO memberships (sweep, position, job, " +
      of_memberships + ") SELECT 'ended-' || (i / " + kJobsASweep + "), i % " + kJobsASweep + ", " + last +
      " + 1 + i, " + of_memberships + " FROM n, (SELECT * FROM memberships WHERE job = " + one + " LIMIT 1);" +
      "INSERT INTO attempts (job, " + of_attempts + ") SELECT " + last + " + 1 + i, " + of_attempts +
      " FROM n, (SELECT * FROM attempts WHERE job = " + one + ");" + "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace sink::bench
