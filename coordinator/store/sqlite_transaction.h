// The rows of job_store.h in SQLite: one object a connection, used for both Snapshot (on a read-only connection) and
// Transaction. Owned by SqliteStore, which begins and ends the transactions; one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/store/job_store.h"
#include "coordinator/store/series_names.h"
#include "coordinator/store/sqlite_db.h"

namespace sink::store {

class SqliteTransaction final : public Transaction {
 public:
  SqliteTransaction(Database& db, SeriesNames& names) : db_(db), names_(names) {}

  // Snapshot: sqlite_reads.cc.
  absl::StatusOr<Job> GetJob(const std::string& id) override;
  absl::StatusOr<std::string> GetConfig(const std::string& job_id) override;
  absl::StatusOr<std::vector<std::string>> FindJobs(const std::string& prefix) override;
  absl::Status VisitJobs(const JobQuery& query, const JobVisitor& visit) override;
  absl::StatusOr<std::vector<Job>> LiveJobs() override;
  absl::StatusOr<std::vector<GangMember>> LiveMembers() override;
  absl::StatusOr<std::vector<Job>> LiveJobsOf(const std::string& worker_id) override;
  absl::StatusOr<std::vector<GangMember>> LiveMembersOf(const std::string& worker_id) override;
  absl::StatusOr<std::vector<GangMember>> MembersOf(const std::string& job_id) override;
  absl::StatusOr<int> CountLive(const std::string& home_sweep) override;
  absl::StatusOr<std::optional<QueueHead>> QueueFront() override;
  absl::StatusOr<std::vector<QueueHead>> QueueHeads() override;
  absl::StatusOr<std::optional<QueueHead>> NextInQueue(const QueueHead& after) override;
  absl::StatusOr<std::vector<std::string>> DelayedJobs() override;
  absl::StatusOr<int> CountAhead(const std::string& job_id, const QueueHead& queue) override;
  absl::StatusOr<std::vector<std::pair<JobState, int64_t>>> CountJobs() override;
  absl::StatusOr<Sweep> GetSweep(const std::string& name) override;
  absl::StatusOr<std::vector<Sweep>> ListSweeps() override;
  absl::StatusOr<std::string> GetStudy(const std::string& sweep) override;
  absl::StatusOr<std::vector<std::string>> SweepJobIds(const std::string& name) override;
  absl::StatusOr<std::vector<std::string>> HomeJobIds(const std::string& sweep) override;
  absl::StatusOr<std::vector<std::string>> LiveHomeJobIds(const std::string& sweep) override;
  absl::StatusOr<std::vector<RungResult>> ListRung(const std::string& sweep, int64_t step) override;
  absl::StatusOr<std::vector<RungResult>> ListRungsOf(const std::string& job_id) override;
  absl::StatusOr<std::vector<Attempt>> ListAttempts(const std::string& job_id) override;
  absl::StatusOr<Attempt> GetAttempt(const std::string& job_id, int attempt) override;
  absl::StatusOr<std::vector<Checkpoint>> ListCheckpoints(const std::string& job_id) override;
  absl::StatusOr<bool> HasCheckpoints() override;
  absl::StatusOr<bool> HasSaved(const std::string& sweep) override;
  absl::StatusOr<std::vector<MetricPoint>> ListMetrics(const std::string& job_id, const MetricQuery& query) override;
  absl::StatusOr<MetricSample> SampleMetrics(const std::string& job_id, const std::vector<std::string>& names) override;
  absl::StatusOr<std::optional<double>> LastValue(const std::string& job_id, const std::string& name, int64_t after,
                                                  int64_t until) override;
  absl::StatusOr<std::vector<Heatmap>> ListHeatmaps(const std::string& job_id) override;
  absl::StatusOr<std::vector<std::string>> HeatmapNames(const std::string& job_id) override;
  absl::StatusOr<std::vector<LogLine>> ListLogs(const std::string& job_id, int64_t after, int limit) override;
  absl::StatusOr<int64_t> CursorBeforeTail(const std::string& job_id, int lines) override;
  absl::StatusOr<Worker> GetWorker(const std::string& id) override;
  absl::StatusOr<std::vector<Worker>> ListWorkers() override;
  absl::StatusOr<std::vector<Worker>> ListAllWorkers() override;
  absl::StatusOr<std::optional<RequestRecord>> FindRequest(const std::string& request_id) override;
  absl::StatusOr<std::vector<DeletedJob>> ListDeletedJobs() override;
  absl::StatusOr<uint64_t> GetEpoch() override;
  absl::StatusOr<std::vector<EndedJob>> ListEnded(int64_t after_ms, int64_t after_order, int64_t before_ms,
                                                  int limit) override;
  absl::StatusOr<int64_t> GetMark(const std::string& name) override;

  // Transaction: sqlite_writes.cc.
  absl::Status InsertJob(const Job& job, const std::string& config_json) override;
  absl::Status UpdateJob(const Job& job) override;
  absl::Status UpdateProgress(const Job& job) override;
  absl::Status PutSweep(const Sweep& sweep) override;
  absl::Status SetGeneration(const std::string& sweep, int64_t generation) override;
  absl::Status InsertRung(const RungResult& result) override;
  absl::Status PutStudy(const std::string& sweep, const std::string& study_json) override;
  absl::Status SetMemberships(const std::string& sweep,
                              const std::vector<std::pair<std::string, Membership>>& members) override;
  absl::Status SetWithdrawn(const std::string& sweep, const std::string& job_id, bool withdrawn) override;
  absl::Status LeaveSweep(const std::string& sweep, const std::string& job_id) override;
  absl::Status SetHome(const std::string& job_id, const std::string& sweep) override;
  absl::Status DeleteJob(const std::string& id) override;
  absl::Status ForgetDeletedJob(const DeletedJob& job) override;
  absl::Status DeleteSweep(const std::string& name) override;
  absl::Status PutMember(const GangMember& member) override;
  absl::Status DeleteMembers(const std::string& job_id) override;
  absl::Status PutAttempt(const Attempt& attempt) override;
  absl::Status PutCheckpoint(const Checkpoint& checkpoint) override;
  absl::Status PinCheckpoint(const std::string& job_id, int64_t step, bool pinned) override;
  absl::Status DeleteCheckpoint(const std::string& job_id, int64_t step) override;
  absl::Status PutMetrics(const std::string& job_id, const std::vector<MetricPoint>& points) override;
  absl::StatusOr<Thinned> ThinMetrics(const std::string& job_id, int points_a_curve, int64_t last_step) override;
  absl::Status PutHeatmap(const std::string& job_id, const Heatmap& heatmap) override;
  absl::Status AppendLogs(const std::string& job_id, const std::vector<LogLine>& lines) override;
  absl::Status PutWorker(const Worker& worker) override;
  absl::Status RetireWorker(const std::string& id) override;
  absl::Status HoldWorker(const std::string& id, WorkerHold hold, const std::string& reason) override;
  absl::Status PutRequest(const RequestRecord& record) override;
  absl::Status SetEpoch(uint64_t epoch) override;
  absl::Status PutMark(const std::string& name, int64_t value) override;

 private:
  absl::StatusOr<int64_t> SeqOf(const std::string& job_id);  // jobs.seq
  // Of one job, as SetMemberships and the like say. `left`: a sweep that is to be home to it no more; empty: none.
  absl::Status SettleHome(int64_t seq, const std::string& left = "");
  absl::Status VisitSweepJobs(const JobQuery& query, int64_t states, const JobVisitor& visit);
  // Appends the job's places in sweeps, but for those in the sweep `but`.
  absl::Status AddPlaces(int64_t seq, const std::string& but, Job* job);
  absl::Status FillCounts(Sweep* sweep);

  Database& db_;
  SeriesNames& names_;  // of this connection
};

// Checkpoint files as the checkpoints table keeps them: "name size xxh3" lines.
std::string EncodeFiles(const std::vector<CheckpointFile>& files);
std::vector<CheckpointFile> DecodeFiles(std::string_view text);

}  // namespace sink::store
