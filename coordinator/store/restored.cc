// See restored.h.
#include "coordinator/store/restored.h"

#include <algorithm>

#include "coordinator/job/status_macros.h"

namespace sink::store {

uint64_t RestoredEpoch(uint64_t stored, uint64_t replaced, int64_t unix_seconds) {
  constexpr int64_t k2020 = 1'577'836'800;
  const auto seconds = static_cast<uint64_t>(std::clamp<int64_t>(unix_seconds - k2020, 0, int64_t{kMostRestoredEpoch}));
  return std::max({stored + 1, replaced + 1, seconds});
}

absl::Status PrepareRestored(Transaction& rows, uint64_t replaced, int64_t unix_seconds) {
  SINK_ASSIGN_OR_RETURN(const uint64_t stored, rows.GetEpoch());
  SINK_RETURN_IF_ERROR(rows.SetEpoch(RestoredEpoch(stored, replaced, unix_seconds)));
  SINK_ASSIGN_OR_RETURN(const std::vector<Worker> workers, rows.ListWorkers());
  for (const Worker& worker : workers) SINK_RETURN_IF_ERROR(rows.RetireWorker(worker.id));
  return absl::OkStatus();
}

}  // namespace sink::store
