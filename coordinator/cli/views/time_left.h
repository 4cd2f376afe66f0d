// When a sweep will be over, as sinkctl tells it; how that is judged is in coordinator/job/time_left.h. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "coordinator/job/time_left.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

std::optional<TimeLeft> EstimateTimeLeft(const v1::GetSweepResponse& status, int64_t now_ms);

// "ETA 12m", "ETA 9m to 14m" where the bounds lie a fifth or more apart.
std::string FormatTimeLeft(const TimeLeft& left);

}  // namespace sink::cli
