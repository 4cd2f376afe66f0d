// Reading rows. Columns are named, never *, and read by position with one running index.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/job_statements.h"
#include "coordinator/store/log_lines.h"
#include "coordinator/store/point_table.h"
#include "coordinator/store/sqlite_transaction.h"

namespace sink::store {
namespace {

// Made once; Database::Prepared keeps a statement by its address. Whoever calls keeps the text itself, so that a leak
// detector sees that it is in use.
const std::string* Forever(std::string sql) { return new std::string(std::move(sql)); }

const char* GetJobSql() {
  static const std::string* const sql = Forever(SelectJob("FROM jobs AS j WHERE j.id = ?1"));
  return sql->c_str();
}
const char* LiveJobsSql() {
  // The index is named because SQLite would rather walk the whole table, which has the order.
  static const std::string* const sql =
      Forever(SelectJob("FROM jobs AS j INDEXED BY jobs_live WHERE j.state BETWEEN 2 AND 6 ORDER BY j.seq"));
  return sql->c_str();
}
const char* LiveJobsOfSql() {
  static const std::string* const sql = Forever(SelectJob(
      "FROM jobs AS j INDEXED BY jobs_holder WHERE j.worker_id = ?1 AND j.state BETWEEN 2 AND 6 ORDER BY j.seq"));
  return sql->c_str();
}
const char* VisitJobsSql() {
  static const std::string* const sql =
      Forever(SelectListed("FROM jobs AS j WHERE j.seq > ?1 AND (?2 >> j.state) & 1 ORDER BY j.seq LIMIT ?3"));
  return sql->c_str();
}
const char* VisitLiveJobsSql() {
  static const std::string* const sql =
      Forever(SelectListed("FROM jobs AS j INDEXED BY jobs_live WHERE j.seq > ?1 AND j.state BETWEEN 2 AND 6 "
                           "AND (?2 >> j.state) & 1 ORDER BY j.seq LIMIT ?3"));
  return sql->c_str();
}
const char* VisitSweepJobsSql() {
  static const std::string* const sql = Forever(SelectListed(
      ", m.position, m.experiment, m.label, m.withdrawn FROM memberships AS m CROSS JOIN jobs AS j ON j.seq = m.job "
      "WHERE m.sweep = ?1 AND m.position > ?2 AND m.first = 1 AND (?3 >> j.state) & 1 ORDER BY m.position LIMIT ?4"));
  return sql->c_str();
}

constexpr char kFurtherPlaces[] =
    "SELECT job, position, experiment, label, withdrawn FROM memberships INDEXED BY memberships_further "
    "WHERE sweep = ?1 AND first = 0 ORDER BY position";
constexpr char kPositionOf[] =
    "SELECT m.position FROM memberships AS m JOIN jobs AS j ON j.seq = m.job "
    "WHERE m.sweep = ?1 AND j.id = ?2 AND m.first = 1";
#define SINK_RUNGS                                                                                                \
  "SELECT r.sweep, r.step, j.id, r.value, r.place, r.peers, r.stopped FROM rungs AS r JOIN jobs AS j ON j.seq = " \
  "r.job "
constexpr char kRung[] = SINK_RUNGS "WHERE r.sweep = ?1 AND r.step = ?2 ORDER BY j.id";
constexpr char kRungsOf[] = SINK_RUNGS "WHERE r.job = ?1 ORDER BY r.sweep, r.step";
constexpr char kMemberships[] =
    "SELECT sweep, experiment, label, position, withdrawn FROM memberships WHERE job = ?1 AND sweep <> ?2 "
    "ORDER BY sweep, position";
// The head of the queue after (sweep, devices, needs): the first of the three that finds one. One condition with a row
// value would seek by its first column alone and walk the rest of the sweep's queue. The needs are one expression, as
// in the index, so that there are three seeks and not five.
#define SINK_QUEUE_NEEDS "model || ' ' || data_set || ' ' || data_content"
#define SINK_QUEUE_COLUMNS \
  "SELECT id, home_sweep, devices, " SINK_QUEUE_NEEDS ", model, data_set, data_content, priority, seq "
#define SINK_READY "WHERE state = 1 AND delayed = 0 "
#define SINK_QUEUE_HEAD SINK_QUEUE_COLUMNS "FROM jobs INDEXED BY jobs_ready " SINK_READY "AND "
#define SINK_QUEUE_ORDER " ORDER BY home_sweep, devices, " SINK_QUEUE_NEEDS ", priority DESC, seq LIMIT 1"
constexpr char kNextNeeds[] =
    SINK_QUEUE_HEAD "home_sweep = ?1 AND devices = ?2 AND " SINK_QUEUE_NEEDS " > ?3" SINK_QUEUE_ORDER;
constexpr char kNextDevices[] = SINK_QUEUE_HEAD "home_sweep = ?1 AND devices > ?2" SINK_QUEUE_ORDER;
constexpr char kNextSweep[] = SINK_QUEUE_HEAD "home_sweep > ?1" SINK_QUEUE_ORDER;
// The next within a queue: the first of the two that finds one, as one condition would walk what goes before. Ordered
// by what differs within it: SQLite would sort the whole queue by an expression that it does not see to be constant.
#define SINK_SAME_QUEUE "home_sweep = ?1 AND devices = ?2 AND " SINK_QUEUE_NEEDS " = ?3 AND "
#define SINK_ORDER_WITHIN " ORDER BY priority DESC, seq LIMIT 1"
constexpr char kNextOfPriority[] = SINK_QUEUE_HEAD SINK_SAME_QUEUE "priority = ?4 AND seq > ?5" SINK_ORDER_WITHIN;
constexpr char kNextPriority[] = SINK_QUEUE_HEAD SINK_SAME_QUEUE "priority < ?4" SINK_ORDER_WITHIN;
// Two ranges: one condition with OR would walk all jobs of the priority.
#define SINK_COUNT_READY "(SELECT COUNT(*) FROM jobs INDEXED BY jobs_ready " SINK_READY "AND " SINK_SAME_QUEUE
constexpr char kCountAhead[] =
    "SELECT " SINK_COUNT_READY "priority > ?4) + " SINK_COUNT_READY "priority = ?4 AND seq < ?5)";
constexpr char kQueueFront[] =
    SINK_QUEUE_COLUMNS "FROM jobs INDEXED BY jobs_front " SINK_READY "ORDER BY priority DESC, seq LIMIT 1";
#define SINK_MEMBERS                                                                                               \
  "SELECT j.id, g.first_rank, g.devices, g.worker, g.fence, g.lease_id, g.worker_id, g.session, g.poll, g.ended, " \
  "g.failure_class, g.message FROM "
constexpr char kMembers[] = SINK_MEMBERS "gang AS g JOIN jobs AS j ON j.seq = g.job ORDER BY g.job, g.first_rank";
constexpr char kMembersOfWorker[] = SINK_MEMBERS
    "gang AS g INDEXED BY gang_worker JOIN jobs AS j ON j.seq = g.job WHERE g.worker_id = ?1 "
    "ORDER BY g.job, g.first_rank";
constexpr char kMembersOfJob[] =
    SINK_MEMBERS "jobs AS j CROSS JOIN gang AS g ON g.job = j.seq WHERE j.id = ?1 ORDER BY g.first_rank";
constexpr char kAttemptsOf[] =
    "SELECT attempt, generation, fence, lease_id, worker_id, worker, state, job_state, failure_class, message, "
    "started_ms, finished_ms FROM attempts WHERE job = ?1 AND attempt BETWEEN ?2 AND ?3 ORDER BY attempt";
constexpr char kBeforeTail[] = "SELECT id FROM logs WHERE job = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2";
#define SINK_SWEEPS                                                                                                    \
  "SELECT name, created_ms, max_parallel, stop_metric, stop_maximize, stop_first_rung, stop_eta, canary, max_failed, " \
  "generation FROM sweeps "
constexpr char kSweep[] = SINK_SWEEPS "WHERE name = ?1";
constexpr char kSweeps[] = SINK_SWEEPS "ORDER BY name";
#define SINK_WORKERS                                                                                              \
  "SELECT id, name, address, session, devices, device_kind, version, last_seen_ms, host, hold, hold_reason FROM " \
  "workers "
constexpr char kWorker[] = SINK_WORKERS "WHERE id = ?1 AND retired = 0";
constexpr char kWorkers[] = SINK_WORKERS "INDEXED BY workers_current WHERE retired = 0 ORDER BY name, id";
constexpr char kAllWorkers[] = SINK_WORKERS "ORDER BY name, id";

absl::StatusOr<std::vector<std::string>> ReadTexts(Query& rows) {
  std::vector<std::string> texts;
  while (rows.Next()) texts.push_back(rows.Text(0));
  if (!rows.status().ok()) return rows.status();
  return texts;
}

absl::StatusOr<std::vector<LogLine>> ReadLogLines(Query& rows) {
  std::vector<LogLine> lines;
  while (rows.Next()) {
    lines.push_back({.cursor = rows.Int(0),
                     .time_ms = rows.Int(1),
                     .attempt = static_cast<int>(rows.Int(2)),
                     .level = rows.Text(3),
                     .text = rows.Text(4)});
  }
  if (!rows.status().ok()) return rows.status();
  return lines;
}

absl::StatusOr<std::vector<Attempt>> ReadAttempts(Query& rows, const std::string& job_id) {
  std::vector<Attempt> attempts;
  while (rows.Next()) {
    attempts.push_back({.job_id = job_id,
                        .attempt = static_cast<int>(rows.Int(0)),
                        .generation = static_cast<int>(rows.Int(1)),
                        .fence = static_cast<uint64_t>(rows.Int(2)),
                        .lease_id = rows.Text(3),
                        .worker_id = rows.Text(4),
                        .worker = rows.Text(5),
                        .state = static_cast<AttemptState>(rows.Int(6)),
                        .job_state = static_cast<JobState>(rows.Int(7)),
                        .failure_class = static_cast<FailureClass>(rows.Int(8)),
                        .message = rows.Text(9),
                        .started_ms = rows.Int(10),
                        .finished_ms = rows.Int(11)});
  }
  if (!rows.status().ok()) return rows.status();
  return attempts;
}

absl::StatusOr<std::vector<Worker>> ReadWorkers(Query& rows) {
  std::vector<Worker> workers;
  while (rows.Next()) {
    workers.push_back({.id = rows.Text(0),
                       .name = rows.Text(1),
                       .address = rows.Text(2),
                       .host = rows.Text(8),
                       .session = rows.Text(3),
                       .devices = static_cast<int>(rows.Int(4)),
                       .device_kind = rows.Text(5),
                       .version = rows.Text(6),
                       .last_seen_ms = rows.Int(7),
                       .hold = static_cast<WorkerHold>(rows.Int(9)),
                       .hold_reason = rows.Text(10)});
  }
  if (!rows.status().ok()) return rows.status();
  return workers;
}

absl::StatusOr<std::vector<Job>> ReadJobs(Query& rows) {
  std::vector<Job> jobs;
  while (rows.Next()) jobs.push_back(ReadJob(rows));
  if (!rows.status().ok()) return rows.status();
  return jobs;
}

absl::StatusOr<std::vector<GangMember>> ReadMembers(Query& row) {
  std::vector<GangMember> members;
  while (row.Next()) {
    int c = 0;
    GangMember& member = members.emplace_back();
    member.job_id = row.Text(c++);
    member.first_rank = static_cast<int>(row.Int(c++));
    member.devices = static_cast<int>(row.Int(c++));
    member.worker = row.Text(c++);
    member.holder.fence = static_cast<uint64_t>(row.Int(c++));
    member.holder.lease_id = row.Text(c++);
    member.holder.worker_id = row.Text(c++);
    member.holder.session = row.Text(c++);
    member.holder.poll = static_cast<uint64_t>(row.Int(c++));
    member.ended = row.Int(c++) != 0;
    member.failure_class = static_cast<FailureClass>(row.Int(c++));
    member.message = row.Text(c++);
  }
  if (!row.status().ok()) return row.status();
  return members;
}

// SINK_QUEUE_NEEDS of a queue.
std::string NeedsOf(const QueueHead& queue) {
  return absl::StrCat(queue.model, " ", queue.data_set, " ", queue.data_content);
}

QueueHead ReadQueueHead(Query& row) {
  return {.job_id = row.Text(0),
          .sweep = row.Text(1),
          .devices = static_cast<int>(row.Int(2)),
          .model = row.Text(4),
          .data_set = row.Text(5),
          .data_content = row.Text(6),
          .priority = static_cast<int>(row.Int(7)),
          .order = row.Int(8)};
}

Sweep ReadSweep(Query& row) {
  Sweep sweep;
  int c = 0;
  sweep.name = row.Text(c++);
  sweep.created_ms = row.Int(c++);
  sweep.max_parallel = static_cast<int>(row.Int(c++));
  sweep.policy.stop_metric = row.Text(c++);
  sweep.policy.stop_maximize = row.Int(c++) != 0;
  sweep.policy.stop_first_rung = row.Int(c++);
  sweep.policy.stop_eta = static_cast<int>(row.Int(c++));
  sweep.policy.canary = row.Int(c++) != 0;
  sweep.policy.max_failed = static_cast<int>(row.Int(c++));
  sweep.generation = row.Int(c++);
  return sweep;
}

absl::StatusOr<std::vector<RungResult>> ReadRungs(Query& rows) {
  std::vector<RungResult> results;
  while (rows.Next()) {
    results.push_back({.sweep = rows.Text(0),
                       .step = rows.Int(1),
                       .job_id = rows.Text(2),
                       .value = rows.Real(3),
                       .place = static_cast<int>(rows.Int(4)),
                       .peers = static_cast<int>(rows.Int(5)),
                       .stopped = rows.Int(6) != 0});
  }
  if (!rows.status().ok()) return rows.status();
  return results;
}

// A bit for each wanted state; all of them when none is named.
int64_t StateBits(const std::vector<JobState>& states) {
  int64_t bits = 0;
  for (JobState state : states) bits |= int64_t{1} << static_cast<int>(state);
  return bits == 0 ? -1 : bits;
}

absl::Status NoJob(const std::string& id) { return absl::NotFoundError(absl::StrCat("no job ", id)); }
absl::Status NoSweep(const std::string& name) { return absl::NotFoundError(absl::StrCat("no sweep ", name)); }

}  // namespace

absl::StatusOr<int64_t> SqliteTransaction::SeqOf(const std::string& job_id) {
  Query query(db_, "SELECT seq FROM jobs WHERE id = ?1", job_id);
  if (query.Next()) return query.Int(0);
  return query.status().ok() ? NoJob(job_id) : query.status();
}

absl::StatusOr<Job> SqliteTransaction::GetJob(const std::string& id) {
  Query query(db_, GetJobSql(), id);
  if (!query.Next()) return query.status().ok() ? NoJob(id) : query.status();
  Job job = ReadJob(query);
  if (absl::Status status = AddPlaces(query.Int(0), "", &job); !status.ok()) return status;
  return job;
}

absl::StatusOr<std::string> SqliteTransaction::GetConfig(const std::string& job_id) {
  Query query(db_, "SELECT c.json FROM configs AS c JOIN jobs AS j ON j.seq = c.job WHERE j.id = ?1", job_id);
  if (query.Next()) return query.Text(0);
  return query.status().ok() ? NoJob(job_id) : query.status();
}

absl::StatusOr<std::vector<std::string>> SqliteTransaction::FindJobs(const std::string& prefix) {
  const std::string end = prefix + '~';  // after every hex digit
  Query query(db_, "SELECT id FROM jobs WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 2", prefix, end);
  return ReadTexts(query);
}

absl::Status SqliteTransaction::VisitJobs(const JobQuery& query, const JobVisitor& visit) {
  const int64_t states = StateBits(query.states);
  if (!query.sweep.empty()) return VisitSweepJobs(query, states, visit);
  int64_t after = 0;
  if (!query.after.empty()) {
    SINK_ASSIGN_OR_RETURN(after, SeqOf(query.after));
  }
  const bool live = std::all_of(query.states.begin(), query.states.end(), IsLive) && !query.states.empty();
  Query rows(db_, live ? VisitLiveJobsSql() : VisitJobsSql(), after, states, query.limit == 0 ? -1 : query.limit);
  for (Job job; rows.Next();) {
    ReadListed(rows, &job);
    if (query.places) {
      job.sweeps.clear();
      if (absl::Status status = AddPlaces(rows.Int(0), "", &job); !status.ok()) return status;
    }
    visit(job);
  }
  return rows.status();
}

absl::Status SqliteTransaction::AddPlaces(int64_t seq, const std::string& but, Job* job) {
  Query places(db_, kMemberships, seq, but);
  while (places.Next()) {
    job->sweeps.push_back(
        {places.Text(0), places.Text(1), places.Text(2), static_cast<int>(places.Int(3)), places.Int(4) != 0});
  }
  return places.status();
}

absl::Status SqliteTransaction::VisitSweepJobs(const JobQuery& query, int64_t states, const JobVisitor& visit) {
  int64_t after = -1;
  if (!query.after.empty()) {
    Query position(db_, kPositionOf, query.sweep, query.after);
    if (!position.Next()) return position.status().ok() ? NoJob(query.after) : position.status();
    after = position.Int(0);
  }
  // Rare, and known before the first visit: the further places of jobs that the sweep holds more than once.
  absl::flat_hash_map<int64_t, std::vector<Membership>> further;
  Query repeated(db_, kFurtherPlaces, query.sweep);
  while (repeated.Next()) {
    further[repeated.Int(0)].push_back(
        {query.sweep, repeated.Text(2), repeated.Text(3), static_cast<int>(repeated.Int(1)), repeated.Int(4) != 0});
  }
  if (!repeated.status().ok()) return repeated.status();

  const int after_listed = ListedColumns();
  Query rows(db_, VisitSweepJobsSql(), query.sweep, after, states, query.limit == 0 ? -1 : query.limit);
  for (Job job; rows.Next();) {
    ReadListed(rows, &job);
    job.sweeps.resize(1);
    Membership& place = job.sweeps.front();
    place.sweep = query.sweep;
    place.index = static_cast<int>(rows.Int(after_listed));
    rows.Text(after_listed + 1, &place.experiment);
    rows.Text(after_listed + 2, &place.label);
    place.withdrawn = rows.Int(after_listed + 3) != 0;
    if (!further.empty()) {
      const auto more = further.find(rows.Int(0));
      if (more != further.end()) job.sweeps.insert(job.sweeps.end(), more->second.begin(), more->second.end());
    }
    if (query.places) {
      if (absl::Status status = AddPlaces(rows.Int(0), query.sweep, &job); !status.ok()) return status;
    }
    visit(job);
  }
  return rows.status();
}

absl::StatusOr<std::vector<Job>> SqliteTransaction::LiveJobs() {
  Query rows(db_, LiveJobsSql());
  return ReadJobs(rows);
}

absl::StatusOr<std::vector<GangMember>> SqliteTransaction::LiveMembers() {
  Query rows(db_, kMembers);
  return ReadMembers(rows);
}

absl::StatusOr<std::vector<Job>> SqliteTransaction::LiveJobsOf(const std::string& worker_id) {
  Query rows(db_, LiveJobsOfSql(), worker_id);
  return ReadJobs(rows);
}

absl::StatusOr<std::vector<GangMember>> SqliteTransaction::LiveMembersOf(const std::string& worker_id) {
  Query rows(db_, kMembersOfWorker, worker_id);
  return ReadMembers(rows);
}

absl::StatusOr<std::vector<GangMember>> SqliteTransaction::MembersOf(const std::string& job_id) {
  Query rows(db_, kMembersOfJob, job_id);
  return ReadMembers(rows);
}

absl::StatusOr<int> SqliteTransaction::CountLive(const std::string& home_sweep) {
  Query query(db_, "SELECT COUNT(*) FROM jobs WHERE home_sweep = ?1 AND state BETWEEN 2 AND 6", home_sweep);
  if (!query.Next()) return query.status();
  return static_cast<int>(query.Int(0));
}

absl::StatusOr<std::optional<QueueHead>> SqliteTransaction::QueueFront() {
  Query row(db_, kQueueFront);
  if (row.Next()) return ReadQueueHead(row);
  if (!row.status().ok()) return row.status();
  return std::nullopt;
}

absl::StatusOr<std::vector<QueueHead>> SqliteTransaction::QueueHeads() {
  std::vector<QueueHead> heads;
  QueueHead last;
  last.devices = -1;
  std::string needs;
  absl::Status status;
  const auto take = [&](Query row) {
    const bool found = row.Next();
    if (found) {
      last = ReadQueueHead(row);
      needs = row.Text(3);
      heads.push_back(last);
    }
    status.Update(row.status());
    return found;
  };
  // Each query binds what `last` is now, and is over before it changes.
  while (status.ok()) {
    const QueueHead before = last;
    const std::string needs_before = needs;
    if (take(Query(db_, kNextNeeds, before.sweep, before.devices, needs_before))) continue;
    if (take(Query(db_, kNextDevices, before.sweep, before.devices))) continue;
    if (!take(Query(db_, kNextSweep, before.sweep))) break;
  }
  if (!status.ok()) return status;
  return heads;
}

absl::StatusOr<std::optional<QueueHead>> SqliteTransaction::NextInQueue(const QueueHead& after) {
  const std::string needs = NeedsOf(after);
  Query same(db_, kNextOfPriority, after.sweep, after.devices, needs, after.priority, after.order);
  if (same.Next()) return ReadQueueHead(same);
  if (!same.status().ok()) return same.status();
  Query lower(db_, kNextPriority, after.sweep, after.devices, needs, after.priority);
  if (lower.Next()) return ReadQueueHead(lower);
  if (!lower.status().ok()) return lower.status();
  return std::nullopt;
}

absl::StatusOr<std::vector<std::string>> SqliteTransaction::DelayedJobs() {
  Query query(db_, "SELECT id FROM jobs WHERE delayed = 1 ORDER BY id");
  return ReadTexts(query);
}

absl::StatusOr<int> SqliteTransaction::CountAhead(const std::string& job_id, const QueueHead& queue) {
  Query job(db_, "SELECT priority, seq FROM jobs WHERE id = ?1", job_id);
  if (!job.Next()) return job.status().ok() ? NoJob(job_id) : job.status();
  Query count(db_, kCountAhead, queue.sweep, queue.devices, NeedsOf(queue), job.Int(0), job.Int(1));
  if (!count.Next()) return count.status();
  return static_cast<int>(count.Int(0));
}

absl::StatusOr<std::vector<std::pair<JobState, int64_t>>> SqliteTransaction::CountJobs() {
  std::vector<std::pair<JobState, int64_t>> counts;
  Query query(db_, "SELECT state, jobs FROM counts WHERE sweep = '' ORDER BY state");
  while (query.Next()) counts.emplace_back(static_cast<JobState>(query.Int(0)), query.Int(1));
  if (!query.status().ok()) return query.status();
  return counts;
}

absl::Status SqliteTransaction::FillCounts(Sweep* sweep) {
  Query query(db_, "SELECT state, jobs FROM counts WHERE sweep = ?1 AND jobs > 0 ORDER BY state", sweep->name);
  while (query.Next()) {
    sweep->jobs_by_state.emplace_back(static_cast<JobState>(query.Int(0)), static_cast<int>(query.Int(1)));
    sweep->jobs += static_cast<int>(query.Int(1));
  }
  return query.status();
}

absl::StatusOr<Sweep> SqliteTransaction::GetSweep(const std::string& name) {
  Query query(db_, kSweep, name);
  if (!query.Next()) return query.status().ok() ? NoSweep(name) : query.status();
  Sweep sweep = ReadSweep(query);
  if (absl::Status status = FillCounts(&sweep); !status.ok()) return status;
  return sweep;
}

absl::StatusOr<std::vector<Sweep>> SqliteTransaction::ListSweeps() {
  std::vector<Sweep> sweeps;
  Query query(db_, kSweeps);
  while (query.Next()) {
    sweeps.push_back(ReadSweep(query));
    if (absl::Status status = FillCounts(&sweeps.back()); !status.ok()) return status;
  }
  if (!query.status().ok()) return query.status();
  return sweeps;
}

absl::StatusOr<std::string> SqliteTransaction::GetStudy(const std::string& sweep) {
  Query query(db_,
              "SELECT coalesce(t.json, '') FROM sweeps AS s LEFT JOIN studies AS t ON t.sweep = s.name "
              "WHERE s.name = ?1",
              sweep);
  if (query.Next()) return query.Text(0);
  return query.status().ok() ? NoSweep(sweep) : query.status();
}

absl::StatusOr<std::vector<std::string>> SqliteTransaction::SweepJobIds(const std::string& name) {
  Query query(db_,
              "SELECT j.id FROM memberships AS m JOIN jobs AS j ON j.seq = m.job "
              "WHERE m.sweep = ?1 AND m.first = 1 ORDER BY m.position",
              name);
  return ReadTexts(query);
}

absl::StatusOr<std::vector<std::string>> SqliteTransaction::HomeJobIds(const std::string& sweep) {
  Query query(db_, "SELECT id FROM jobs WHERE home_sweep = ?1 ORDER BY seq", sweep);
  return ReadTexts(query);
}

absl::StatusOr<std::vector<std::string>> SqliteTransaction::LiveHomeJobIds(const std::string& sweep) {
  Query query(db_,
              "SELECT id FROM jobs INDEXED BY jobs_live WHERE state BETWEEN 2 AND 6 AND home_sweep = ?1 "
              "UNION ALL SELECT id FROM jobs INDEXED BY jobs_ready WHERE state = 1 AND delayed = 0 AND home_sweep = ?1 "
              "UNION ALL SELECT id FROM jobs INDEXED BY jobs_delayed WHERE delayed = 1 AND home_sweep = ?1",
              sweep);
  return ReadTexts(query);
}

absl::StatusOr<std::vector<RungResult>> SqliteTransaction::ListRung(const std::string& sweep, int64_t step) {
  Query rows(db_, kRung, sweep, step);
  return ReadRungs(rows);
}

absl::StatusOr<std::vector<RungResult>> SqliteTransaction::ListRungsOf(const std::string& job_id) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  Query rows(db_, kRungsOf, *seq);
  return ReadRungs(rows);
}

absl::StatusOr<std::vector<Attempt>> SqliteTransaction::ListAttempts(const std::string& job_id) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  Query rows(db_, kAttemptsOf, *seq, 0, INT32_MAX);
  return ReadAttempts(rows, job_id);
}

absl::StatusOr<Attempt> SqliteTransaction::GetAttempt(const std::string& job_id, int attempt) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  Query rows(db_, kAttemptsOf, *seq, attempt, attempt);
  absl::StatusOr<std::vector<Attempt>> attempts = ReadAttempts(rows, job_id);
  if (!attempts.ok()) return attempts.status();
  if (attempts->empty()) return absl::NotFoundError(absl::StrCat("job ", job_id, " has no attempt ", attempt));
  return attempts->front();
}

absl::StatusOr<std::vector<Checkpoint>> SqliteTransaction::ListCheckpoints(const std::string& job_id) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  std::vector<Checkpoint> checkpoints;
  Query rows(
      db_,
      "SELECT step, attempt, fence, manifest_hash, files, committed_ms, validation_loss, pinned FROM checkpoints "
      "WHERE job = ?1 ORDER BY step DESC",
      *seq);
  while (rows.Next()) {
    checkpoints.push_back({.job_id = job_id,
                           .step = rows.Int(0),
                           .attempt = static_cast<int>(rows.Int(1)),
                           .fence = static_cast<uint64_t>(rows.Int(2)),
                           .manifest_hash = rows.Text(3),
                           .files = DecodeFiles(rows.Bytes(4)),
                           .committed_ms = rows.Int(5),
                           .validation_loss = rows.Real(6),
                           .pinned = rows.Int(7) != 0});
  }
  if (!rows.status().ok()) return rows.status();
  return checkpoints;
}

absl::StatusOr<bool> SqliteTransaction::HasCheckpoints() {
  Query row(db_, "SELECT 1 FROM checkpoints LIMIT 1");
  if (row.Next()) return true;
  if (!row.status().ok()) return row.status();
  return false;
}

absl::StatusOr<bool> SqliteTransaction::HasSaved(const std::string& sweep) {
  Query row(db_, "SELECT 1 FROM counts WHERE sweep = ?1 AND state = 0", sweep);
  if (row.Next()) return true;
  if (!row.status().ok()) return row.status();
  return false;
}

absl::StatusOr<std::vector<MetricPoint>> SqliteTransaction::ListMetrics(const std::string& job_id,
                                                                        const MetricQuery& query) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  return PointTable(db_, names_).List(*seq, query);
}

absl::StatusOr<MetricSample> SqliteTransaction::SampleMetrics(const std::string& job_id,
                                                              const std::vector<std::string>& names) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  return PointTable(db_, names_).Sample(*seq, names);
}

absl::StatusOr<std::optional<double>> SqliteTransaction::LastValue(const std::string& job_id, const std::string& name,
                                                                   int64_t after, int64_t until) {
  SINK_ASSIGN_OR_RETURN(const int64_t seq, SeqOf(job_id));
  return PointTable(db_, names_).LastValue(seq, name, after, until);
}

absl::StatusOr<std::vector<Heatmap>> SqliteTransaction::ListHeatmaps(const std::string& job_id) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  std::vector<Heatmap> heatmaps;
  Query rows(db_, "SELECT name, step, attempt, layers, heads, cells FROM heatmaps WHERE job = ?1 ORDER BY name, step",
             *seq);
  while (rows.Next()) {
    Heatmap heatmap{.name = rows.Text(0),
                    .step = rows.Int(1),
                    .attempt = static_cast<int>(rows.Int(2)),
                    .layers = static_cast<int>(rows.Int(3)),
                    .heads = static_cast<int>(rows.Int(4))};
    const std::string_view cells = rows.Bytes(5);
    heatmap.values.resize(cells.size() / sizeof(double));
    if (!heatmap.values.empty())
      std::memcpy(heatmap.values.data(), cells.data(), heatmap.values.size() * sizeof(double));
    heatmaps.push_back(std::move(heatmap));
  }
  if (!rows.status().ok()) return rows.status();
  return heatmaps;
}

absl::StatusOr<std::vector<std::string>> SqliteTransaction::HeatmapNames(const std::string& job_id) {
  SINK_ASSIGN_OR_RETURN(const int64_t seq, SeqOf(job_id));
  // A seek a name, where DISTINCT would walk every map.
  Query rows(db_,
             "WITH RECURSIVE names (name) AS (SELECT min(name) FROM heatmaps WHERE job = ?1 UNION ALL "
             "SELECT (SELECT min(h.name) FROM heatmaps AS h WHERE h.job = ?1 AND h.name > names.name) FROM names "
             "WHERE names.name IS NOT NULL) SELECT name FROM names WHERE name IS NOT NULL",
             seq);
  std::vector<std::string> names;
  while (rows.Next()) names.push_back(rows.Text(0));
  if (!rows.status().ok()) return rows.status();
  return names;
}

absl::StatusOr<std::vector<LogLine>> SqliteTransaction::ListLogs(const std::string& job_id, int64_t after, int limit) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  Query rows(db_, "SELECT id, time_ms, attempt, level, text FROM logs WHERE job = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
             *seq, after, limit);
  absl::StatusOr<std::vector<LogLine>> lines = ReadLogLines(rows);
  if (lines.ok()) TellMissing(IdBeforeLines(*seq), after, &*lines);
  return lines;
}

absl::StatusOr<int64_t> SqliteTransaction::CursorBeforeTail(const std::string& job_id, int lines) {
  absl::StatusOr<int64_t> seq = SeqOf(job_id);
  if (!seq.ok()) return seq.status();
  Query rows(db_, kBeforeTail, *seq, lines);
  const int64_t cursor = rows.Next() ? rows.Int(0) : 0;
  if (!rows.status().ok()) return rows.status();
  return cursor;
}

absl::StatusOr<Worker> SqliteTransaction::GetWorker(const std::string& id) {
  Query rows(db_, kWorker, id);
  absl::StatusOr<std::vector<Worker>> workers = ReadWorkers(rows);
  if (!workers.ok()) return workers.status();
  if (workers->empty()) return absl::NotFoundError(absl::StrCat("no worker ", id, ": register first"));
  return workers->front();
}

absl::StatusOr<std::vector<Worker>> SqliteTransaction::ListWorkers() {
  Query rows(db_, kWorkers);
  return ReadWorkers(rows);
}

absl::StatusOr<std::vector<Worker>> SqliteTransaction::ListAllWorkers() {
  Query rows(db_, kAllWorkers);
  return ReadWorkers(rows);
}

absl::StatusOr<std::optional<RequestRecord>> SqliteTransaction::FindRequest(const std::string& request_id) {
  Query query(db_, "SELECT request_id, body_hash, response FROM requests WHERE request_id = ?1", request_id);
  if (query.Next()) return RequestRecord{query.Text(0), query.Text(1), query.Text(2)};
  if (!query.status().ok()) return query.status();
  return std::nullopt;
}

absl::StatusOr<uint64_t> SqliteTransaction::GetEpoch() {
  absl::StatusOr<int64_t> epoch = db_.QueryInt("SELECT value FROM meta WHERE name = 'epoch'");
  if (!epoch.ok()) return epoch.status();
  return static_cast<uint64_t>(*epoch);
}

absl::StatusOr<std::vector<EndedJob>> SqliteTransaction::ListEnded(int64_t after_ms, int64_t after_order,
                                                                   int64_t before_ms, int limit) {
  std::vector<EndedJob> ended;
  Query rows(db_,
             "SELECT id, finished_ms, seq FROM jobs INDEXED BY jobs_ended WHERE state BETWEEN 7 AND 9 "
             "AND finished_ms >= ?1 AND finished_ms < ?3 AND (finished_ms > ?1 OR seq > ?2) "
             "ORDER BY finished_ms, seq LIMIT ?4",
             after_ms, after_order, before_ms, limit);
  while (rows.Next()) ended.push_back({rows.Text(0), rows.Int(1), rows.Int(2)});
  if (!rows.status().ok()) return rows.status();
  return ended;
}

absl::StatusOr<int64_t> SqliteTransaction::GetMark(const std::string& name) {
  Query row(db_, "SELECT value FROM meta WHERE name = ?1", name);
  if (row.Next()) return row.Int(0);
  if (!row.status().ok()) return row.status();
  return 0;
}

std::string EncodeFiles(const std::vector<CheckpointFile>& files) {
  std::string text;
  for (const CheckpointFile& file : files) absl::StrAppend(&text, file.name, " ", file.size, " ", file.xxh3, "\n");
  return text;
}

std::vector<CheckpointFile> DecodeFiles(std::string_view text) {
  std::vector<CheckpointFile> files;
  for (absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n', absl::SkipEmpty())) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    CheckpointFile file;
    if (fields.size() != 3 || !absl::SimpleAtoi(fields[1], &file.size)) continue;
    file.name = fields[0];
    file.xxh3 = fields[2];
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace sink::store
