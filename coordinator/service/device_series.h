// The devices of connected workers as Prometheus sees them, and how much of them a job uses. The number of series is
// bounded, whatever workers say. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/job/job.h"
#include "coordinator/service/families.h"

namespace sink {

inline constexpr size_t kMaxKindsShown = 16;  // the devices of further kinds are of kind "other"
inline constexpr size_t kMaxGpusShown = 2048;

// sink_devices{kind,state}; of each GPU sink_gpu_memory_bytes{worker,gpu,state} and sink_gpu_busy_ratio{worker,gpu}.
void AddDevices(const std::vector<Worker>& workers, Families* families);

// A kind as a label's value: printable ASCII of at most 64 bytes, or "other".
std::string KindLabel(std::string_view kind);

// Dense bf16 FLOP/s of a device by its data sheet; 0 where it is not known.
double PeakFlops(std::string_view kind);

}  // namespace sink
