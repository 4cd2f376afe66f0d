// What a sweep's file says beyond its jobs, as it was submitted or, for a sweep of an old database, as its labels tell.
// Any thread.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "coordinator/core/job_queries.h"
#include "sink/v1/client.pb.h"

namespace sink::web {

// NOT_FOUND: there is no such sweep.
absl::StatusOr<v1::GetStudyResponse> StudyOf(JobQueries* queries, const std::string& sweep);

}  // namespace sink::web
