// See answer.h.
#include "worker/protocol/answer.h"

#include "coordinator/errors/error_detail.h"

namespace sink::worker {

bool IsUnregistered(const absl::Status& status) { return absl::IsNotFound(status) || absl::IsUnauthenticated(status); }

bool IsCredentialRefused(const absl::Status& status) {
  return absl::IsUnauthenticated(status) || absl::IsPermissionDenied(status);
}

bool MustRegister(const absl::Status& status) { return IsUnregistered(status) || absl::IsFailedPrecondition(status); }

Answer JudgeAnswer(const absl::Status& status) {
  if (status.ok()) return Answer::kDone;
  if (absl::IsInvalidArgument(status) || absl::IsOutOfRange(status) || absl::IsDataLoss(status) ||
      absl::IsUnimplemented(status)) {
    return Answer::kRefused;
  }
  if (IsStaleLease(status)) return Answer::kStale;
  return IsUnregistered(status) ? Answer::kUnregistered : Answer::kAgain;
}

}  // namespace sink::worker
