// See job_names.h.
#include "coordinator/core/job_names.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

constexpr size_t kJobIdLength = 32;
constexpr size_t kMinPrefixLength = 4;

}  // namespace

absl::StatusOr<std::string> ResolveJob(store::Snapshot& rows, std::string_view name) {
  const bool hex =
      std::all_of(name.begin(), name.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (!hex || name.size() < kMinPrefixLength || name.size() > kJobIdLength) {
    return absl::InvalidArgumentError("a job is named by its id or by at least the first four of its hex digits");
  }
  SINK_ASSIGN_OR_RETURN(const std::vector<std::string> ids, rows.FindJobs(std::string(name)));
  if (ids.empty()) return absl::NotFoundError(absl::StrCat("no job ", std::string(name)));
  if (ids.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("several jobs begin with ", std::string(name), ": give more digits"));
  }
  return ids.front();
}

}  // namespace sink
