// See quarantine.h.
#include "coordinator/core/quarantine.h"

#include "coordinator/job/status_macros.h"

namespace sink {

absl::StatusOr<bool> LiftQuarantine(store::Transaction& rows, const std::string& worker_id) {
  const absl::StatusOr<Worker> worker = rows.GetWorker(worker_id);
  if (absl::IsNotFound(worker.status())) return false;
  SINK_RETURN_IF_ERROR(worker.status());
  if (worker->hold != WorkerHold::kQuarantined) return false;
  SINK_RETURN_IF_ERROR(rows.HoldWorker(worker_id, WorkerHold::kNone, ""));
  return true;
}

}  // namespace sink
