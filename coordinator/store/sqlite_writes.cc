// Changing rows.
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "coordinator/store/job_statements.h"
#include "coordinator/store/log_lines.h"
#include "coordinator/store/point_table.h"
#include "coordinator/store/sqlite_transaction.h"

namespace sink::store {
namespace {

constexpr int kRequestsKept = 10'000;

constexpr char kPutSweep[] =
    "INSERT INTO sweeps (name, created_ms, max_parallel, stop_metric, stop_maximize, stop_first_rung, stop_eta, "
    "canary, "
    "max_failed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
    "ON CONFLICT (name) DO UPDATE SET max_parallel = excluded.max_parallel, stop_metric = excluded.stop_metric, "
    "stop_maximize = excluded.stop_maximize, stop_first_rung = excluded.stop_first_rung, "
    "stop_eta = excluded.stop_eta, canary = excluded.canary, max_failed = excluded.max_failed";
constexpr char kPutStudy[] =
    "INSERT INTO studies (sweep, json) SELECT name, ?2 FROM sweeps WHERE name = ?1 "
    "ON CONFLICT (sweep) DO UPDATE SET json = excluded.json RETURNING sweep";
constexpr char kInsertRung[] =
    "INSERT INTO rungs (sweep, step, job, value, place, peers, stopped) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
constexpr char kInsertMembership[] =
    "INSERT INTO memberships (sweep, position, job, first, experiment, label, withdrawn) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
constexpr char kSetWithdrawn[] = "UPDATE memberships SET withdrawn = ?3 WHERE sweep = ?1 AND job = ?2";
// A home that wants the job stays; else the oldest sweep that does is the home. `away` has a name, since ORDER BY sees
// no column of the row that is updated.
#define SINK_SETTLE_HOME                                                                \
  "UPDATE jobs SET home_sweep = (SELECT sweep FROM ("                                   \
  "SELECT m.sweep, m.withdrawn, m.sweep <> jobs.home_sweep AS away, s.created_ms "      \
  "FROM memberships AS m JOIN sweeps AS s ON s.name = m.sweep WHERE m.job = jobs.seq) " \
  "ORDER BY withdrawn, away, created_ms, sweep LIMIT 1) "
constexpr char kSettleHome[] = SINK_SETTLE_HOME
    "WHERE seq = ?1 "
    "AND EXISTS (SELECT 1 FROM memberships AS m WHERE m.job = jobs.seq AND m.sweep <> jobs.home_sweep "
    "AND (m.withdrawn = 0 OR jobs.home_sweep = ?2))";
constexpr char kSettleHomes[] =
    SINK_SETTLE_HOME "WHERE home_sweep <> ?1 AND seq IN (SELECT job FROM memberships WHERE sweep = ?1)";
#undef SINK_SETTLE_HOME
constexpr char kPutMember[] =
    "INSERT INTO gang (job, first_rank, devices, worker, fence, lease_id, worker_id, session, poll, ended, "
    "failure_class, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) "
    "ON CONFLICT (job, first_rank) DO UPDATE SET devices = excluded.devices, worker = excluded.worker, "
    "fence = excluded.fence, lease_id = excluded.lease_id, worker_id = excluded.worker_id, "
    "session = excluded.session, poll = excluded.poll, ended = excluded.ended, "
    "failure_class = excluded.failure_class, message = excluded.message";
constexpr char kPutAttempt[] =
    "INSERT INTO attempts (job, attempt, generation, fence, lease_id, worker_id, worker, state, job_state, "
    "failure_class, message, started_ms, finished_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) "
    "ON CONFLICT (job, attempt) DO UPDATE SET generation = excluded.generation, fence = excluded.fence, "
    "lease_id = excluded.lease_id, worker_id = excluded.worker_id, worker = excluded.worker, state = excluded.state, "
    "job_state = excluded.job_state, failure_class = excluded.failure_class, message = excluded.message, "
    "started_ms = excluded.started_ms, finished_ms = excluded.finished_ms";
constexpr char kPutCheckpoint[] =
    "INSERT INTO checkpoints (job, step, attempt, fence, manifest_hash, files, committed_ms, validation_loss) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (job, step) DO UPDATE SET attempt = excluded.attempt, "
    "fence = excluded.fence, manifest_hash = excluded.manifest_hash, files = excluded.files, "
    "committed_ms = excluded.committed_ms, validation_loss = excluded.validation_loss";
// The count of no state, which counts nothing: a job of the sweep has saved a checkpoint (HasSaved).
constexpr char kMarkSaved[] =
    "INSERT OR IGNORE INTO counts (sweep, state, jobs) SELECT sweep, 0, 0 FROM memberships WHERE job = ?1";
constexpr char kForgetSaved[] = "DELETE FROM counts WHERE sweep = ?1 AND state = 0";
constexpr char kMarkSavedIfAny[] =
    "INSERT INTO counts (sweep, state, jobs) SELECT ?1, 0, 0 WHERE EXISTS (SELECT 1 FROM memberships AS m "
    "CROSS JOIN checkpoints AS c ON c.job = m.job WHERE m.sweep = ?1)";
constexpr char kPutHeatmap[] =
    "INSERT INTO heatmaps (job, name, step, attempt, layers, heads, cells) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
    "ON CONFLICT (job, name, step) DO UPDATE SET attempt = excluded.attempt, layers = excluded.layers, "
    "heads = excluded.heads, cells = excluded.cells";
constexpr char kNewestLog[] = "SELECT id FROM logs WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1";
constexpr char kAppendLog[] =
    "INSERT INTO logs (id, job, time_ms, attempt, level, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
constexpr char kDropLogs[] = "DELETE FROM logs WHERE id > ?1 AND id <= ?2";
constexpr char kPutWorker[] =
    "INSERT INTO workers (id, name, address, session, devices, device_kind, version, last_seen_ms, host) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO UPDATE SET name = excluded.name, "
    "address = excluded.address, session = excluded.session, devices = excluded.devices, "
    "device_kind = excluded.device_kind, version = excluded.version, last_seen_ms = excluded.last_seen_ms, "
    "host = excluded.host, retired = 0";

absl::Status NoJob(const std::string& id) { return absl::NotFoundError(absl::StrCat("no job ", id)); }

}  // namespace

absl::Status SqliteTransaction::InsertJob(const Job& job, const std::string& config_json) {
  if (job.state != JobState::kQueued || job.generation != 1) {
    return absl::InvalidArgumentError(absl::StrCat("job ", job.id, " must begin QUEUED, in generation 1"));
  }
  NoteProgress(job.id);
  NotePlacement();
  Query query(db_, InsertJobSql());
  BindInsert(job, &query);
  if (absl::Status status = query.Run(); !status.ok()) return status;
  const int64_t seq = sqlite3_last_insert_rowid(db_.handle());
  return Query(db_, "INSERT INTO configs (job, json) VALUES (?1, ?2)", seq, config_json).Run();
}

absl::Status SqliteTransaction::UpdateJob(const Job& job) {
  {
    Query query(db_, "SELECT state, generation FROM jobs WHERE id = ?1", job.id);
    if (!query.Next()) return query.status().ok() ? NoJob(job.id) : query.status();
    const auto state = static_cast<JobState>(query.Int(0));
    const int generation = static_cast<int>(query.Int(1));
    if (!IsLegal(state, generation, job.state, job.generation)) return IllegalTransition(job, state, generation);
  }
  NoteUpdate(job);
  Query query(db_, UpdateJobSql());
  BindUpdate(job, &query);
  return query.Run();
}

absl::Status SqliteTransaction::UpdateProgress(const Job& job) {
  NoteProgress(job.id);
  Query query(db_, UpdateProgressSql());
  BindProgress(job, &query);
  if (query.Next()) return query.Run();
  return query.status().ok() ? NoJob(job.id) : query.status();
}

absl::Status SqliteTransaction::PutSweep(const Sweep& sweep) {
  NoteSweep(sweep.name);
  const SweepPolicy& policy = sweep.policy;
  return Query(db_, kPutSweep, sweep.name, sweep.created_ms, sweep.max_parallel, policy.stop_metric,
               policy.stop_maximize, policy.stop_first_rung, policy.stop_eta, policy.canary, policy.max_failed)
      .Run();
}

absl::Status SqliteTransaction::SetGeneration(const std::string& sweep, int64_t generation) {
  return Query(db_, "UPDATE sweeps SET generation = ?2 WHERE name = ?1", sweep, generation).Run();
}

absl::Status SqliteTransaction::InsertRung(const RungResult& result) {
  absl::StatusOr<int64_t> seq = SeqOf(result.job_id);
  if (!seq.ok()) return seq.status();
  return Query(db_, kInsertRung, result.sweep, result.step, *seq, result.value, result.place, result.peers,
               result.stopped)
      .Run();
}

absl::Status SqliteTransaction::PutStudy(const std::string& sweep, const std::string& study_json) {
  Query query(db_, kPutStudy, sweep, study_json);
  if (query.Next()) return query.Run();
  return query.status().ok() ? absl::NotFoundError(absl::StrCat("no sweep ", sweep)) : query.status();
}

absl::Status SqliteTransaction::SetMemberships(const std::string& sweep,
                                               const std::vector<std::pair<std::string, Membership>>& members) {
  NoteSweep(sweep);
  std::vector<int64_t> before;
  {
    Query query(db_, "SELECT job FROM memberships WHERE sweep = ?1 AND first = 1", sweep);
    while (query.Next()) before.push_back(query.Int(0));
    if (!query.status().ok()) return query.status();
  }
  if (absl::Status status = Query(db_, "DELETE FROM memberships WHERE sweep = ?1", sweep).Run(); !status.ok()) {
    return status;
  }
  absl::flat_hash_set<int64_t> seen;
  for (const auto& [job_id, membership] : members) {
    absl::StatusOr<int64_t> seq = SeqOf(job_id);
    if (!seq.ok()) return seq.status();
    const bool first = seen.insert(*seq).second;
    absl::Status status = Query(db_, kInsertMembership, sweep, membership.index, *seq, first, membership.experiment,
                                membership.label, membership.withdrawn)
                              .Run();
    if (!status.ok()) return status;
  }
  for (const int64_t seq : before) {
    if (seen.contains(seq)) continue;
    if (absl::Status status = SettleHome(seq); !status.ok()) return status;
  }
  if (absl::Status status = Query(db_, kForgetSaved, sweep).Run(); !status.ok()) return status;
  if (absl::Status status = Query(db_, kMarkSavedIfAny, sweep).Run(); !status.ok()) return status;
  return Query(db_, kSettleHomes, sweep).Run();
}

absl::Status SqliteTransaction::SetWithdrawn(const std::string& sweep, const std::string& job_id, bool withdrawn) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  NoteProgress(job_id);
  NotePlacement();  // another sweep may hold it now, or none
  if (absl::Status status = Query(db_, kSetWithdrawn, sweep, *seq, withdrawn).Run(); !status.ok()) return status;
  return SettleHome(*seq);
}

absl::Status SqliteTransaction::SetHome(const std::string& job_id, const std::string& sweep) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  NoteProgress(job_id);
  NotePlacement();  // what held it may not hold there
  return Query(db_, "UPDATE jobs SET home_sweep = ?2 WHERE seq = ?1", *seq, sweep).Run();
}

absl::Status SqliteTransaction::SettleHome(int64_t seq, const std::string& left) {
  return Query(db_, kSettleHome, seq, left).Run();
}

absl::Status SqliteTransaction::PutMember(const GangMember& member) {
  absl::StatusOr<int64_t> seq = SeqOf(member.job_id);
  if (!seq.ok()) return seq.status();
  NotePlacement();
  const Holder& holder = member.holder;
  return Query(db_, kPutMember, *seq, member.first_rank, member.devices, member.worker, holder.fence, holder.lease_id,
               holder.worker_id, holder.session, holder.poll, member.ended, member.failure_class, member.message)
      .Run();
}

absl::Status SqliteTransaction::DeleteMembers(const std::string& job_id) {
  return Query(db_, "DELETE FROM gang WHERE job = (SELECT seq FROM jobs WHERE id = ?1)", job_id).Run();
}

absl::Status SqliteTransaction::PutAttempt(const Attempt& attempt) {
  absl::StatusOr<int64_t> seq = SeqOf(attempt.job_id);
  if (!seq.ok()) return seq.status();
  return Query(db_, kPutAttempt, *seq, attempt.attempt, attempt.generation, attempt.fence, attempt.lease_id,
               attempt.worker_id, attempt.worker, attempt.state, attempt.job_state, attempt.failure_class,
               attempt.message, attempt.started_ms, attempt.finished_ms)
      .Run();
}

absl::Status SqliteTransaction::PutCheckpoint(const Checkpoint& checkpoint) {
  absl::StatusOr<int64_t> seq = SeqOf(checkpoint.job_id);
  if (!seq.ok()) return seq.status();
  NotePlacement();  // a canary's first checkpoint lets the others go
  const std::string files = EncodeFiles(checkpoint.files);
  absl::Status status = Query(db_, kPutCheckpoint, *seq, checkpoint.step, checkpoint.attempt, checkpoint.fence,
                              checkpoint.manifest_hash, files, checkpoint.committed_ms, checkpoint.validation_loss)
                            .Run();
  if (!status.ok()) return status;
  return Query(db_, kMarkSaved, *seq).Run();
}

absl::Status SqliteTransaction::PinCheckpoint(const std::string& job_id, int64_t step, bool pinned) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  NoteProgress(job_id);
  return Query(db_, "UPDATE checkpoints SET pinned = ?3 WHERE job = ?1 AND step = ?2", *seq, step, pinned).Run();
}

absl::Status SqliteTransaction::DeleteCheckpoint(const std::string& job_id, int64_t step) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  return Query(db_, "DELETE FROM checkpoints WHERE job = ?1 AND step = ?2", *seq, step).Run();
}

absl::Status SqliteTransaction::PutMetrics(const std::string& job_id, const std::vector<MetricPoint>& points) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  return PointTable(db_, names_).Put(*seq, points);
}

absl::StatusOr<Thinned> SqliteTransaction::ThinMetrics(const std::string& job_id, int points_a_curve,
                                                       int64_t last_step) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  absl::Status status = Query(db_, "DELETE FROM heatmaps WHERE job = ?1 AND step > ?2", *seq, last_step).Run();
  if (!status.ok()) return status;
  absl::StatusOr<Thinned> thinned = PointTable(db_, names_).Thin(*seq, points_a_curve, last_step);
  if (!thinned.ok()) return thinned;
  Query maps(db_, "SELECT layers * heads FROM heatmaps WHERE job = ?1", *seq);
  while (maps.Next()) thinned->map_cells.push_back(maps.Int(0));
  if (!maps.status().ok()) return maps.status();
  return thinned;
}

absl::Status SqliteTransaction::PutHeatmap(const std::string& job_id, const Heatmap& heatmap) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  const Blob cells{{reinterpret_cast<const char*>(heatmap.values.data()), heatmap.values.size() * sizeof(double)}};
  return Query(db_, kPutHeatmap, *seq, heatmap.name, heatmap.step, heatmap.attempt, heatmap.layers, heatmap.heads,
               cells)
      .Run();
}

absl::Status SqliteTransaction::AppendLogs(const std::string& job_id, const std::vector<LogLine>& lines) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  const int64_t base = IdBeforeLines(*seq);
  int64_t newest = base;
  {
    Query query(db_, kNewestLog, base, base + kMostLines);
    if (query.Next()) newest = query.Int(0);
    if (!query.status().ok()) return query.status();
  }
  if (newest - base > kMostLines - static_cast<int64_t>(lines.size()))
    return absl::ResourceExhaustedError("a job has more log lines than the database can number");
  for (const LogLine& line : lines) {
    absl::Status status =
        Query(db_, kAppendLog, ++newest, *seq, line.time_ms, line.attempt, line.level, line.text).Run();
    if (!status.ok()) return status;
  }
  return Query(db_, kDropLogs, base + kFirstLinesKept, newest - kNewestLinesKept).Run();
}

absl::Status SqliteTransaction::PutWorker(const Worker& worker) {
  NotePlacement();
  return Query(db_, kPutWorker, worker.id, worker.name, worker.address, worker.session, worker.devices,
               worker.device_kind, worker.version, worker.last_seen_ms, worker.host)
      .Run();
}

absl::Status SqliteTransaction::RetireWorker(const std::string& id) {
  return Query(db_, "UPDATE workers SET retired = 1 WHERE id = ?1", id).Run();
}

absl::Status SqliteTransaction::HoldWorker(const std::string& id, WorkerHold hold, const std::string& reason) {
  NotePlacement();
  Query query(db_, "UPDATE workers SET hold = ?2, hold_reason = ?3 WHERE id = ?1 RETURNING id", id, hold, reason);
  if (query.Next()) return query.Run();
  return query.status().ok() ? absl::NotFoundError(absl::StrCat("no worker ", id)) : query.status();
}

absl::Status SqliteTransaction::PutRequest(const RequestRecord& record) {
  absl::Status status = Query(db_, "INSERT INTO requests (request_id, body_hash, response) VALUES (?1, ?2, ?3)",
                              record.request_id, record.body_hash, record.response)
                            .Run();
  if (!status.ok()) return status;
  const int64_t oldest = sqlite3_last_insert_rowid(db_.handle()) - kRequestsKept;
  return Query(db_, "DELETE FROM requests WHERE seq <= ?1", oldest).Run();
}

absl::Status SqliteTransaction::PutMark(const std::string& name, int64_t value) {
  return Query(db_,
               "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
               name, value)
      .Run();
}

absl::Status SqliteTransaction::SetEpoch(uint64_t epoch) {
  return Query(db_, "UPDATE meta SET value = ?1 WHERE name = 'epoch'", epoch).Run();
}

}  // namespace sink::store
