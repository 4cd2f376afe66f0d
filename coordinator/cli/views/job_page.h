// All that is known of one job, as sinkctl job shows it. Pure; any thread may call it.
#pragma once

#include "coordinator/cli/print/printer.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

// {"job", "attempts", "checkpoints", "config", "warnings"}, as fields and two tables; `with_config`: the settings as
// fields, too. How fast the job is, and when it ends, is null and not shown while the coordinator's disk is full.
Page JobPage(const v1::GetJobResponse& details, bool with_config);

}  // namespace sink::cli
