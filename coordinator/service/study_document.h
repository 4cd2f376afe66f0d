// What a sweep's file says beyond its jobs, and a report must know: the experiments with the published values beside
// them, their points, and which jobs are the replicas of one point. Kept with the sweep as one JSON document. Pure; any
// thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/job/job.h"
#include "sink/v1/client.pb.h"
#include "sweeps/expand.h"

namespace sink {

// The document: {"experiments": [{"name", "arithmetic", "paper": {...}, "points": [{"label", "jobs": [id, ...]}]}]}.
std::string EncodeStudy(const ExpandedSweep& sweep);

// Fills `response` from such a document. DATA_LOSS when it is not one.
absl::Status DecodeStudy(const std::string& document, v1::GetStudyResponse* response);

// For a sweep that was stored without a document: its places grouped by experiment and label, in order of their index.
void StudyFromLabels(std::vector<std::pair<Membership, std::string>> places, v1::GetStudyResponse* response);

// The label of a point: a job's without its last word where that is "replica=N"; "default" where nothing is left.
std::string PointLabel(const std::string& job_label);

}  // namespace sink
