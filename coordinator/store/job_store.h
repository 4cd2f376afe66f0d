// Where the coordinator keeps its rows: a small interface with two implementations (sqlite_store.h, memory_store.h) and
// one contract suite (tests/coordinator/store). A store keeps rows and refuses illegal state changes; every other rule
// lives in core. Time and ids come in as values.
//
// Threads: Write and Read may be called from any thread. A Transaction or Snapshot may be used only inside the body
// that received it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/job/gang_member.h"
#include "coordinator/job/job.h"
#include "coordinator/store/questions.h"
#include "coordinator/store/queue_head.h"

namespace sink::store {

// A consistent view. Lists are ordered as said; a missing row is NOT_FOUND where a single row is asked for.
class Snapshot {
 public:
  virtual ~Snapshot() = default;

  virtual absl::StatusOr<Job> GetJob(const std::string& id) = 0;  // with memberships
  virtual absl::StatusOr<std::string> GetConfig(const std::string& job_id) = 0;
  // Ids that start with `prefix`, at most two.
  virtual absl::StatusOr<std::vector<std::string>> FindJobs(const std::string& prefix) = 0;
  // The jobs of one sweep come in expansion order, each once, with its memberships in that sweep, and, where `places`
  // asks for them, those in others after these; the jobs of all sweeps come in submission order, without memberships
  // unless it does. What only the rules need (holder, phase, budgets, delays) is left out. `visit` is called once a
  // job, with one Job whose memory serves for the next: that makes 100,000 of them cheap. Copy what you keep; do not
  // visit jobs from within.
  using JobVisitor = std::function<void(const Job&)>;
  virtual absl::Status VisitJobs(const JobQuery& query, const JobVisitor& visit) = 0;
  absl::StatusOr<std::vector<Job>> ListJobs(const JobQuery& query);   // the same, collected
  virtual absl::StatusOr<std::vector<Job>> LiveJobs() = 0;            // of every worker; without memberships
  virtual absl::StatusOr<std::vector<GangMember>> LiveMembers() = 0;  // by job, rank
  // The same of one worker, as holder; of one job.
  virtual absl::StatusOr<std::vector<Job>> LiveJobsOf(const std::string& worker_id) = 0;
  virtual absl::StatusOr<std::vector<GangMember>> LiveMembersOf(const std::string& worker_id) = 0;
  virtual absl::StatusOr<std::vector<GangMember>> MembersOf(const std::string& job_id) = 0;  // by rank
  virtual absl::StatusOr<int> CountLive(const std::string& home_sweep) = 0;                  // cost: its live jobs
  virtual absl::StatusOr<std::optional<QueueHead>> QueueFront() = 0;  // the one that goes before all; constant cost
  virtual absl::StatusOr<std::vector<QueueHead>> QueueHeads() = 0;    // cost: the queues, not the jobs
  // What would be the head of the same queue if this job and all before it were gone; constant cost.
  virtual absl::StatusOr<std::optional<QueueHead>> NextInQueue(const QueueHead& after) = 0;
  virtual absl::StatusOr<std::vector<std::string>> DelayedJobs() = 0;  // ids
  // Jobs of the queue of this head that go before the job, be it of that queue or another. Cost: their number.
  virtual absl::StatusOr<int> CountAhead(const std::string& job_id, const QueueHead& queue) = 0;
  virtual absl::StatusOr<std::vector<std::pair<JobState, int64_t>>> CountJobs() = 0;  // every state; constant cost

  virtual absl::StatusOr<Sweep> GetSweep(const std::string& name) = 0;
  virtual absl::StatusOr<std::vector<Sweep>> ListSweeps() = 0;                 // by name
  virtual absl::StatusOr<std::string> GetStudy(const std::string& sweep) = 0;  // as PutStudy left it; empty before
  virtual absl::StatusOr<std::vector<std::string>> SweepJobIds(const std::string& name) = 0;
  // Of the jobs that were first submitted with it, whether it still names them or not. Cost: all jobs.
  virtual absl::StatusOr<std::vector<std::string>> HomeJobIds(const std::string& sweep) = 0;
  // Those of them that have not ended, in any order. Cost: their number, and the delayed jobs of all sweeps.
  virtual absl::StatusOr<std::vector<std::string>> LiveHomeJobIds(const std::string& sweep) = 0;
  virtual absl::StatusOr<std::vector<RungResult>> ListRung(const std::string& sweep, int64_t step) = 0;  // by job
  virtual absl::StatusOr<std::vector<RungResult>> ListRungsOf(const std::string& job_id) = 0;  // by sweep, step

  virtual absl::StatusOr<std::vector<Attempt>> ListAttempts(const std::string& job_id) = 0;
  virtual absl::StatusOr<Attempt> GetAttempt(const std::string& job_id, int attempt) = 0;
  virtual absl::StatusOr<std::vector<Checkpoint>> ListCheckpoints(const std::string& job_id) = 0;  // newest first
  virtual absl::StatusOr<bool> HasCheckpoints() = 0;  // of any job; constant cost
  // Whether a job of the sweep has saved a checkpoint, in whatever state the job is now and even where the checkpoint
  // has gone since. SetMemberships begins anew, with those that are there. Constant cost.
  virtual absl::StatusOr<bool> HasSaved(const std::string& sweep) = 0;
  virtual absl::StatusOr<std::vector<MetricPoint>> ListMetrics(const std::string& job_id, const MetricQuery& query) = 0;
  // What a chart needs of a job's curves, at a cost that does not grow with the job: every point of the names while all
  // its points are some ten thousand; beyond that evenly spread ones, and the newest.
  virtual absl::StatusOr<MetricSample> SampleMetrics(const std::string& job_id,
                                                     const std::vector<std::string>& names) = 0;
  // The curve's value at its last step above `after` and up to `until`; nothing where it has none there. Cost: the
  // job's points of steps above `after`.
  virtual absl::StatusOr<std::optional<double>> LastValue(const std::string& job_id, const std::string& name,
                                                          int64_t after, int64_t until) = 0;
  virtual absl::StatusOr<std::vector<Heatmap>> ListHeatmaps(const std::string& job_id) = 0;      // by name, step
  virtual absl::StatusOr<std::vector<std::string>> HeatmapNames(const std::string& job_id) = 0;  // cost: the names
  // `after` may be the cursor of a line that is no longer kept.
  virtual absl::StatusOr<std::vector<LogLine>> ListLogs(const std::string& job_id, int64_t after, int limit) = 0;
  // After which there are so many lines; 0 where there are no more than those.
  virtual absl::StatusOr<int64_t> CursorBeforeTail(const std::string& job_id, int lines) = 0;

  virtual absl::StatusOr<Worker> GetWorker(const std::string& id) = 0;  // NOT_FOUND when it has retired, too
  virtual absl::StatusOr<std::vector<Worker>> ListWorkers() = 0;        // by name
  virtual absl::StatusOr<std::vector<Worker>> ListAllWorkers() = 0;     // by name; those that have retired, too
  virtual absl::StatusOr<std::optional<RequestRecord>> FindRequest(const std::string& request_id) = 0;
  virtual absl::StatusOr<std::vector<DeletedJob>> ListDeletedJobs() = 0;  // by id
  virtual absl::StatusOr<uint64_t> GetEpoch() = 0;
  // By (finished_ms, order): those after that pair that ended before `before_ms`.
  virtual absl::StatusOr<std::vector<EndedJob>> ListEnded(int64_t after_ms, int64_t after_order, int64_t before_ms,
                                                          int limit) = 0;
  virtual absl::StatusOr<int64_t> GetMark(const std::string& name) = 0;  // as PutMark left it; 0 before
};

// What a transaction has changed, for those who wait for changes. Ids may repeat.
struct Changes {
  std::vector<std::string> jobs;    // whose rows, as people see them, have changed
  std::vector<std::string> sweeps;  // that have other jobs now, or another policy
  bool placement = false;           // a job may be able to start that was not before
};

// A snapshot that can be changed. It sees its own changes.
class Transaction : public Snapshot {
 public:
  const Changes& changes() const { return changes_; }

  // ALREADY_EXISTS; INVALID_ARGUMENT when the state is not QUEUED. `job.sweeps` is not stored here.
  virtual absl::Status InsertJob(const Job& job, const std::string& config_json) = 0;
  // Everything but id, home_sweep, memberships and progress.latest's history. FAILED_PRECONDITION when the change of
  // (state, generation) is not in job_state.h's table.
  virtual absl::Status UpdateJob(const Job& job) = 0;
  // Only progress, event_cursor and start_step; cheaper.
  virtual absl::Status UpdateProgress(const Job& job) = 0;

  // Name, created_ms (kept when it exists), and the rest, but its generation.
  virtual absl::Status PutSweep(const Sweep& sweep) = 0;
  virtual absl::Status SetGeneration(const std::string& sweep, int64_t generation) = 0;  // there may be no such sweep
  virtual absl::Status InsertRung(const RungResult& result) = 0;  // ALREADY_EXISTS for the same sweep, step and job
  // What the sweep's file says beyond its jobs, in the service's words. NOT_FOUND.
  virtual absl::Status PutStudy(const std::string& sweep, const std::string& study_json) = 0;
  // The next three also move a job's home, where that does not want the job any more and another sweep does, to the
  // oldest that does. Where none does, it stays, so that whoever has left a job to run can end it; only LeaveSweep
  // takes the job from a home that it leaves to the oldest sweep that has it.
  //
  // Replaces the sweep's memberships; each job must exist.
  virtual absl::Status SetMemberships(const std::string& sweep,
                                      const std::vector<std::pair<std::string, Membership>>& members) = 0;
  // In all of the job's places in the sweep; it may have none. NOT_FOUND: there is no such job.
  virtual absl::Status SetWithdrawn(const std::string& sweep, const std::string& job_id, bool withdrawn) = 0;
  // Takes the job's places in the sweep away, and its rungs. NOT_FOUND.
  virtual absl::Status LeaveSweep(const std::string& sweep, const std::string& job_id) = 0;
  // The sweep, which wants the job, is its home from here on. NOT_FOUND: there is no such job.
  virtual absl::Status SetHome(const std::string& job_id, const std::string& sweep) = 0;
  // With everything that belongs to it; if it has run, it is a DeletedJob from here on. FAILED_PRECONDITION while it
  // has not ended or has a place in a sweep; NOT_FOUND.
  virtual absl::Status DeleteJob(const std::string& id) = 0;
  // Its files are gone. Nothing happens when it was run and deleted again since.
  virtual absl::Status ForgetDeletedJob(const DeletedJob& job) = 0;
  // FAILED_PRECONDITION while a job has a place in it or is at home there; NOT_FOUND.
  virtual absl::Status DeleteSweep(const std::string& name) = 0;

  virtual absl::Status PutMember(const GangMember& member) = 0;          // inserts or replaces (job, first_rank)
  virtual absl::Status DeleteMembers(const std::string& job_id) = 0;     // there may be none
  virtual absl::Status PutAttempt(const Attempt& attempt) = 0;           // inserts or replaces (job, attempt)
  virtual absl::Status PutCheckpoint(const Checkpoint& checkpoint) = 0;  // inserts or replaces (job, step), but its pin
  // There may be none of that step, here and below.
  virtual absl::Status PinCheckpoint(const std::string& job_id, int64_t step, bool pinned) = 0;
  virtual absl::Status DeleteCheckpoint(const std::string& job_id, int64_t step) = 0;
  // A point of the same (job, name, step) is replaced in place and keeps its id. Cheapest where steps grow.
  virtual absl::Status PutMetrics(const std::string& job_id, const std::vector<MetricPoint>& points) = 0;
  // Leaves of each curve, up to `last_step`, its first and last point and evenly spaced ones between, `points_a_curve`
  // in all; where that is fewer, all have new ids, greater than any before. None is a mean. Heat maps go by step alone.
  virtual absl::StatusOr<Thinned> ThinMetrics(const std::string& job_id, int points_a_curve, int64_t last_step) = 0;
  virtual absl::Status PutHeatmap(const std::string& job_id, const Heatmap& heatmap) = 0;
  // Of all that have come the first and the newest stay (log_lines.h). Cost: these lines, however many came before.
  virtual absl::Status AppendLogs(const std::string& job_id, const std::vector<LogLine>& lines) = 0;

  virtual absl::Status PutWorker(const Worker& worker) = 0;  // all but its hold; back from retirement, if it was there
  // Keeps the row, for reports of what it ran, out of every other list. There may be no such worker.
  virtual absl::Status RetireWorker(const std::string& id) = 0;
  virtual absl::Status HoldWorker(const std::string& id, WorkerHold hold, const std::string& reason) = 0;  // NOT_FOUND
  virtual absl::Status PutRequest(const RequestRecord& record) = 0;  // keeps the newest 10,000
  virtual absl::Status SetEpoch(uint64_t epoch) = 0;
  virtual absl::Status PutMark(const std::string& name, int64_t value) = 0;

 protected:
  void NoteProgress(const std::string& job_id) { changes_.jobs.push_back(job_id); }
  void NotePlacement() { changes_.placement = true; }
  void NoteUpdate(const Job& job);  // placement only where another job may be able to start
  void NoteSweep(const std::string& sweep) {
    changes_.sweeps.push_back(sweep);
    changes_.placement = true;
  }

 private:
  Changes changes_;
};

// FAILED_PRECONDITION "job X cannot go from SUCCEEDED to RUNNING": what UpdateJob says.
absl::Status IllegalTransition(const Job& job, JobState from, int from_generation);

class JobStore {
 public:
  virtual ~JobStore() = default;

  // Runs `body` alone, on the store's writer thread, and returns once its effects are durable; or returns the body's
  // error, or the store's, and nothing has changed. A body must be quick, must not call Write or Read, and may run
  // only once.
  // Errors of the store: RESOURCE_EXHAUSTED disk full (reads go on, later writes may succeed); UNAVAILABLE closing;
  // DATA_LOSS the disk or the file failed: every later write fails too, the process must end and reopen.
  virtual absl::Status Write(const std::function<absl::Status(Transaction&)>& body) = 0;

  // The same for a body of thousands of statements, which is not put behind others in one transaction.
  virtual absl::Status WriteLarge(const std::function<absl::Status(Transaction&)>& body) { return Write(body); }

  // Runs `body` in the caller's thread on a consistent view of what is durable.
  virtual absl::Status Read(const std::function<absl::Status(Snapshot&)>& body) = 0;
};

}  // namespace sink::store
