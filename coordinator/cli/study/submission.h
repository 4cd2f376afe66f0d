// Sends a sweep to the coordinator: once, however often the network makes it try; and shows what it says of the
// workers. Used by submit and plan.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/cli/base/command.h"
#include "coordinator/cli/print/printer.h"
#include "coordinator/cli/study/sweep_files.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

using SubmittedById = std::map<std::string, bool>;  // job id -> the coordinator has not seen it before

absl::StatusOr<v1::SubmitSweepResponse> Submit(Session& session, const SweepFiles& files, bool dry_run,
                                               bool replace = false);

// The options --set, --name and --priority.
void AddChanges(args::Command command, SweepChanges* changes);

// Says so where they change no job: an experiment sets or varies these keys itself.
void AddChangesNothing(const SweepFiles& files, Page* page);

// Says so of each experiment whose jobs repeat one another, as few draws of `random` from few values may: they are
// trained once. In the document "repeats" {experiment: how many of its jobs}.
void AddRepeats(const SweepFiles& files, Page* page);

// What the jobs will not find on the workers, or not as it was, told before anything runs: fields of the document
// ("missing_models", "missing_sets", "incomplete_models" and "incomplete_sets" [{name worker gap use}],
// "differing_sets", "changed_sets") and a block for each that has something to say. `workers` say why a model or set is
// missing; without them only that it is.
void AddAvailability(const v1::SubmitSweepResponse& response, const v1::ListWorkersResponse& workers, Page* page);
// That nobody could say: those fields are null. `why`: "no worker is connected".
void AddNotChecked(const std::string& why, Page* page);

}  // namespace sink::cli
