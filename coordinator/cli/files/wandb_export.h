// Offline runs for Weights & Biases, made by the official Python client in a process of its own. Main thread.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "coordinator/report/study.h"

namespace sink::cli {

// Writes the runs into a new folder `out` (upload them with `wandb sync`). `python`: a program or a path.
// FAILED_PRECONDITION when it cannot be started, has no wandb, or fails; INVALID_ARGUMENT when `out` cannot be written.
absl::Status ExportToWandb(const report::Study& study, const std::string& python, const std::string& out);

}  // namespace sink::cli
