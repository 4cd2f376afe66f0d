// What a submission's jobs will and will not find on the workers, told before anything runs: models, data sets and
// files of texts that nobody has, sets that differ between workers, and sets that have changed since stored jobs
// trained on them. Reads only; any thread.
#pragma once

#include "absl/status/status.h"
#include "coordinator/core/core_context.h"
#include "coordinator/core/job_queries.h"
#include "coordinator/core/requests.h"

namespace sink {

// Fills the lists of `result` that tell it. Jobs that have ended need nothing; nobody lacks anything while no worker is
// connected, and one that has not yet said what it has may have everything.
absl::Status TellAvailability(CoreContext* context, JobQueries* queries, const SubmitRequest& request, Now now,
                              SubmitResult* result);

}  // namespace sink
