// The rules of the coordinator: what may happen to a job, and when. No gRPC, no SQL, no clock, no randomness: the
// service passes them in. Each method is one or a few transactions of the store and returns only after its effect is
// durable. The meaning of every call is told in proto/sink/v1/{client,worker}.proto.
//
// The store holds all truth. This object adds only what must not outlive the process: when each lease and worker was
// last heard of, and when each retry delay ends, on the steady clock. So a restart gives every live lease a fresh full
// duration. Any thread may call any method.
//
// Errors of every method, besides its own: RESOURCE_EXHAUSTED the disk is full; UNAVAILABLE the store is closing;
// DATA_LOSS the store has failed and the process must end.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/attempt_rules.h"
#include "coordinator/core/change_signal.h"
#include "coordinator/core/lease_clock.h"
#include "coordinator/core/model_places.h"
#include "coordinator/core/observer.h"
#include "coordinator/core/requests.h"
#include "coordinator/core/schedule.h"
#include "coordinator/job/job.h"
#include "coordinator/store/job_store.h"

namespace sink {

class JobManager {
 public:
  struct Options {
    int64_t heartbeat_interval_ms = 10'000;
    int64_t lease_duration_ms = 120'000;
    int64_t grace_ms = 30'000;  // from a trainer's stop command to SIGKILL; passed on in grants
    int checkpoints_kept = 2;   // of one job, the newest; a job may say otherwise
    RetryPolicy retry;
    std::function<std::string()> new_lease_id;  // 128 random bits as hex; called on the store's writer thread
  };

  // Starts a new epoch, durable before it returns: no fence of an earlier coordinator can equal a later one. `store`
  // and `observer` (may be null) outlive the manager; one manager a store at a time.
  static absl::StatusOr<std::unique_ptr<JobManager>> Start(store::JobStore* store, Options options, Observer* observer,
                                                           Now now);

  // --- Clients. A `job` is an id or a prefix of at least four hex digits: NOT_FOUND, or INVALID_ARGUMENT when several
  // jobs match.
  // All jobs of the sweep or none. A job that exists is linked, not repeated; the sweep's membership becomes exactly
  // `jobs`. ALREADY_EXISTS: this request_id came with another body.
  absl::StatusOr<SubmitResult> Submit(const SubmitRequest& request, Now now);
  absl::StatusOr<std::vector<Sweep>> ListSweeps();
  absl::StatusOr<Sweep> GetSweep(const std::string& name);
  // With a visit to each of its jobs in expansion order, all of one moment.
  absl::StatusOr<Sweep> VisitSweep(const std::string& name, const store::Snapshot::JobVisitor& visit);
  absl::StatusOr<std::string> GetStudy(const std::string& name);  // as submitted; empty in an old database
  absl::StatusOr<std::vector<Job>> ListJobs(const store::JobQuery& query);
  absl::StatusOr<JobDetails> GetJob(std::string_view job);
  absl::StatusOr<Explanation> Explain(std::string_view job, Now now);
  absl::StatusOr<CancelResult> Cancel(const JobSelection& selection, Now now);
  absl::StatusOr<std::vector<std::string>> Retry(const JobSelection& selection, Now now);  // ids now QUEUED again
  // `tail` > 0: only the last lines; else at most `limit` lines after the cursor.
  absl::StatusOr<LogPage> ReadLogs(std::string_view job, int64_t after, int tail, int limit);
  // At most `limit` points with id > after, in order of id; empty when there are no more.
  absl::StatusOr<std::vector<MetricPoint>> ReadMetrics(std::string_view job, const store::MetricQuery& query);
  absl::StatusOr<std::vector<Heatmap>> ReadHeatmaps(std::string_view job);
  absl::StatusOr<std::vector<Worker>> ListWorkers(Now now);
  absl::StatusOr<std::vector<Checkpoint>> ListCheckpoints(std::string_view job);  // newest first

  // --- Workers. A call of an unknown worker is NOT_FOUND: register. A call with an older daemon's session is
  // FAILED_PRECONDITION "stale session". A lease that is not current is StaleLeaseError.
  absl::StatusOr<std::vector<Lease>> Register(const RegisterRequest& request, Now now);  // leases to keep
  absl::StatusOr<std::vector<Grant>> AcquireLeases(const LeaseRequest& request, Now now);
  absl::StatusOr<HeartbeatResult> Heartbeat(const HeartbeatRequest& request, Now now);
  // Returns the highest durable sequence number. MissingEventsError: events before these have not come.
  absl::StatusOr<uint64_t> Report(const std::string& worker_id, const Lease& lease, const std::vector<Event>& events,
                                  Now now);
  // Returns the job's state now. MissingEventsError: events up to last_seq have not all come.
  absl::StatusOr<JobState> Finish(const FinishRequest& request, Now now);
  // The job, when the lease is current: for the steps of a checkpoint's transfer, which change no row.
  absl::StatusOr<Job> CheckLease(const std::string& worker_id, const Lease& lease, Now now);
  // FAILED_PRECONDITION until every event up to `events_seq` is durable. Returns the checkpoints that this one replaces
  // or pushes out; their rows are gone, their files are the caller's to delete.
  absl::StatusOr<std::vector<Checkpoint>> CommitCheckpoint(const std::string& worker_id, const Lease& lease,
                                                           const CheckpointCommit& commit, Now now);

  // --- Time. Call it every second or so: expires leases, ends retry delays, enforces max_time. When it was not called
  // for longer than half a lease, every lease is extended by the gap instead.
  absl::Status Tick(Now now);

  absl::StatusOr<Stats> GetStats(Now now);
  ChangeSignal& changes() { return changes_; }
  const Options& options() const { return options_; }

 private:
  using ReadBody = std::function<absl::Status(store::Snapshot&)>;
  using WriteBody = std::function<absl::Status(store::Transaction&)>;

  JobManager(store::JobStore* store, Options options, Observer* observer);

  absl::Status Write(const WriteBody& body);  // and tells changes()

  // For worker calls, within a transaction.
  static absl::StatusOr<Job> CurrentJob(store::Snapshot& rows, const std::string& worker_id, const Lease& lease);
  static absl::StatusOr<Worker> CurrentWorker(store::Snapshot& rows, const std::string& id, const std::string& session);
  // Open models of the request's jobs that have not ended which no connected worker has; none while no worker is
  // connected.
  absl::StatusOr<std::vector<std::string>> MissingModels(const SubmitRequest& request, Now now);
  // What this question got before, as leader or as member; `waiting` as MemberGrants says.
  absl::StatusOr<std::vector<Grant>> RepeatedGrants(store::Snapshot& rows, const LeaseRequest& request, bool* waiting);
  absl::StatusOr<Schedule> MakeSchedule(store::Snapshot& rows, const LeaseRequest& request, Now now);
  absl::StatusOr<Grant> MakeGrant(store::Snapshot& rows, const Job& job);
  absl::StatusOr<Job> GrantLease(store::Transaction& rows, const Schedule::Start& start, const Worker& worker,
                                 const LeaseRequest& request, Now now);
  absl::Status LoseLease(store::Transaction& rows, Job job, FailureClass failure_class, const std::string& why,
                         bool delay, Now now);
  absl::Status EndAttempt(store::Transaction& rows, Job job, AttemptState state, FailureClass failure_class,
                          const std::string& message, int64_t delay_ms, const Attempt& attempt, Now now);
  WorkerState StateOf(const Worker& worker, Now now);

  // For gangs (gang_calls.cc), within a transaction.
  static absl::StatusOr<std::vector<GangMember>> MembersOf(store::Snapshot& rows, const std::string& job_id);
  // The member that holds this lease of a live job, and the job; nothing where it is no member's.
  struct HeldMember {
    Job job;
    GangMember member;
  };
  static absl::StatusOr<std::optional<HeldMember>> CurrentMember(store::Snapshot& rows, const std::string& worker_id,
                                                                 const Lease& lease);
  absl::Status AddMembers(store::Transaction& rows, const Job& job, const Schedule::Start& start, Now now);
  absl::StatusOr<Grant> MakeMemberGrant(store::Snapshot& rows, const Job& job, const GangMember& member);
  // The grants of members that this question, or its first copy, brings to their worker; `waiting`: some would be
  // brought for the first time, which DeliverMembers does.
  absl::StatusOr<std::vector<Grant>> MemberGrants(store::Snapshot& rows, const LeaseRequest& request, bool* waiting);
  static absl::Status DeliverMembers(store::Transaction& rows, const LeaseRequest& request);
  static absl::Status FinishMember(store::Transaction& rows, GangMember member, const FinishRequest& request,
                                   const std::string& message);

  // A rank that failed makes the others fail, too: what members have said of their own is added to an infra failure of
  // the leader, and a cause of another class takes its place.
  static absl::Status BlameMember(store::Snapshot& rows, const std::string& job_id, FailureClass* failure_class,
                                  std::string* message);

  // For Tick.
  enum class Due { kNothing, kDisconnected, kExpired, kNeverReceived, kTimedOut, kMemberLost, kMemberNeverReceived };
  Due WhatIsDue(const Job& job, const std::vector<GangMember>& members, Now now);
  // What is due of a member; nothing while it is well.
  Due WhatIsDue(const GangMember& member, Now now);
  absl::Status ApplyDue(store::Transaction& rows, const std::string& job_id, uint64_t fence, Now now, int* expired);

  store::JobStore* const store_;
  const Options options_;
  Observer* const observer_;
  ChangeSignal changes_;
  LeaseClock clock_;
  ModelPlaces models_;
  uint64_t next_fence_ = 0;  // writer thread only, once started
};

}  // namespace sink
