// See memory_store.h.
#include "coordinator/store/memory_store.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/even_steps.h"
#include "coordinator/store/job_columns.h"
#include "coordinator/store/log_lines.h"
#include "coordinator/store/metric_filter.h"
#include "coordinator/store/undo_log.h"

namespace sink::store {
namespace {

constexpr size_t kRequestsKept = 10'000;

absl::Status NoJob(const std::string& id) { return absl::NotFoundError(absl::StrCat("no job ", id)); }
absl::Status NoSweep(const std::string& name) { return absl::NotFoundError(absl::StrCat("no sweep ", name)); }

bool Wants(const std::vector<JobState>& states, JobState state) {
  return states.empty() || std::find(states.begin(), states.end(), state) != states.end();
}

template <typename Wanted>
void CopyColumns(Wanted wanted, const Job& from, Job* to) {
  VisitColumns(
      [&](const JobColumn& column, const auto& value, auto& field) {
        if (wanted(column)) field = value;
      },
      from, *to);
}

class MemoryTransaction final : public Transaction, private UndoLog {
 public:
  explicit MemoryTransaction(MemoryStore::Tables& tables) : t_(tables) {}

  using UndoLog::Undo;

  absl::StatusOr<Job> GetJob(const std::string& id) override {
    const auto row = t_.jobs.find(id);
    if (row == t_.jobs.end()) return NoJob(id);
    Job job = row->second.job;
    for (const auto& [key, member] : t_.members) {
      if (member.job_id == id) job.sweeps.push_back(member.membership);
    }
    return job;
  }

  absl::StatusOr<std::string> GetConfig(const std::string& job_id) override {
    const auto row = t_.jobs.find(job_id);
    if (row == t_.jobs.end()) return NoJob(job_id);
    return row->second.config_json;
  }

  absl::StatusOr<std::vector<std::string>> FindJobs(const std::string& prefix) override {
    std::vector<std::string> ids;
    for (auto row = t_.jobs.lower_bound(prefix); row != t_.jobs.end() && row->first.starts_with(prefix); ++row) {
      if (ids.size() == 2) break;
      ids.push_back(row->first);
    }
    return ids;
  }

  absl::Status VisitJobs(const JobQuery& query, const JobVisitor& visit) override {
    if (!query.sweep.empty()) return VisitSweepJobs(query, visit);
    int64_t after = 0;
    if (!query.after.empty()) {
      const auto row = t_.jobs.find(query.after);
      if (row == t_.jobs.end()) return NoJob(query.after);
      after = row->second.seq;
    }
    int visited = 0;
    for (auto row = t_.job_order.upper_bound(after); row != t_.job_order.end(); ++row) {
      const Job& job = t_.jobs.at(row->second).job;
      if (!Wants(query.states, job.state)) continue;
      if (query.limit > 0 && ++visited > query.limit) break;
      visit(query.places ? *GetJob(job.id) : job);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<Job>> LiveJobs() override {
    std::vector<Job> jobs;
    for (const auto& [seq, id] : t_.job_order) {
      if (IsLive(t_.jobs.at(id).job.state)) jobs.push_back(t_.jobs.at(id).job);
    }
    return jobs;
  }

  absl::StatusOr<std::vector<GangMember>> LiveMembers() override {
    std::vector<GangMember> members;
    for (const auto& [seq, id] : t_.job_order) {
      for (auto row = t_.gang.lower_bound({id, 0}); row != t_.gang.end() && row->first.first == id; ++row)
        members.push_back(row->second);
    }
    return members;
  }

  absl::StatusOr<std::vector<Job>> LiveJobsOf(const std::string& worker_id) override {
    absl::StatusOr<std::vector<Job>> jobs = LiveJobs();
    std::erase_if(*jobs, [&](const Job& job) { return job.holder.worker_id != worker_id; });
    return jobs;
  }

  absl::StatusOr<std::vector<GangMember>> LiveMembersOf(const std::string& worker_id) override {
    absl::StatusOr<std::vector<GangMember>> members = LiveMembers();
    std::erase_if(*members, [&](const GangMember& member) { return member.holder.worker_id != worker_id; });
    return members;
  }

  absl::StatusOr<std::vector<GangMember>> MembersOf(const std::string& job_id) override {
    absl::StatusOr<std::vector<GangMember>> members = LiveMembers();
    std::erase_if(*members, [&](const GangMember& member) { return member.job_id != job_id; });
    return members;
  }

  absl::StatusOr<int> CountLive(const std::string& home_sweep) override {
    return static_cast<int>(std::count_if(t_.jobs.begin(), t_.jobs.end(), [&](const auto& row) {
      return row.second.job.home_sweep == home_sweep && IsLive(row.second.job.state);
    }));
  }

  absl::StatusOr<int> CountAhead(const std::string& job_id, const QueueHead& queue) override {
    const auto row = t_.jobs.find(job_id);
    if (row == t_.jobs.end()) return NoJob(job_id);
    const QueueHead place = HeadOf(row->second.job, row->second.seq);
    return static_cast<int>(std::count_if(t_.jobs.begin(), t_.jobs.end(), [&](const auto& other) {
      const Job& job = other.second.job;
      if (job.state != JobState::kQueued || job.delayed) return false;
      const QueueHead head = HeadOf(job, other.second.seq);
      return head.IsOfSameQueue(queue) && head.GoesBefore(place);
    }));
  }

  absl::StatusOr<std::optional<QueueHead>> QueueFront() override {
    SINK_ASSIGN_OR_RETURN(const std::vector<QueueHead> heads, QueueHeads());
    const auto front = std::min_element(heads.begin(), heads.end(),
                                        [](const QueueHead& a, const QueueHead& b) { return a.GoesBefore(b); });
    return front == heads.end() ? std::optional<QueueHead>() : *front;
  }

  static QueueHead HeadOf(const Job& job, int64_t seq) {
    return {job.id, job.home_sweep, job.devices, job.model, job.data_set, job.data_content, job.priority, seq};
  }

  absl::StatusOr<std::vector<QueueHead>> QueueHeads() override {
    std::map<std::tuple<std::string, int, std::string, std::string, std::string>, QueueHead> heads;
    for (const auto& [seq, id] : t_.job_order) {
      const Job& job = t_.jobs.at(id).job;
      if (job.state != JobState::kQueued || job.delayed) continue;
      const auto [head, added] =
          heads.try_emplace({job.home_sweep, job.devices, job.model, job.data_set, job.data_content});
      if (added || head->second.priority < job.priority) {
        head->second = HeadOf(job, seq);
      }
    }
    std::vector<QueueHead> list;
    for (const auto& [key, head] : heads) list.push_back(head);
    return list;
  }

  absl::StatusOr<std::optional<QueueHead>> NextInQueue(const QueueHead& after) override {
    std::optional<QueueHead> next;
    for (const auto& [seq, id] : t_.job_order) {
      const Job& job = t_.jobs.at(id).job;
      if (job.state != JobState::kQueued || job.delayed) continue;
      const QueueHead head = HeadOf(job, seq);
      if (!head.IsOfSameQueue(after) || !after.GoesBefore(head)) continue;
      if (!next || head.GoesBefore(*next)) next = head;
    }
    return next;
  }

  absl::StatusOr<std::vector<std::string>> DelayedJobs() override {
    std::vector<std::string> ids;
    for (const auto& [id, row] : t_.jobs) {
      if (row.job.delayed) ids.push_back(id);
    }
    return ids;
  }

  absl::StatusOr<std::vector<std::pair<JobState, int64_t>>> CountJobs() override {
    std::vector<std::pair<JobState, int64_t>> counts;
    for (JobState state : kAllJobStates) {
      counts.emplace_back(state, std::count_if(t_.jobs.begin(), t_.jobs.end(),
                                               [state](const auto& row) { return row.second.job.state == state; }));
    }
    return counts;
  }

  absl::StatusOr<Sweep> GetSweep(const std::string& name) override {
    const auto found = t_.sweeps.find(name);
    if (found == t_.sweeps.end()) return NoSweep(name);
    Sweep sweep = found->second;
    std::map<JobState, int> counts;
    for (const std::string& id : Members(name)) ++counts[t_.jobs.at(id).job.state];
    for (const auto& [state, jobs] : counts) {
      sweep.jobs_by_state.emplace_back(state, jobs);
      sweep.jobs += jobs;
    }
    return sweep;
  }

  absl::StatusOr<std::vector<Sweep>> ListSweeps() override {
    std::vector<Sweep> sweeps;
    for (const auto& [name, sweep] : t_.sweeps) sweeps.push_back(*GetSweep(name));
    return sweeps;
  }

  absl::StatusOr<std::string> GetStudy(const std::string& sweep) override {
    if (!t_.sweeps.contains(sweep)) return NoSweep(sweep);
    const auto row = t_.studies.find(sweep);
    return row == t_.studies.end() ? "" : row->second;
  }

  absl::StatusOr<std::vector<std::string>> SweepJobIds(const std::string& name) override { return Members(name); }

  absl::StatusOr<std::vector<std::string>> HomeJobIds(const std::string& sweep) override {
    std::vector<std::string> ids;
    for (const auto& [seq, id] : t_.job_order) {
      if (t_.jobs.at(id).job.home_sweep == sweep) ids.push_back(id);
    }
    return ids;
  }

  absl::StatusOr<std::vector<std::string>> LiveHomeJobIds(const std::string& sweep) override {
    std::vector<std::string> ids = *HomeJobIds(sweep);
    std::erase_if(ids, [this](const std::string& id) { return IsFinal(t_.jobs.at(id).job.state); });
    return ids;
  }

  absl::StatusOr<std::vector<RungResult>> ListRung(const std::string& sweep, int64_t step) override {
    return Rungs([&](const RungResult& result) { return result.sweep == sweep && result.step == step; });
  }

  absl::StatusOr<std::vector<RungResult>> ListRungsOf(const std::string& job_id) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    return Rungs([&](const RungResult& result) { return result.job_id == job_id; });
  }

  absl::StatusOr<std::vector<Attempt>> ListAttempts(const std::string& job_id) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    return Children(t_.attempts, job_id);
  }

  absl::StatusOr<Attempt> GetAttempt(const std::string& job_id, int attempt) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    const auto row = t_.attempts.find({job_id, attempt});
    if (row == t_.attempts.end()) return absl::NotFoundError(absl::StrCat("job ", job_id, " has no attempt ", attempt));
    return row->second;
  }

  absl::StatusOr<std::vector<Checkpoint>> ListCheckpoints(const std::string& job_id) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    std::vector<Checkpoint> checkpoints = Children(t_.checkpoints, job_id);
    std::reverse(checkpoints.begin(), checkpoints.end());
    return checkpoints;
  }

  absl::StatusOr<bool> HasCheckpoints() override { return !t_.checkpoints.empty(); }
  absl::StatusOr<bool> HasSaved(const std::string& sweep) override { return t_.saved.contains(sweep); }

  absl::StatusOr<std::vector<MetricPoint>> ListMetrics(const std::string& job_id, const MetricQuery& query) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    std::vector<MetricPoint> points;
    bool thinned = query.after > 0;
    for (const MetricPoint& point : Children(t_.metrics, job_id)) {
      thinned = thinned && point.id != query.after;
      if (point.id > query.after && point.step >= query.from_step && WantsMetric(query.names, point.name))
        points.push_back(point);
    }
    if (thinned) return PointsWereThinned();
    std::sort(points.begin(), points.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    if (points.size() > static_cast<size_t>(query.limit)) points.resize(query.limit);
    return points;
  }

  absl::StatusOr<MetricSample> SampleMetrics(const std::string& job_id,
                                             const std::vector<std::string>& names) override {
    MetricQuery all;
    all.names = names;
    all.limit = std::numeric_limits<int>::max();
    MetricSample sample;
    SINK_ASSIGN_OR_RETURN(sample.points, ListMetrics(job_id, all));
    for (const MetricPoint& point : Children(t_.metrics, job_id)) sample.last = std::max(sample.last, point.id);
    return sample;
  }

  absl::StatusOr<std::optional<double>> LastValue(const std::string& job_id, const std::string& name, int64_t after,
                                                  int64_t until) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    auto row = t_.metrics.upper_bound({job_id, name, until});
    if (row == t_.metrics.begin()) return std::nullopt;
    const auto& [job, curve, step] = (--row)->first;
    if (job != job_id || curve != name || step <= after) return std::nullopt;
    return row->second.value;
  }

  absl::StatusOr<std::vector<Heatmap>> ListHeatmaps(const std::string& job_id) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    return Children(t_.heatmaps, job_id);
  }

  absl::StatusOr<std::vector<std::string>> HeatmapNames(const std::string& job_id) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    std::set<std::string> names;
    for (const Heatmap& heatmap : Children(t_.heatmaps, job_id)) names.insert(heatmap.name);
    return std::vector<std::string>(names.begin(), names.end());
  }

  absl::StatusOr<std::vector<LogLine>> ListLogs(const std::string& job_id, int64_t after, int limit) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    std::vector<LogLine> lines;
    for (auto row = t_.logs.upper_bound({job_id, after}); row != t_.logs.end() && row->first.first == job_id; ++row) {
      if (lines.size() == static_cast<size_t>(limit)) break;
      lines.push_back(row->second);
    }
    TellMissing(0, after, &lines);
    return lines;
  }

  absl::StatusOr<int64_t> CursorBeforeTail(const std::string& job_id, int count) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    const std::vector<LogLine> lines = Children(t_.logs, job_id);
    const auto tail = static_cast<size_t>(count);
    return lines.size() > tail ? lines[lines.size() - tail - 1].cursor : 0;
  }

  absl::StatusOr<Worker> GetWorker(const std::string& id) override {
    const auto row = t_.workers.find(id);
    if (row == t_.workers.end() || t_.retired.contains(id)) {
      return absl::NotFoundError(absl::StrCat("no worker ", id, ": register first"));
    }
    return row->second;
  }

  absl::StatusOr<std::vector<Worker>> ListWorkers() override {
    absl::StatusOr<std::vector<Worker>> workers = ListAllWorkers();
    std::erase_if(*workers, [this](const Worker& worker) { return t_.retired.contains(worker.id); });
    return workers;
  }

  absl::StatusOr<std::vector<Worker>> ListAllWorkers() override {
    std::vector<Worker> workers;
    for (const auto& [id, worker] : t_.workers) workers.push_back(worker);
    std::stable_sort(workers.begin(), workers.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return workers;
  }

  absl::StatusOr<std::optional<RequestRecord>> FindRequest(const std::string& request_id) override {
    const auto row = t_.requests.find(request_id);
    if (row == t_.requests.end()) return std::nullopt;
    return row->second;
  }

  absl::StatusOr<std::vector<DeletedJob>> ListDeletedJobs() override {
    std::vector<DeletedJob> jobs;
    for (const auto& [id, last_fence] : t_.deleted_jobs) jobs.push_back({id, last_fence});
    return jobs;
  }

  absl::StatusOr<uint64_t> GetEpoch() override {
    const auto row = t_.meta.find("epoch");
    return row == t_.meta.end() ? 0 : row->second;
  }

  absl::StatusOr<std::vector<EndedJob>> ListEnded(int64_t after_ms, int64_t after_order, int64_t before_ms,
                                                  int limit) override {
    std::vector<EndedJob> ended;
    for (const auto& [id, row] : t_.jobs) {
      const Job& job = row.job;
      if (!IsFinal(job.state) || job.finished_ms >= before_ms) continue;
      if (std::pair(job.finished_ms, row.seq) <= std::pair(after_ms, after_order)) continue;
      ended.push_back({id, job.finished_ms, row.seq});
    }
    std::sort(ended.begin(), ended.end(), [](const EndedJob& a, const EndedJob& b) {
      return std::pair(a.finished_ms, a.order) < std::pair(b.finished_ms, b.order);
    });
    if (ended.size() > static_cast<size_t>(limit)) ended.resize(limit);
    return ended;
  }

  absl::StatusOr<int64_t> GetMark(const std::string& name) override {
    const auto row = t_.meta.find(name);
    return row == t_.meta.end() ? 0 : static_cast<int64_t>(row->second);
  }

  absl::Status InsertJob(const Job& job, const std::string& config_json) override {
    if (job.state != JobState::kQueued || job.generation != 1) {
      return absl::InvalidArgumentError(absl::StrCat("job ", job.id, " must begin QUEUED, in generation 1"));
    }
    if (t_.jobs.contains(job.id)) return absl::AlreadyExistsError(absl::StrCat("job ", job.id, " exists"));
    if (!t_.sweeps.contains(job.home_sweep)) return absl::FailedPreconditionError("no such home sweep");
    NoteProgress(job.id);
    NotePlacement();
    MemoryStore::JobRow& row = Edit(t_.jobs, job.id);
    row = {job, config_json, ++t_.next_id};
    row.job.sweeps.clear();
    Edit(t_.job_order, row.seq) = job.id;
    return absl::OkStatus();
  }

  absl::Status UpdateJob(const Job& job) override {
    const auto old = t_.jobs.find(job.id);
    if (old == t_.jobs.end()) return NoJob(job.id);
    if (!IsLegal(old->second.job.state, old->second.job.generation, job.state, job.generation)) {
      return IllegalTransition(job, old->second.job.state, old->second.job.generation);
    }
    if (IsLive(job.state) != (job.holder.fence > 0) || (job.delayed && job.state != JobState::kQueued)) {
      return absl::FailedPreconditionError("a job has a fence exactly while it is live, and a delay only when queued");
    }
    NoteUpdate(job);
    CopyColumns([](const JobColumn& column) { return !column.is(kFixed); }, job, &Edit(t_.jobs, job.id).job);
    return absl::OkStatus();
  }

  absl::Status UpdateProgress(const Job& job) override {
    if (!t_.jobs.contains(job.id)) return NoJob(job.id);
    NoteProgress(job.id);
    CopyColumns([](const JobColumn& column) { return column.is(kProgress); }, job, &Edit(t_.jobs, job.id).job);
    return absl::OkStatus();
  }

  absl::Status PutSweep(const Sweep& sweep) override {
    NoteSweep(sweep.name);
    const bool exists = t_.sweeps.contains(sweep.name);
    Sweep& row = Edit(t_.sweeps, sweep.name);
    row.name = sweep.name;
    if (!exists) row.created_ms = sweep.created_ms;
    row.max_parallel = sweep.max_parallel;
    row.policy = sweep.policy;
    return absl::OkStatus();
  }

  absl::Status SetGeneration(const std::string& sweep, int64_t generation) override {
    if (t_.sweeps.contains(sweep)) Edit(t_.sweeps, sweep).generation = generation;
    return absl::OkStatus();
  }

  absl::Status InsertRung(const RungResult& result) override {
    if (!t_.jobs.contains(result.job_id)) return NoJob(result.job_id);
    const auto key = std::make_tuple(result.sweep, result.step, result.job_id);
    if (t_.rungs.contains(key)) return absl::AlreadyExistsError("a job is at a rung once");
    Edit(t_.rungs, key) = result;
    return absl::OkStatus();
  }

  absl::Status PutStudy(const std::string& sweep, const std::string& study_json) override {
    if (!t_.sweeps.contains(sweep)) return NoSweep(sweep);
    Edit(t_.studies, sweep) = study_json;
    return absl::OkStatus();
  }

  absl::Status SetMemberships(const std::string& sweep,
                              const std::vector<std::pair<std::string, Membership>>& members) override {
    if (!t_.sweeps.contains(sweep)) return NoSweep(sweep);
    NoteSweep(sweep);
    const auto begin = t_.members.lower_bound({sweep, std::numeric_limits<int>::min()});
    std::vector<std::pair<std::string, int>> old;
    for (auto row = begin; row != t_.members.end() && row->first.first == sweep; ++row) old.push_back(row->first);
    std::set<std::string> touched;
    for (const std::string& id : Members(sweep)) touched.insert(id);
    for (const auto& key : old) Erase(t_.members, key);
    Erase(t_.saved, sweep);
    for (const auto& [job_id, membership] : members) {
      if (!t_.jobs.contains(job_id)) return NoJob(job_id);
      if (t_.members.contains({sweep, membership.index})) return absl::AlreadyExistsError("two jobs at one place");
      MemoryStore::Member& row = Edit(t_.members, {sweep, membership.index});
      row = {job_id, membership};
      row.membership.sweep = sweep;
      if (!Children(t_.checkpoints, job_id).empty()) Edit(t_.saved, sweep) = true;
      // Of one that is at home here and stays there is nothing to settle.
      if (t_.jobs.at(job_id).job.home_sweep == sweep)
        touched.erase(job_id);
      else
        touched.insert(job_id);
    }
    for (const std::string& id : touched) SettleHome(id);
    return absl::OkStatus();
  }

  absl::Status SetWithdrawn(const std::string& sweep, const std::string& job_id, bool withdrawn) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    NoteProgress(job_id);
    NotePlacement();
    std::vector<std::pair<std::string, int>> places;
    for (const auto& [place, member] : t_.members)
      if (place.first == sweep && member.job_id == job_id) places.push_back(place);
    for (const auto& place : places) Edit(t_.members, place).membership.withdrawn = withdrawn;
    SettleHome(job_id);
    return absl::OkStatus();
  }

  absl::Status LeaveSweep(const std::string& sweep, const std::string& job_id) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    NoteSweep(sweep);
    NoteProgress(job_id);
    EraseWhere(t_.rungs, [&](const auto& row) { return row.second.sweep == sweep && row.second.job_id == job_id; });
    EraseWhere(t_.members, [&](const auto& row) { return row.first.first == sweep && row.second.job_id == job_id; });
    SettleHome(job_id, sweep);
    return absl::OkStatus();
  }

  absl::Status SetHome(const std::string& job_id, const std::string& sweep) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    NoteProgress(job_id);
    NotePlacement();
    Edit(t_.jobs, job_id).job.home_sweep = sweep;
    return absl::OkStatus();
  }

  absl::Status DeleteJob(const std::string& id) override {
    const absl::StatusOr<Job> job = GetJob(id);
    if (!job.ok()) return job.status();
    if (!IsFinal(job->state) || !job->sweeps.empty()) {
      return absl::FailedPreconditionError(absl::StrCat("job ", id, " has not ended, or a sweep has it"));
    }
    NoteProgress(id);
    const auto of_job = [&](const auto& row) { return std::get<0>(row.first) == id; };
    for (const Attempt& attempt : Children(t_.attempts, id)) {
      uint64_t& last_fence = Edit(t_.deleted_jobs, id);
      last_fence = std::max(last_fence, attempt.fence);
    }
    EraseWhere(t_.rungs, [&](const auto& row) { return row.second.job_id == id; });
    EraseWhere(t_.gang, of_job);
    EraseWhere(t_.attempts, of_job);
    EraseWhere(t_.checkpoints, of_job);
    EraseWhere(t_.metrics, of_job);
    EraseWhere(t_.heatmaps, of_job);
    EraseWhere(t_.logs, of_job);
    Erase(t_.job_order, t_.jobs.at(id).seq);
    Erase(t_.jobs, id);
    return absl::OkStatus();
  }

  absl::Status ForgetDeletedJob(const DeletedJob& job) override {
    EraseWhere(t_.deleted_jobs, [&](const auto& row) { return row.first == job.id && row.second <= job.last_fence; });
    return absl::OkStatus();
  }

  absl::Status DeleteSweep(const std::string& name) override {
    if (!t_.sweeps.contains(name)) return NoSweep(name);
    if (!Members(name).empty() || !HomeJobIds(name)->empty()) {
      return absl::FailedPreconditionError(absl::StrCat("sweep ", name, " has jobs"));
    }
    NoteSweep(name);
    EraseWhere(t_.rungs, [&](const auto& row) { return row.second.sweep == name; });
    Erase(t_.studies, name);
    Erase(t_.saved, name);
    Erase(t_.sweeps, name);
    return absl::OkStatus();
  }

  absl::Status PutMember(const GangMember& member) override {
    if (!t_.jobs.contains(member.job_id)) return NoJob(member.job_id);
    NotePlacement();
    Edit(t_.gang, {member.job_id, member.first_rank}) = member;
    return absl::OkStatus();
  }

  absl::Status DeleteMembers(const std::string& job_id) override {
    EraseWhere(t_.gang, [&](const auto& row) { return row.first.first == job_id; });
    return absl::OkStatus();
  }

  absl::Status PutAttempt(const Attempt& attempt) override {
    if (!t_.jobs.contains(attempt.job_id)) return NoJob(attempt.job_id);
    Edit(t_.attempts, {attempt.job_id, attempt.attempt}) = attempt;
    return absl::OkStatus();
  }

  absl::Status PutCheckpoint(const Checkpoint& checkpoint) override {
    if (!t_.jobs.contains(checkpoint.job_id)) return NoJob(checkpoint.job_id);
    NotePlacement();
    Checkpoint& row = Edit(t_.checkpoints, {checkpoint.job_id, checkpoint.step});
    const bool pinned = row.pinned;
    row = checkpoint;
    row.pinned = pinned;
    for (const auto& [place, member] : t_.members)
      if (member.job_id == checkpoint.job_id) Edit(t_.saved, place.first) = true;
    return absl::OkStatus();
  }

  absl::Status PinCheckpoint(const std::string& job_id, int64_t step, bool pinned) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    NoteProgress(job_id);
    if (t_.checkpoints.contains({job_id, step})) Edit(t_.checkpoints, {job_id, step}).pinned = pinned;
    return absl::OkStatus();
  }

  absl::Status DeleteCheckpoint(const std::string& job_id, int64_t step) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    Erase(t_.checkpoints, {job_id, step});
    return absl::OkStatus();
  }

  absl::Status PutMetrics(const std::string& job_id, const std::vector<MetricPoint>& points) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    for (const MetricPoint& point : points) {
      MetricPoint& row = Edit(t_.metrics, {job_id, point.name, point.step});
      const int64_t id = row.id == 0 ? ++t_.next_id : row.id;
      row = point;
      row.id = id;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Thinned> ThinMetrics(const std::string& job_id, int points_a_curve, int64_t last_step) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    std::map<std::string, std::vector<int64_t>> curves;
    for (const MetricPoint& point : Children(t_.metrics, job_id)) curves[point.name].push_back(point.step);
    Thinned thinned;
    for (const auto& [name, steps] : curves) {
      const std::vector<int64_t> kept =
          EvenlySpaced({steps.begin(), std::upper_bound(steps.begin(), steps.end(), last_step)}, points_a_curve);
      thinned.points_before += static_cast<int64_t>(steps.size());
      thinned.points_after += static_cast<int64_t>(kept.size());
      for (const int64_t step : steps) {
        if (!std::binary_search(kept.begin(), kept.end(), step)) Erase(t_.metrics, {job_id, name, step});
      }
      if (!kept.empty()) thinned.newest[name] = t_.metrics.at({job_id, name, kept.back()}).value;
    }
    for (const Heatmap& map : Children(t_.heatmaps, job_id)) {
      if (map.step > last_step)
        Erase(t_.heatmaps, {job_id, map.name, map.step});
      else
        thinned.map_cells.push_back(int64_t{map.layers} * map.heads);
    }
    if (thinned.points_after == thinned.points_before) return thinned;
    std::vector<MetricPoint> left = Children(t_.metrics, job_id);
    std::sort(left.begin(), left.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    for (const MetricPoint& point : left) Edit(t_.metrics, {job_id, point.name, point.step}).id = ++t_.next_id;
    return thinned;
  }

  absl::Status PutHeatmap(const std::string& job_id, const Heatmap& heatmap) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    Edit(t_.heatmaps, {job_id, heatmap.name, heatmap.step}) = heatmap;
    return absl::OkStatus();
  }

  absl::Status AppendLogs(const std::string& job_id, const std::vector<LogLine>& lines) override {
    if (!t_.jobs.contains(job_id)) return NoJob(job_id);
    const auto end = t_.logs.upper_bound({job_id, std::numeric_limits<int64_t>::max()});
    const bool has_lines = end != t_.logs.begin() && std::prev(end)->first.first == job_id;
    int64_t newest = has_lines ? std::prev(end)->first.second : 0;
    for (const LogLine& line : lines) {
      LogLine& row = Edit(t_.logs, {job_id, ++newest});
      row = line;
      row.cursor = newest;
    }
    const std::pair last_to_go(job_id, newest - kNewestLinesKept);
    for (auto row = t_.logs.upper_bound({job_id, kFirstLinesKept}); row != t_.logs.end() && row->first <= last_to_go;) {
      const auto key = (row++)->first;
      Erase(t_.logs, key);
    }
    return absl::OkStatus();
  }

  absl::Status PutWorker(const Worker& worker) override {
    NotePlacement();
    Worker& row = Edit(t_.workers, worker.id);
    const Worker before = row;
    row = worker;
    row.hold = before.hold;
    row.hold_reason = before.hold_reason;
    row.state = WorkerState::kGone;
    row.devices_free = 0;
    row.job_ids.clear();
    Erase(t_.retired, worker.id);
    return absl::OkStatus();
  }

  absl::Status HoldWorker(const std::string& id, WorkerHold hold, const std::string& reason) override {
    if (!t_.workers.contains(id)) return absl::NotFoundError(absl::StrCat("no worker ", id));
    NotePlacement();
    Worker& row = Edit(t_.workers, id);
    row.hold = hold;
    row.hold_reason = reason;
    return absl::OkStatus();
  }

  absl::Status RetireWorker(const std::string& id) override {
    if (t_.workers.contains(id)) Edit(t_.retired, id) = true;
    return absl::OkStatus();
  }

  absl::Status PutRequest(const RequestRecord& record) override {
    if (t_.requests.contains(record.request_id)) return absl::AlreadyExistsError("request exists");
    Edit(t_.requests, record.request_id) = record;
    Edit(t_.request_order, ++t_.next_id) = record.request_id;
    if (t_.requests.size() > kRequestsKept) {
      const auto [seq, id] = *t_.request_order.begin();
      Erase(t_.requests, id);
      Erase(t_.request_order, seq);
    }
    return absl::OkStatus();
  }

  absl::Status PutMark(const std::string& name, int64_t value) override {
    Edit(t_.meta, name) = static_cast<uint64_t>(value);
    return absl::OkStatus();
  }

  absl::Status SetEpoch(uint64_t epoch) override {
    Edit(t_.meta, "epoch") = epoch;
    return absl::OkStatus();
  }

 private:
  // See SetMemberships in job_store.h. `left`: a sweep that is to be home to the job no more; empty: none.
  void SettleHome(const std::string& job_id, const std::string& left = "") {
    const std::string home = t_.jobs.at(job_id).job.home_sweep;
    using Rank = std::tuple<bool, bool, int64_t, std::string>;  // the least is the home
    std::optional<Rank> best;
    for (const auto& [place, member] : t_.members) {
      if (member.job_id != job_id) continue;
      const std::string& sweep = place.first;
      const Rank rank(member.membership.withdrawn, sweep != home, t_.sweeps.at(sweep).created_ms, sweep);
      best = best ? std::min(*best, rank) : rank;
    }
    if (!best || (std::get<0>(*best) && home != left)) return;
    if (std::get<3>(*best) != home) Edit(t_.jobs, job_id).job.home_sweep = std::get<3>(*best);
  }

  // Ids of a sweep's jobs, each once.
  std::vector<std::string> Members(const std::string& name) const {
    std::vector<std::string> ids;
    std::set<std::string> seen;
    for (auto member = t_.members.lower_bound({name, std::numeric_limits<int>::min()});
         member != t_.members.end() && member->first.first == name; ++member) {
      if (seen.insert(member->second.job_id).second) ids.push_back(member->second.job_id);
    }
    return ids;
  }

  template <typename Wanted>
  std::vector<RungResult> Rungs(Wanted wanted) const {
    std::vector<RungResult> results;
    for (const auto& [key, result] : t_.rungs) {
      if (wanted(result)) results.push_back(result);
    }
    return results;
  }

  absl::Status VisitSweepJobs(const JobQuery& query, const JobVisitor& visit) {
    int visited = 0;
    bool listing = query.after.empty();
    for (const std::string& id : Members(query.sweep)) {
      if (listing && Wants(query.states, t_.jobs.at(id).job.state)) {
        if (query.limit > 0 && ++visited > query.limit) break;
        Job job = *GetJob(id);
        const auto others = std::stable_partition(job.sweeps.begin(), job.sweeps.end(),
                                                  [&](const Membership& m) { return m.sweep == query.sweep; });
        if (!query.places) job.sweeps.erase(others, job.sweeps.end());
        visit(job);
      }
      listing = listing || id == query.after;
    }
    return listing ? absl::OkStatus() : NoJob(query.after);
  }

  // The values whose key begins with the job, in key order.
  template <typename Map>
  static std::vector<typename Map::mapped_type> Children(const Map& map, const std::string& job_id) {
    std::vector<typename Map::mapped_type> values;
    for (const auto& [key, value] : map) {
      if (std::get<0>(key) == job_id) values.push_back(value);
    }
    return values;
  }

  MemoryStore::Tables& t_;
};

}  // namespace

absl::Status MemoryStore::Write(const std::function<absl::Status(Transaction&)>& body) {
  MutexLock lock(&mutex_);
  MemoryTransaction transaction(tables_);
  const absl::Status status = body(transaction);
  if (!status.ok()) transaction.Undo();
  return status;
}

absl::Status MemoryStore::Read(const std::function<absl::Status(Snapshot&)>& body) {
  MutexLock lock(&mutex_);
  MemoryTransaction snapshot(tables_);
  return body(snapshot);
}

}  // namespace sink::store
