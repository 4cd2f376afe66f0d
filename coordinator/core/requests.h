// What the service asks of core and what it answers, as plain values. They follow proto/sink/v1 message by
// message, which tells their meaning. Values only; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "coordinator/job/job.h"

namespace sink {

// The caller's clocks. Every decision uses steady_ms; unix_ms is only shown.
struct Now {
  int64_t unix_ms = 0;
  int64_t steady_ms = 0;
};

struct SubmitJob {
  std::string id;
  std::string config_json;
  int64_t max_steps = 0;
  int checkpoints_kept = 0;
  int64_t checkpoint_period = 0;
  std::string model;
  std::string data_set;
  std::string experiment;
  std::string label;
  int index = 0;  // position in the sweep; two entries may have one id
};
struct SubmitRequest {
  std::string request_id;  // random; empty: not remembered
  std::string body_hash;   // of everything the request says
  std::string sweep;
  int max_parallel = 0;
  SweepPolicy policy;
  // What every job of the sweep gets; a resubmission changes it for jobs that are still queued. Those that another
  // sweep wants, too, get no less than they have, and devices and priority from their home alone.
  int devices = 1;
  int per_worker = 0;
  int priority = 0;
  int64_t max_time_ms = 0;
  int64_t stall_ms = 0;
  FailureCounts retry_budget;
  std::vector<SubmitJob> jobs;
  std::string study_json;  // kept with the sweep as it is; the newest submission's replaces the one before
  bool dry_run = false;
  bool replace = false;  // a stored sweep of this name that has no experiment in common with it
};
// A set of which connected workers have copies that do not hold the same.
struct DifferingSet {
  std::string name;
  std::map<std::string, std::vector<std::string>> workers;  // names of workers by content
};
// A set that no connected worker has as stored jobs found it.
struct ChangedSet {
  std::string name;
  std::string content_then;
  std::string content_now;
  int jobs = 0;
};
struct SubmitResult {
  std::vector<bool> added;       // of each of the request's jobs; the second entry with one id was not added
  std::vector<bool> stored;      // of each of them: it was there before
  std::vector<JobState> states;  // of each of them, now
  std::vector<bool> resumed;     // of each of them: it was being cancelled, and goes on
  int added_count = 0;
  int removed_count = 0;
  // Of this moment, not remembered; core/availability.h.
  std::vector<std::string> missing_models, missing_sets;  // that no connected worker has, each once
  std::vector<DifferingSet> differing_sets;
  std::vector<ChangedSet> changed_sets;
};

struct JobDetails {
  Job job;
  std::string config_json;
  std::vector<Attempt> attempts;
  std::vector<Checkpoint> checkpoints;  // newest first
  std::vector<std::string> gang;        // names of its workers, the leader's first; empty unless there are several
};

// Of jobs that several workers have, by id: the names of the workers, the leader's first.
using Gangs = absl::flat_hash_map<std::string, std::vector<std::string>>;

// A page of a list with what each job was submitted with.
struct JobWithConfig {
  Job job;
  std::string config_json;
};

// Every job of a sweep, or the jobs named. Exactly one of the two.
struct JobSelection {
  std::string sweep;
  std::vector<std::string> jobs;
};
// A request that may be repeated after a lost answer (repeated.h).
struct RequestName {
  std::string id;         // random; empty: it is not remembered
  std::string body_hash;  // of who asks for what
};
struct CancelResult {
  int cancelled = 0;  // were queued
  int requested = 0;  // are live, and will be told to stop
  int kept = 0;       // go on for another sweep
};
struct DeleteResult {
  int deleted = 0;  // jobs; what they left on the disk: CheckpointCalls::Deleted
  int kept = 0;     // jobs that another sweep has
};
// Why a job is where it is.
struct Explanation {
  Job job;
  std::vector<std::string> reasons;  // sentences, the most important first
  std::vector<RungResult> rungs;     // of early stopping
  std::vector<std::string> gang;     // as of JobDetails
};
struct LogPage {
  std::vector<LogLine> lines;
  bool job_final = false;  // read before the lines: true and no lines means there will be no more
};

struct RegisterRequest {
  std::string worker_id;
  std::string name;
  std::string session;
  std::string address;
  std::string host;
  int devices = 0;
  std::string device_kind;
  std::string version;
  std::vector<Lease> held;
};

struct LeaseRequest {
  std::string worker_id;
  std::string session;
  uint64_t poll = 0;
  int devices_free = 0;
  int rendezvous_port = 0;
  std::vector<std::string> models;
  std::optional<std::vector<DataSet>> sets;  // none: the worker does not say
  int64_t wait_ms = 0;                       // how long its answer may wait
  std::vector<IncompleteCopy> incomplete_sets = {};
  std::optional<std::vector<std::string>> files = std::nullopt;  // beside the sets; none: as there
  std::vector<IncompleteCopy> incomplete_models = {};
};
struct Grant {
  Lease lease;
  std::string config_json;
  int devices = 0;
  std::optional<Checkpoint> resume_from;
  int64_t stall_ms = 0;
  std::string data_content;  // that the job's set must have; empty: any
  // Only for a job of several ranks.
  int first_rank = 0;
  int world_size = 1;
  std::string rendezvous;
  std::string token;  // of the attempt, a secret: members are told a name made of it
};

// What there is for workers to get.
struct WorkAhead {
  bool ready = false;                        // a job is queued that nothing holds
  absl::flat_hash_set<std::string> members;  // workers that were given a place in a gang and have not asked since
};

struct HeldJob {
  Lease lease;
  JobState phase = JobState::kLeased;  // LEASED, RUNNING or FINALIZING
};
struct HeartbeatRequest {
  std::string worker_id;
  std::string session;
  std::vector<HeldJob> held;
  int devices_free = 0;
  std::vector<GpuUse> gpus = {};
  bool leaving = false;  // the last of this daemon
};
struct HeartbeatResult {
  std::vector<Lease> stale;
  std::vector<Lease> cancel;
  std::vector<Lease> hand_back;
};

struct Event {
  uint64_t seq = 0;
  std::string record;  // one line of proto/pipe/events.h
  int64_t time_ms = 0;
};

struct FinishRequest {
  std::string worker_id;
  Lease lease;
  JobState outcome = JobState::kSucceeded;  // SUCCEEDED, FAILED or CANCELLED
  FailureClass failure_class = FailureClass::kNone;
  std::string message;
  uint64_t last_seq = 0;
  std::string undelivered = {};  // as worker.proto has it
};

struct CheckpointCommit {
  int64_t step = 0;
  std::string manifest_hash;
  std::vector<CheckpointFile> files;
  uint64_t events_seq = 0;
};

// Of the workers that are there.
struct FleetSize {
  int workers = 0;
  int devices = 0;
  int devices_free = 0;
};

// For gauges.
struct Stats {
  std::vector<std::pair<JobState, int64_t>> jobs;  // every state, in enum order
  int workers_connected = 0;
  int workers_disconnected = 0;
  int workers_gone = 0;
  int workers_stopped = 0;
  std::vector<Job> live;  // with progress: the jobs whose series are exported
};

}  // namespace sink
