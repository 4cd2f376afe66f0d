// Sends a sweep to the coordinator: once, however often the network makes it try. Used by submit and plan.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/cli/base/command.h"
#include "coordinator/cli/study/sweep_files.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

using SubmittedById = std::map<std::string, bool>;  // job id -> the coordinator has not seen it before

absl::StatusOr<v1::SubmitSweepResponse> Submit(Session& session, const SweepFiles& files, bool dry_run);

}  // namespace sink::cli
