// See study_of.h.
#include "coordinator/web/study_of.h"

#include <utility>
#include <vector>

#include "coordinator/job/status_macros.h"
#include "coordinator/service/study_document.h"

namespace sink::web {

absl::StatusOr<v1::GetStudyResponse> StudyOf(JobQueries* queries, const std::string& sweep) {
  SINK_ASSIGN_OR_RETURN(const std::string stored, queries->GetStudy(sweep));
  v1::GetStudyResponse study;
  if (stored.empty()) {
    std::vector<std::pair<Membership, std::string>> places;
    SINK_RETURN_IF_ERROR(queries
                             ->VisitSweep(sweep,
                                          [&places](const Job& job) {
                                            for (const Membership& place : job.sweeps)
                                              places.emplace_back(place, job.id);
                                          })
                             .status());
    StudyFromLabels(std::move(places), &study);
  } else {
    SINK_RETURN_IF_ERROR(DecodeStudy(stored, &study));
  }
  study.set_sweep(sweep);
  return study;
}

}  // namespace sink::web
