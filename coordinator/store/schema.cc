// The schema, one migration a version. Rules that need no history are constraints here, so that no writer, ours or a
// person's with a SQL shell, can break them: states and their edges, a lease exactly while live, one holder of a fence.
#include "coordinator/store/schema.h"

#include "absl/strings/str_cat.h"
#include "coordinator/job/job_state.h"
#include "coordinator/store/point_table.h"

namespace sink::store {
namespace {

// Child tables name a job by jobs.seq, which is also its place in submission order.
constexpr char kVersion1[] = R"sql(
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('epoch', 0);

CREATE TABLE sweeps (
  name TEXT PRIMARY KEY,
  created_ms INTEGER NOT NULL,
  max_parallel INTEGER NOT NULL CHECK (max_parallel >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
  -- What listings read, first: SQLite walks a row from its beginning.
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE CHECK (length(id) = 32),
  generation INTEGER NOT NULL CHECK (generation >= 1),
  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 9),
  attempt INTEGER NOT NULL CHECK (attempt >= 0),
  worker TEXT NOT NULL,
  failure_class INTEGER NOT NULL CHECK (failure_class BETWEEN 0 AND 4),
  message TEXT NOT NULL,
  step INTEGER NOT NULL,
  max_steps INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  tokens_per_second REAL,  -- NULL: not a number
  latest TEXT NOT NULL,
  devices INTEGER NOT NULL CHECK (devices >= 0),
  cancel_requested INTEGER NOT NULL CHECK (cancel_requested IN (0, 1)),
  created_ms INTEGER NOT NULL,
  started_ms INTEGER NOT NULL,
  finished_ms INTEGER NOT NULL,
  -- What only the rules read.
  home_sweep TEXT NOT NULL REFERENCES sweeps (name),
  phase INTEGER NOT NULL CHECK (phase IN (1, 2, 3, 6)),
  fence INTEGER NOT NULL,
  lease_id TEXT NOT NULL,
  worker_id TEXT NOT NULL,
  session TEXT NOT NULL,
  poll INTEGER NOT NULL,
  event_cursor INTEGER NOT NULL CHECK (event_cursor >= 0),
  start_step INTEGER NOT NULL,
  restarts_without_progress INTEGER NOT NULL,
  budget_infra INTEGER NOT NULL,
  budget_out_of_memory INTEGER NOT NULL,
  budget_nan INTEGER NOT NULL,
  budget_user INTEGER NOT NULL,
  failures_infra INTEGER NOT NULL,
  failures_out_of_memory INTEGER NOT NULL,
  failures_nan INTEGER NOT NULL,
  failures_user INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  max_time_ms INTEGER NOT NULL CHECK (max_time_ms >= 0),
  delayed INTEGER NOT NULL CHECK (delayed = 0 OR (delayed = 1 AND state = 1)),
  timed_out INTEGER NOT NULL CHECK (timed_out IN (0, 1)),
  queued_ms INTEGER NOT NULL,
  CHECK ((state BETWEEN 2 AND 6) = (fence > 0))
) STRICT;
CREATE INDEX jobs_ready ON jobs (home_sweep, devices, priority DESC, seq) WHERE state = 1 AND delayed = 0;
CREATE INDEX jobs_delayed ON jobs (id) WHERE delayed = 1;
CREATE INDEX jobs_live ON jobs (home_sweep) WHERE state BETWEEN 2 AND 6;
CREATE UNIQUE INDEX jobs_fence ON jobs (fence) WHERE fence > 0;

CREATE TABLE configs (
  job INTEGER PRIMARY KEY REFERENCES jobs (seq),
  json TEXT NOT NULL
) STRICT;

CREATE TABLE memberships (
  sweep TEXT NOT NULL REFERENCES sweeps (name),
  position INTEGER NOT NULL,
  job INTEGER NOT NULL REFERENCES jobs (seq),
  first INTEGER NOT NULL CHECK (first IN (0, 1)),  -- of this job's places in this sweep
  experiment TEXT NOT NULL,
  label TEXT NOT NULL,
  PRIMARY KEY (sweep, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_job ON memberships (job, sweep);

-- Jobs by state, of each sweep and (sweep '') of all; kept by the triggers below.
CREATE TABLE counts (
  sweep TEXT NOT NULL,
  state INTEGER NOT NULL,
  jobs INTEGER NOT NULL CHECK (jobs >= 0),
  PRIMARY KEY (sweep, state)
) STRICT, WITHOUT ROWID;
INSERT INTO counts (sweep, state, jobs)
  VALUES ('', 1, 0), ('', 2, 0), ('', 3, 0), ('', 4, 0), ('', 5, 0), ('', 6, 0), ('', 7, 0), ('', 8, 0), ('', 9, 0);
CREATE TRIGGER sweeps_counts AFTER INSERT ON sweeps BEGIN
  INSERT INTO counts (sweep, state, jobs) SELECT NEW.name, state, 0 FROM counts WHERE sweep = '';
END;
CREATE TRIGGER jobs_insert_counts AFTER INSERT ON jobs BEGIN
  UPDATE counts SET jobs = jobs + 1 WHERE sweep = '' AND state = NEW.state;
END;
CREATE TRIGGER jobs_update_counts AFTER UPDATE OF state ON jobs WHEN OLD.state <> NEW.state BEGIN
  UPDATE counts SET jobs = jobs - 1 WHERE sweep = '' AND state = OLD.state;
  UPDATE counts SET jobs = jobs + 1 WHERE sweep = '' AND state = NEW.state;
  UPDATE counts SET jobs = jobs - 1
    WHERE state = OLD.state AND sweep IN (SELECT sweep FROM memberships WHERE job = NEW.seq);
  UPDATE counts SET jobs = jobs + 1
    WHERE state = NEW.state AND sweep IN (SELECT sweep FROM memberships WHERE job = NEW.seq);
END;
CREATE TRIGGER memberships_insert_counts AFTER INSERT ON memberships WHEN NEW.first = 1 BEGIN
  UPDATE counts SET jobs = jobs + 1
    WHERE sweep = NEW.sweep AND state = (SELECT state FROM jobs WHERE seq = NEW.job);
END;
CREATE TRIGGER memberships_delete_counts AFTER DELETE ON memberships WHEN OLD.first = 1 BEGIN
  UPDATE counts SET jobs = jobs - 1
    WHERE sweep = OLD.sweep AND state = (SELECT state FROM jobs WHERE seq = OLD.job);
END;

CREATE TABLE attempts (
  job INTEGER NOT NULL REFERENCES jobs (seq),
  attempt INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  lease_id TEXT NOT NULL,
  worker_id TEXT NOT NULL,
  worker TEXT NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5),
  job_state INTEGER NOT NULL CHECK (job_state BETWEEN 1 AND 9),
  failure_class INTEGER NOT NULL CHECK (failure_class BETWEEN 0 AND 4),
  message TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  finished_ms INTEGER NOT NULL,
  PRIMARY KEY (job, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE metrics (
  id INTEGER PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES jobs (seq),
  name TEXT NOT NULL,
  step INTEGER NOT NULL,
  value REAL,  -- NULL: not a number
  attempt INTEGER NOT NULL,
  UNIQUE (job, name, step)
) STRICT;
CREATE INDEX metrics_job ON metrics (job);

CREATE TABLE heatmaps (
  job INTEGER NOT NULL REFERENCES jobs (seq),
  name TEXT NOT NULL,
  step INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  layers INTEGER NOT NULL,
  heads INTEGER NOT NULL,
  cells BLOB NOT NULL,  -- doubles of the coordinator's machine
  PRIMARY KEY (job, name, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE logs (
  id INTEGER PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES jobs (seq),
  time_ms INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  level TEXT NOT NULL,
  text TEXT NOT NULL
) STRICT;
CREATE INDEX logs_job ON logs (job);

CREATE TABLE checkpoints (
  job INTEGER NOT NULL REFERENCES jobs (seq),
  step INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  manifest_hash TEXT NOT NULL,
  files TEXT NOT NULL,  -- "name size xxh3" lines
  committed_ms INTEGER NOT NULL,
  PRIMARY KEY (job, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  address TEXT NOT NULL,
  session TEXT NOT NULL,
  devices INTEGER NOT NULL,
  device_kind TEXT NOT NULL,
  version TEXT NOT NULL,
  last_seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
  seq INTEGER PRIMARY KEY,
  request_id TEXT NOT NULL UNIQUE,
  body_hash TEXT NOT NULL,
  response TEXT NOT NULL
) STRICT;
)sql";

// A job's places in a sweep beyond its first: few, and every listing asks for them.
constexpr char kVersion2[] = "CREATE INDEX memberships_further ON memberships (sweep, position) WHERE first = 0";

// What a sweep's file says beyond its jobs (JobQueries::GetStudy); empty in a sweep that was stored before.
constexpr char kVersion3[] = "ALTER TABLE sweeps ADD COLUMN study TEXT NOT NULL DEFAULT ''";

// Policies of sweeps, what a job keeps, and the rungs of early stopping.
constexpr char kVersion4[] = R"sql(
ALTER TABLE sweeps ADD COLUMN stop_metric TEXT NOT NULL DEFAULT '';
ALTER TABLE sweeps ADD COLUMN stop_maximize INTEGER NOT NULL DEFAULT 0 CHECK (stop_maximize IN (0, 1));
ALTER TABLE sweeps ADD COLUMN stop_first_rung INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN stop_eta INTEGER NOT NULL DEFAULT 3 CHECK (stop_eta >= 2);
ALTER TABLE sweeps ADD COLUMN canary INTEGER NOT NULL DEFAULT 0 CHECK (canary IN (0, 1));
ALTER TABLE sweeps ADD COLUMN max_failed INTEGER NOT NULL DEFAULT -1;
ALTER TABLE jobs ADD COLUMN stall_ms INTEGER NOT NULL DEFAULT 0 CHECK (stall_ms >= 0);
ALTER TABLE jobs ADD COLUMN checkpoints_kept INTEGER NOT NULL DEFAULT 0 CHECK (checkpoints_kept >= 0);
ALTER TABLE jobs ADD COLUMN checkpoint_period INTEGER NOT NULL DEFAULT 0 CHECK (checkpoint_period >= 0);
ALTER TABLE jobs ADD COLUMN stop_message TEXT NOT NULL DEFAULT '';
CREATE TABLE rungs (
  sweep TEXT NOT NULL REFERENCES sweeps (name),
  step INTEGER NOT NULL,
  job INTEGER NOT NULL REFERENCES jobs (seq),
  value REAL,  -- NULL: not a number
  place INTEGER NOT NULL CHECK (place BETWEEN 1 AND peers),
  peers INTEGER NOT NULL,
  stopped INTEGER NOT NULL CHECK (stopped IN (0, 1)),
  PRIMARY KEY (sweep, step, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX rungs_job ON rungs (job);
)sql";

// Jobs on several devices and workers.
constexpr char kVersion5[] = R"sql(
ALTER TABLE jobs ADD COLUMN per_worker INTEGER NOT NULL DEFAULT 0 CHECK (per_worker >= 0);
ALTER TABLE jobs ADD COLUMN rendezvous TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN host TEXT NOT NULL DEFAULT '';
CREATE TABLE gang (
  job INTEGER NOT NULL REFERENCES jobs (seq),
  first_rank INTEGER NOT NULL CHECK (first_rank > 0),
  devices INTEGER NOT NULL CHECK (devices > 0),
  worker TEXT NOT NULL,
  fence INTEGER NOT NULL UNIQUE CHECK (fence > 0),
  lease_id TEXT NOT NULL,
  worker_id TEXT NOT NULL,
  session TEXT NOT NULL,
  poll INTEGER NOT NULL,
  ended INTEGER NOT NULL CHECK (ended IN (0, 1)),
  failure_class INTEGER NOT NULL CHECK (failure_class BETWEEN 0 AND 4),
  message TEXT NOT NULL,
  PRIMARY KEY (job, first_rank)
) STRICT, WITHOUT ROWID;
)sql";

// Only a worker that has its model can take a job that measures one, so these jobs queue by model.
constexpr char kVersion6[] = R"sql(
ALTER TABLE jobs ADD COLUMN model TEXT NOT NULL DEFAULT '';
DROP INDEX jobs_ready;
CREATE INDEX jobs_ready ON jobs (home_sweep, devices, model, priority DESC, seq) WHERE state = 1 AND delayed = 0;
)sql";

// What one worker holds, without a walk over what the others do; workers that have not been heard of for long.
constexpr char kVersion7[] = R"sql(
CREATE INDEX jobs_holder ON jobs (worker_id) WHERE state BETWEEN 2 AND 6;
CREATE INDEX gang_worker ON gang (worker_id);
ALTER TABLE workers ADD COLUMN retired INTEGER NOT NULL DEFAULT 0 CHECK (retired IN (0, 1));
CREATE INDEX workers_current ON workers (name, id) WHERE retired = 0;
)sql";

// Metric points in blocks (point_table.h): about nine bytes a point where a row with its indexes took 84.
constexpr char kVersion8[] = R"sql(
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE points (
  place INTEGER PRIMARY KEY,  -- job, block
  low INTEGER NOT NULL,
  high INTEGER NOT NULL,
  reach INTEGER NOT NULL,
  data BLOB NOT NULL  -- numbers of the coordinator's machine
) STRICT;
CREATE INDEX jobs_ended ON jobs (finished_ms) WHERE state BETWEEN 7 AND 9;
)sql";

// Workers that are given no new jobs.
constexpr char kVersion9[] = R"sql(
ALTER TABLE workers ADD COLUMN hold INTEGER NOT NULL DEFAULT 0 CHECK (hold BETWEEN 0 AND 3);
ALTER TABLE workers ADD COLUMN hold_reason TEXT NOT NULL DEFAULT '';
)sql";

// Only a worker that has its packed set can take a job that trains on one, and to go on from a checkpoint it must be of
// the same content. Jobs queue by all that they need of a worker's disk; the expression is that of sqlite_reads.cc.
constexpr char kVersion10[] = R"sql(
ALTER TABLE jobs ADD COLUMN data_set TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN data_content TEXT NOT NULL DEFAULT '';
UPDATE jobs SET data_set = coalesce((
    SELECT json_extract(c.json, '$.data.set') FROM configs AS c WHERE c.job = jobs.seq AND json_valid(c.json)), '')
  WHERE model = '';
DROP INDEX jobs_ready;
CREATE INDEX jobs_ready ON jobs
  (home_sweep, devices, model || ' ' || data_set || ' ' || data_content, priority DESC, seq)
  WHERE state = 1 AND delayed = 0;
)sql";

// A sweep that was cancelled wants its jobs no more; another one may.
constexpr char kVersion11[] =
    "ALTER TABLE memberships ADD COLUMN withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1))";

// Jobs that were deleted and whose files may be there yet (DeletedJob in job_store.h); how much a job has measured.
constexpr char kVersion12[] = R"sql(
ALTER TABLE jobs ADD COLUMN numbers INTEGER NOT NULL DEFAULT 0 CHECK (numbers >= 0);
CREATE TABLE deleted_jobs (
  id TEXT PRIMARY KEY,
  last_fence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

// Studies apart from their sweeps: some are long, and every grant and every report reads its sweep's row.
constexpr char kVersion13[] = R"sql(
CREATE TABLE studies (
  sweep TEXT PRIMARY KEY REFERENCES sweeps (name),
  json TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO studies (sweep, json) SELECT name, study FROM sweeps WHERE study <> '';
ALTER TABLE sweeps DROP COLUMN study;
)sql";

// What goes before all else, by one seek however many queues there are.
constexpr char kVersion14[] = R"sql(
CREATE INDEX jobs_front ON jobs (priority DESC, seq) WHERE state = 1 AND delayed = 0;
)sql";

// What a checkpoint is kept for beside being new: it measured best, or a person has pinned it. And a job that its home
// does not want any more is at home with the oldest sweep that does.
constexpr char kVersion15[] = R"sql(
UPDATE jobs SET home_sweep = (
  SELECT m.sweep FROM memberships AS m JOIN sweeps AS s ON s.name = m.sweep
  WHERE m.job = jobs.seq AND m.withdrawn = 0 ORDER BY s.created_ms, m.sweep LIMIT 1)
WHERE state <> 7 AND EXISTS (SELECT 1 FROM memberships AS m WHERE m.job = jobs.seq AND m.withdrawn = 0)
  AND NOT EXISTS (SELECT 1 FROM memberships AS m
                  WHERE m.job = jobs.seq AND m.sweep = jobs.home_sweep AND m.withdrawn = 0);
ALTER TABLE checkpoints ADD COLUMN validation_loss REAL;  -- NULL: not a number
ALTER TABLE checkpoints ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1));
)sql";

// Version 16 changes no table: from it on an id of a log line says its job and its number (log_lines.h), which an older
// program would not go on with.

// Who deletes a sweep says which generation of it; 0: it was submitted before there were any.
constexpr char kVersion17[] = "ALTER TABLE sweeps ADD COLUMN generation INTEGER NOT NULL DEFAULT 0";

absl::Status PackMetrics(Database& db) {
  constexpr size_t kAtOnce = 4096;
  SeriesNames names;
  PointTable table(db, names);
  {
    Query rows(db, "SELECT job, name, step, value, attempt FROM metrics ORDER BY job, id");
    int64_t job = 0;
    std::vector<MetricPoint> points;
    const auto put = [&] {
      const absl::Status status = table.Put(job, points);
      points.clear();
      return status;
    };
    while (rows.Next()) {
      if (rows.Int(0) != job || points.size() == kAtOnce) {
        if (absl::Status status = put(); !status.ok()) return status;
      }
      job = rows.Int(0);
      points.push_back({0, rows.Text(1), rows.Int(2), rows.Real(3), static_cast<int>(rows.Int(4))});
    }
    if (!rows.status().ok()) return rows.status();
    if (absl::Status status = put(); !status.ok()) return status;
  }
  return db.Execute("DROP TABLE metrics");
}

constexpr char kBeginTrigger[] =
    "CREATE TRIGGER jobs_begin BEFORE INSERT ON jobs WHEN NEW.state <> 1 OR NEW.generation <> 1 BEGIN "
    "SELECT RAISE(ABORT, 'a job begins QUEUED, in generation 1'); END";

std::string TransitionTrigger() {
  return absl::StrCat("CREATE TRIGGER jobs_transition BEFORE UPDATE OF state, generation ON jobs WHEN NOT (",
                      TransitionCondition(), ") BEGIN SELECT RAISE(ABORT, 'illegal state transition'); END");
}

// At every start those in the file are compared with the table in job_state.h, and made anew where they differ.
absl::Status MakeTriggers(Database& db) {
  const std::string transition = TransitionTrigger();
  {
    Query same(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND sql IN (?1, ?2)", kBeginTrigger,
               transition);
    if (!same.Next()) return same.status();
    if (same.Int(0) == 2) return absl::OkStatus();
  }
  return db.Execute(absl::StrCat("DROP TRIGGER IF EXISTS jobs_begin; DROP TRIGGER IF EXISTS jobs_transition;",
                                 kBeginTrigger, ";", transition)
                        .c_str());
}

// At every start, for checkpoints that an older program has saved: the marks (HasSaved) of sweeps that are asked for
// theirs. They stand in counts, as meta must stay one page (lost_commits.cc). Cost: the jobs of sweeps without one.
constexpr char kMarkSaved[] = R"sql(
INSERT INTO counts (sweep, state, jobs) SELECT s.name, 0, 0 FROM sweeps AS s
WHERE s.canary = 1 AND NOT EXISTS (SELECT 1 FROM counts AS mark WHERE mark.sweep = s.name AND mark.state = 0)
  AND EXISTS (SELECT 1 FROM memberships AS m CROSS JOIN checkpoints AS c ON c.job = m.job WHERE m.sweep = s.name)
)sql";

absl::Status Upgrade(Database& db, int64_t version) {
  if (version < 1) {
    if (absl::Status status = db.Execute(kVersion1); !status.ok()) return status;
  }
  if (version < 2) {
    if (absl::Status status = db.Execute(kVersion2); !status.ok()) return status;
  }
  if (version < 3) {
    if (absl::Status status = db.Execute(kVersion3); !status.ok()) return status;
  }
  if (version < 4) {
    if (absl::Status status = db.Execute(kVersion4); !status.ok()) return status;
  }
  if (version < 5) {
    if (absl::Status status = db.Execute(kVersion5); !status.ok()) return status;
  }
  if (version < 6) {
    if (absl::Status status = db.Execute(kVersion6); !status.ok()) return status;
  }
  if (version < 7) {
    if (absl::Status status = db.Execute(kVersion7); !status.ok()) return status;
  }
  if (version < 8) {
    if (absl::Status status = db.Execute(kVersion8); !status.ok()) return status;
    if (absl::Status status = PackMetrics(db); !status.ok()) return status;
  }
  if (version < 9) {
    if (absl::Status status = db.Execute(kVersion9); !status.ok()) return status;
  }
  if (version < 10) {
    if (absl::Status status = db.Execute(kVersion10); !status.ok()) return status;
  }
  if (version < 11) {
    if (absl::Status status = db.Execute(kVersion11); !status.ok()) return status;
  }
  if (version < 12) {
    if (absl::Status status = db.Execute(kVersion12); !status.ok()) return status;
  }
  if (version < 13) {
    if (absl::Status status = db.Execute(kVersion13); !status.ok()) return status;
  }
  if (version < 14) {
    if (absl::Status status = db.Execute(kVersion14); !status.ok()) return status;
  }
  if (version < 15) {
    if (absl::Status status = db.Execute(kVersion15); !status.ok()) return status;
  }
  if (version < 17) {
    if (absl::Status status = db.Execute(kVersion17); !status.ok()) return status;
  }
  if (absl::Status status = db.Execute(kMarkSaved); !status.ok()) return status;
  if (absl::Status status = MakeTriggers(db); !status.ok() || version == kSchemaVersion) return status;
  return db.Execute(absl::StrCat("PRAGMA user_version = ", kSchemaVersion).c_str());
}

}  // namespace

absl::Status Migrate(Database& db) {
  return db.Write([&db]() -> absl::Status {
    absl::StatusOr<int64_t> version = db.QueryInt("PRAGMA user_version");
    if (!version.ok()) return version.status();
    if (*version <= kSchemaVersion) return Upgrade(db, *version);
    return absl::FailedPreconditionError(absl::StrCat("the database has schema version ", *version,
                                                      " and this program knows ", kSchemaVersion,
                                                      ": use the newer sink-coordinator that wrote it"));
  });
}

}  // namespace sink::store
