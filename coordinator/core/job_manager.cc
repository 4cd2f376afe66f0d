// See job_manager.h.
#include "coordinator/core/job_manager.h"

#include <string>
#include <utility>
#include <vector>

#include "coordinator/job/status_macros.h"

namespace sink {

JobManager::JobManager(store::JobStore* store, CoreOptions options, JobEventListener* listener, uint64_t epoch, Now now)
    : context_(store, std::move(options), listener, epoch),
      queries_(&context_),
      clients_(&context_, &queries_),
      dispatcher_(&context_),
      checkpoints_(&context_),
      workers_(&context_),
      expiry_(&context_),
      retention_(&context_) {
  context_.clock().SinceLastTick(now.steady_ms);
}

absl::StatusOr<std::unique_ptr<JobManager>> JobManager::Start(store::JobStore* store, CoreOptions options,
                                                              JobEventListener* listener, Now now) {
  uint64_t epoch = 0;
  std::vector<std::string> quarantined;
  SINK_RETURN_IF_ERROR(store->Write([&](store::Transaction& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(epoch, rows.GetEpoch());
    SINK_RETURN_IF_ERROR(rows.SetEpoch(++epoch));
    // Retry delays are not measured across a restart.
    SINK_ASSIGN_OR_RETURN(const std::vector<std::string> delayed, rows.DelayedJobs());
    for (const std::string& id : delayed) {
      SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(id));
      job.delayed = false;
      SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
    }
    SINK_ASSIGN_OR_RETURN(const std::vector<Worker> workers, rows.ListWorkers());
    for (const Worker& worker : workers) {
      if (worker.hold == WorkerHold::kQuarantined) quarantined.push_back(worker.id);
    }
    return absl::OkStatus();
  }));
  std::unique_ptr<JobManager> manager(new JobManager(store, std::move(options), listener, epoch, now));
  for (const std::string& id : quarantined) manager->context_.health().Quarantined(id, now.steady_ms);
  return manager;
}

}  // namespace sink
