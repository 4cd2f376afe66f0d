// See job_changes.h.
#include "coordinator/service/job_changes.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "coordinator/service/convert.h"

namespace sink {
namespace {

// The first of several, and how many more.
template <typename Names>
std::string First(const Names& names) {
  if (names.empty()) return "";
  return names.size() == 1 ? *names.begin() : absl::StrCat(*names.begin(), " and ", names.size() - 1, " more");
}

std::string Shown(const JobSelection& selection) {
  return selection.sweep.empty() ? First(selection.jobs) : selection.sweep;
}

}  // namespace

absl::StatusOr<v1::CancelResponse> JobChanges::Cancel(const Actor& actor, const v1::CancelRequest& request) {
  const JobSelection selection = FromProto(request);
  const absl::Status allowed = access_->MayChange(actor.caller, selection);
  const auto result =
      allowed.ok() ? clients_->Cancel(selection, now_(), RequestNameOf(request, actor.caller.name)) : allowed;
  access_->Record(actor, "Cancel", Shown(selection), result.status());
  if (!result.ok()) return result.status();
  v1::CancelResponse response;
  response.set_cancelled(result->cancelled);
  response.set_requested(result->requested);
  response.set_kept(result->kept);
  return response;
}

absl::StatusOr<v1::RetryResponse> JobChanges::Retry(const Actor& actor, const v1::RetryRequest& request) {
  const JobSelection selection = FromProto(request);
  absl::Status allowed = access_->MayRetry(actor.caller, selection);
  if (allowed.ok() && request.has_from_step())
    allowed = access_->MayChange(actor.caller, selection);  // drops checkpoints
  if (allowed.ok()) allowed = disk_->CheckRoom();
  const RequestName name = RequestNameOf(request, actor.caller.name);
  const auto ids = allowed.ok() ? clients_->Retry(selection, now_(), FromStep(request), name) : allowed;
  access_->Record(actor, "Retry", Shown(selection), ids.status());
  if (!ids.ok()) return ids.status();
  v1::RetryResponse response;
  for (const std::string& id : *ids) response.add_job_ids(id);
  return response;
}

absl::Status JobChanges::HoldWorkers(const Actor& actor, const v1::HoldWorkersRequest& request) {
  const WorkerHold hold = *ParseName<WorkerHold>(request.hold());
  const absl::Status held =
      clients_->HoldWorkers({request.names().begin(), request.names().end()}, hold, request.reason());
  access_->Record(actor, "HoldWorkers", absl::StrCat(request.hold(), " ", First(request.names())), held);
  return held;
}

absl::StatusOr<v1::SetPriorityResponse> JobChanges::SetPriority(const Actor& actor,
                                                                const v1::SetPriorityRequest& request) {
  const absl::Status allowed = access_->MaySetPriority(actor.caller, request.sweep(), request.priority());
  const auto changed = allowed.ok() ? clients_->SetPriority(request.sweep(), request.priority()) : allowed;
  access_->Record(actor, "SetPriority", absl::StrCat(request.sweep(), " ", request.priority()), changed.status());
  if (!changed.ok()) return changed.status();
  v1::SetPriorityResponse response;
  response.set_changed(*changed);
  return response;
}

}  // namespace sink
