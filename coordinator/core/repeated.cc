// See repeated.h.
#include "coordinator/core/repeated.h"

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"

namespace sink {

RequestName PartOf(const RequestName& request, int n) {
  if (request.id.empty()) return {};
  return {absl::StrCat(request.id, "/", n), request.body_hash};
}

absl::StatusOr<std::optional<std::string>> FirstAnswer(store::Snapshot& rows, const RequestName& request) {
  if (request.id.empty()) return std::nullopt;
  SINK_ASSIGN_OR_RETURN(const std::optional<store::RequestRecord> before, rows.FindRequest(request.id));
  if (!before) return std::nullopt;
  if (before->body_hash != request.body_hash)
    return absl::AlreadyExistsError("this request_id was used for another request: use a new one");
  return before->response;
}

absl::Status RememberAnswer(store::Transaction& rows, const RequestName& request, const std::string& answer) {
  if (request.id.empty()) return absl::OkStatus();
  return rows.PutRequest({request.id, request.body_hash, answer});
}

}  // namespace sink
