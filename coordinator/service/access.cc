// See access.h.
#include "coordinator/service/access.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/service/policy.h"

namespace sink {
namespace {

AuditEntry EntryOf(const Actor& actor, absl::string_view action, std::string object, const absl::Status& outcome) {
  return {.id = 0,
          .time_ms = absl::ToUnixMillis(absl::Now()),
          .who = actor.caller.name,
          .from = actor.from,
          .action = std::string(action),
          .object = std::move(object),
          .outcome = outcome.ok() ? "ok" : absl::StatusCodeToString(outcome.code())};
}

absl::Status MayGivePriority(const Caller& caller, int priority) {
  if (priority <= 0 || caller.role == Role::kAdmin) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("priority ", priority, ": only an admin may put a sweep before others; leave it at 0"));
}

}  // namespace

std::string PeerAddress(const grpc::ServerContextBase& context) {
  const std::string peer = context.peer();
  absl::string_view address = peer;
  if (!absl::ConsumePrefix(&address, "ipv4:")) absl::ConsumePrefix(&address, "ipv6:");
  return absl::StrReplaceAll(address, {{"%5B", "["}, {"%5D", "]"}});
}

absl::Status Access::MaySubmit(const Caller& caller, const SubmitRequest& request) const {
  SINK_RETURN_IF_ERROR(MayGivePriority(caller, request.priority));
  const absl::Status there = queries_->GetSweep(request.sweep).status();
  if (!there.ok() && !absl::IsNotFound(there)) return there;
  if (!request.dry_run) {
    SINK_RETURN_IF_ERROR(IsWithinQuota(caller, request));
    return principals_->Claim(caller, request.sweep, there.ok());
  }
  const bool is_new = !there.ok() && principals_->OwnerOf(request.sweep).empty();
  return is_new ? absl::OkStatus() : principals_->MayChange(caller, request.sweep);
}

absl::Status Access::IsWithinQuota(const Caller& caller, const SubmitRequest& request) const {
  if (caller.role == Role::kAdmin) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(std::vector<Sweep> own, queries_->ListSweeps());
  std::erase_if(own, [&](const Sweep& sweep) { return principals_->OwnerOf(sweep.name) != caller.name; });
  absl::Status status = CheckQuota(quota_, caller.name, own, request);
  if (!status.ok()) on_quota_();
  return status;
}

absl::Status Access::MayChange(const Caller& caller, const JobSelection& selection) const {
  if (caller.role == Role::kAdmin) return absl::OkStatus();
  if (!selection.sweep.empty()) return principals_->MayChange(caller, selection.sweep);
  for (const std::string& id : selection.jobs) {
    SINK_ASSIGN_OR_RETURN(const JobDetails details, queries_->GetJob(id));
    SINK_RETURN_IF_ERROR(principals_->MayChange(caller, details.job.home_sweep));
  }
  return absl::OkStatus();
}

absl::Status Access::MaySetPriority(const Caller& caller, const std::string& sweep, int priority) const {
  SINK_RETURN_IF_ERROR(MayChange(caller, {sweep, {}}));
  return MayGivePriority(caller, priority);
}

absl::Status Access::MayDownload(const Caller& caller, const std::string& job) const {
  if (caller.role == Role::kAdmin) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(const JobDetails details, queries_->GetJob(job));
  const std::vector<Membership>& places = details.job.sweeps;
  const bool own = std::any_of(places.begin(), places.end(), [&](const Membership& place) {
    return principals_->MayChange(caller, place.sweep).ok();
  });
  return own ? absl::OkStatus() : principals_->MayChange(caller, details.job.home_sweep);
}

absl::Status Access::CheckRole(const Actor& actor, absl::string_view path) const {
  if (MayCall(actor.caller.role, path)) return absl::OkStatus();
  const absl::Status refused = absl::PermissionDeniedError(absl::StrCat(
      actor.caller.name, ", whose role is ", std::string(NameOf(actor.caller.role)), ", may not call ", path));
  audit_->AddRefusal(EntryOf(actor, path, "", refused));
  return refused;
}

void Access::Record(const grpc::ServerContextBase& context, const Caller& caller, absl::string_view action,
                    std::string object, const absl::Status& outcome) const {
  Record({caller, PeerAddress(context)}, action, std::move(object), outcome);
}

void Access::Record(const Actor& actor, absl::string_view action, std::string object,
                    const absl::Status& outcome) const {
  const absl::Status recorded = audit_->Add(EntryOf(actor, action, std::move(object), outcome));
  if (!recorded.ok()) spdlog::error("the audit log cannot be written: {}", recorded.ToString());
}

}  // namespace sink
