// What the coordinator knows of jobs, sweeps and workers, as plain values. The leaf of the control plane: everything
// else includes it and it includes nothing of ours but the state table. Times named `_ms` are Unix milliseconds, shown
// to people and never compared; decisions use the steady clock that core is given. Values only; any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coordinator/job/checkpoint.h"
#include "coordinator/job/data_set.h"
#include "coordinator/job/gpu_use.h"
#include "coordinator/job/job_state.h"
#include "coordinator/job/latest_values.h"
#include "coordinator/job/sweep.h"
#include "coordinator/job/worker_state.h"

namespace sink {

// Why an attempt failed. Values equal those of proto/sink/v1/job.proto and are stored.
enum class FailureClass { kNone = 0, kInfra = 1, kOutOfMemory = 2, kNan = 3, kUser = 4 };

// One number for each class of failure: how many retries are allowed, or how many were used in this generation.
struct FailureCounts {
  int infra = 0;
  int out_of_memory = 0;
  int nan = 0;
  int user = 0;

  int& of(FailureClass failure_class) {
    switch (failure_class) {
      case FailureClass::kOutOfMemory:
        return out_of_memory;
      case FailureClass::kNan:
        return nan;
      case FailureClass::kUser:
        return user;
      case FailureClass::kNone:
      case FailureClass::kInfra:
        break;
    }
    return infra;
  }
  bool operator==(const FailureCounts&) const = default;
};

struct Progress {
  int64_t step = 0;
  int64_t max_steps = 0;
  int64_t tokens = 0;
  double tokens_per_second = 0;
  LatestValues latest;  // metric name -> newest value
  int64_t numbers = 0;  // points and cells of heat maps that were kept of all attempts (core/event_effects.h)
};

// A job's place in a sweep. One job may belong to several sweeps and experiments.
struct Membership {
  std::string sweep;
  std::string experiment;
  std::string label;
  int index = 0;           // position in the sweep's expansion order
  bool withdrawn = false;  // the sweep was cancelled: it does not want the job any more

  bool operator==(const Membership&) const = default;
};

// The authority to act on one attempt of a job, as a worker presents it.
struct Lease {
  std::string job_id;
  int attempt = 0;
  uint64_t fence = 0;  // coordinator epoch << 32 | counter; strictly increasing
  std::string id;      // 128 random bits, hex

  bool operator==(const Lease&) const = default;
};

// Who holds a live job. Empty strings and zeros in a job that is not live.
struct Holder {
  uint64_t fence = 0;
  std::string lease_id;
  std::string worker_id;
  std::string session;  // of the worker daemon
  uint64_t poll = 0;    // the question of that session that this grant answers

  // Of a lease that a daemon has taken over from the one before: its own questions are others.
  static constexpr uint64_t kNoQuestion = std::numeric_limits<int64_t>::max();
  void PassTo(const std::string& new_session) {
    if (session == new_session) return;
    session = new_session;
    poll = kNoQuestion;
  }
};

// One row of the jobs table: everything but the resolved configuration, which listings do not read.
struct Job {
  std::string id;          // 32 hex digits: hash of the resolved configuration
  std::string home_sweep;  // whose limits and holds are its own: the sweep that first submitted it, while it wants it
  int generation = 1;      // plus one for each `retry` by a person
  JobState state = JobState::kQueued;
  JobState phase = JobState::kQueued;  // LEASED, RUNNING or FINALIZING: where DISCONNECTED returns to
  int attempt = 0;                     // 0 before the first lease; grows over generations
  std::string worker;                  // name of the worker that holds or last held it
  Holder holder;
  FailureClass failure_class = FailureClass::kNone;
  std::string message;  // why it failed, or why it waits
  Progress progress;
  uint64_t event_cursor = 0;  // highest event sequence number stored of this attempt
  int64_t start_step = 0;     // step at which this attempt began
  int restarts_without_progress = 0;
  FailureCounts retry_budget;
  FailureCounts failures;
  int devices = 1;
  int per_worker = 0;             // devices come in groups of so many, each on one worker; 0: all on one
  int priority = 0;               // larger first
  std::string model;              // the open model that it measures; empty: it trains its own
  std::string data_set;           // the packed set that it trains on, or its file of texts; empty: none, or unknown
  std::string data_content;       // what that held when the newest attempt began; a resume needs the same. Empty: any
  int64_t max_time_ms = 0;        // of one attempt; 0: no limit
  int64_t stall_ms = 0;           // a trainer without a step for so long has failed; 0: the worker's own limit
  int checkpoints_kept = 0;       // the newest; 0: as many as the coordinator keeps by itself
  int64_t checkpoint_period = 0;  // checkpoints of its multiples are kept for good; 0: none
  bool delayed = false;           // QUEUED, but waiting for its retry delay to pass
  bool cancel_requested = false;
  bool timed_out = false;    // cancel_requested came from max_time
  std::string stop_message;  // cancel_requested came from early stopping: why
  std::string rendezvous;    // host:port where the ranks of this attempt meet; of several devices only
  int64_t created_ms = 0;
  int64_t queued_ms = 0;    // since when it could have been leased
  int64_t started_ms = 0;   // first lease of this generation; 0 before
  int64_t finished_ms = 0;  // 0 while live
  std::vector<Membership> sweeps;

  Lease lease() const { return {.job_id = id, .attempt = attempt, .fence = holder.fence, .id = holder.lease_id}; }
  int group() const { return per_worker > 0 ? per_worker : devices; }
};

enum class AttemptState { kRunning = 1, kSucceeded = 2, kFailed = 3, kLost = 4, kCancelled = 5 };
template <>
struct EnumNames<AttemptState> {
  using enum AttemptState;
  static constexpr EnumName<AttemptState> kTable[] = {{kRunning, "running"},
                                                      {kSucceeded, "succeeded"},
                                                      {kFailed, "failed"},
                                                      {kLost, "lost"},
                                                      {kCancelled, "cancelled"}};
};

struct Attempt {
  std::string job_id;
  int attempt = 0;
  int generation = 1;
  uint64_t fence = 0;
  std::string lease_id;
  std::string worker_id;
  std::string worker;  // name
  AttemptState state = AttemptState::kRunning;
  JobState job_state = JobState::kLeased;  // of the job right after the attempt ended: the answer to a repeated Finish
  FailureClass failure_class = FailureClass::kNone;
  std::string message;
  int64_t started_ms = 0;
  int64_t finished_ms = 0;
};

struct Worker {
  std::string id;
  std::string name;
  std::string address;  // peer address as the coordinator sees it
  std::string host;     // at which other workers reach it
  std::string session;
  int devices = 0;
  std::string device_kind;
  std::string version;
  int64_t last_seen_ms = 0;
  WorkerHold hold = WorkerHold::kNone;
  std::string hold_reason = {};
  // Known to the running coordinator, not stored.
  WorkerState state = WorkerState::kGone;
  int devices_free = 0;
  std::vector<std::string> job_ids = {};
  std::vector<std::string> models = {};  // open models, as LeaseRequest of worker.proto lists them
  std::vector<DataSet> sets = {};
  std::vector<IncompleteCopy> incomplete_sets = {};
  std::vector<IncompleteCopy> incomplete_models = {};
  std::vector<GpuUse> gpus = {};  // one a device, or none
};

struct MetricPoint {
  int64_t id = 0;  // grows; a point replaced by a later attempt keeps its id
  std::string name;
  int64_t step = 0;
  double value = 0;
  int attempt = 0;
};

struct Heatmap {
  std::string name;
  int64_t step = 0;
  int attempt = 0;
  int layers = 0;
  int heads = 0;
  std::vector<double> values = {};  // row-major [layers, heads]
};

struct LogLine {
  int64_t cursor = 0;  // grows
  int64_t time_ms = 0;
  int attempt = 0;
  std::string level;
  std::string text;
  int64_t missing = 0;  // when it is read: how many just before it are no longer kept
};

}  // namespace sink
