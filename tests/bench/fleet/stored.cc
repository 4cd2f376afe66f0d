// See stored.h.
#include "tests/bench/fleet/stored.h"

#include <sqlite3.h>

#include <string>

#include "tests/bench/fleet/program.h"

namespace sink::bench {
namespace {

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
  const std::string columns =
      sql.Get("SELECT name FROM pragma_table_info('jobs') WHERE name NOT IN ('seq', 'id', 'state', 'phase', 'fence')");
  sql.Run(
      "PRAGMA synchronous = OFF; BEGIN; DROP TRIGGER IF EXISTS jobs_begin; DROP TRIGGER IF EXISTS jobs_transition;"
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
      std::to_string(jobs - there) + ") INSERT INTO jobs (id, state, phase, fence, " + columns +
      ") SELECT lower(hex(randomblob(16))), 7, 6, 0, " + columns +
      " FROM n, (SELECT * FROM jobs WHERE state = 7 LIMIT 1); COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace sink::bench
