// The rules of the coordinator: what may happen to a job, and when. No gRPC, no SQL, no clock, no randomness: the
// service passes them in. This is where they are put together; the calls are in one class for each kind of caller:
//
//   clients()     what people may change           client_calls.h
//   queries()     what people may look at          job_queries.h
//   dispatcher()  a worker's question for work     dispatcher.h
//   checkpoints() checkpoints that cannot be used  checkpoint_calls.h
//   workers()     what workers may do              worker_calls.h
//   expiry()      what the passing of time does    lease_expiry.h
//   retention()   what becomes of old points       retention.h
//
// The store holds all truth; what must not outlive the process is in core_context.h, on the steady clock, so that a
// restart gives every live lease a fresh full duration. Any thread may call any method.
//
// Errors of every method, besides its own: RESOURCE_EXHAUSTED the disk is full; UNAVAILABLE the store is closing;
// DATA_LOSS the store has failed and the process must end.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "coordinator/core/checkpoint_calls.h"
#include "coordinator/core/client_calls.h"
#include "coordinator/core/core_context.h"
#include "coordinator/core/dispatcher.h"
#include "coordinator/core/job_queries.h"
#include "coordinator/core/lease_expiry.h"
#include "coordinator/core/retention.h"
#include "coordinator/core/worker_calls.h"

namespace sink {

class JobManager {
 public:
  // Starts a new epoch, durable before it returns: no fence of an earlier coordinator can equal a later one. `store`
  // and `listener` (may be null) outlive the manager; one manager a store at a time.
  static absl::StatusOr<std::unique_ptr<JobManager>> Start(store::JobStore* store, CoreOptions options,
                                                           JobEventListener* listener, Now now);

  ClientCalls& clients() { return clients_; }
  JobQueries& queries() { return queries_; }
  Dispatcher& dispatcher() { return dispatcher_; }
  CheckpointCalls& checkpoints() { return checkpoints_; }
  WorkerCalls& workers() { return workers_; }
  LeaseExpiry& expiry() { return expiry_; }
  Retention& retention() { return retention_; }

 private:
  JobManager(store::JobStore* store, CoreOptions options, JobEventListener* listener, uint64_t epoch, Now now);

  CoreContext context_;
  JobQueries queries_;
  ClientCalls clients_;
  Dispatcher dispatcher_;
  CheckpointCalls checkpoints_;
  WorkerCalls workers_;
  LeaseExpiry expiry_;
  Retention retention_;
};

}  // namespace sink
