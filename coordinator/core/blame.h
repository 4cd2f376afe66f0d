// Whose fault it is that an attempt failed, and what follows for the worker: the job keeps out of where it failed, and
// a worker on which one job after the other fails is put into quarantine. How long and after how many is told in
// worker_health.h. Within a transaction; any thread.
//
// A worker that is lost with a job is blamed like one that reports a failure, since a machine that dies under its jobs
// reports nothing. Not so where its loss says nothing of its machine: it had said goodbye, or has not been heard since
// this process began. And where another worker fell silent when it did and still is, as in a cut of the network, the
// job goes elsewhere for a minute and nothing is counted. What is held against a worker that a person drains is
// forgotten when that person gives it jobs again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/attempt_rules.h"
#include "coordinator/core/core_context.h"
#include "coordinator/job/job.h"
#include "coordinator/store/job_store.h"

namespace sink {

// The workers as a transaction finds them: read once, and only where one of its jobs asks, since with a network whole
// fleets are lost at once.
class KnownWorkers {
 public:
  explicit KnownWorkers(store::Snapshot* rows) : rows_(*rows) {}
  absl::StatusOr<const std::vector<Worker>*> List();

 private:
  store::Snapshot& rows_;
  std::optional<std::vector<Worker>> workers_;
};

// Whose fault it is that an attempt of the job failed on that worker before a training step.
absl::StatusOr<Suspect> SuspectOf(CoreContext* context, KnownWorkers* workers, const Job& job,
                                  const std::string& worker_id, Now now);

// That an attempt failed on a worker for reasons of infrastructure.
struct Fault {
  std::string worker_id;
  std::string message;   // what people are told of it; of several lines the first
  int64_t delay_ms = 0;  // until the next attempt may start
  bool lost = false;     // the worker did not say so: it was lost with the job
};

// Lets the attempt that the job is in, or has just left, count against the worker. Nothing counts of a job that is
// being stopped, nor where the worker lacks what the job needs.
absl::Status BlameWorker(CoreContext* context, store::Transaction& rows, const Job& job, const Fault& fault, Now now);

}  // namespace sink
