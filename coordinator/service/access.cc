// See access.h.
#include "coordinator/service/access.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

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

// Retry queues jobs of these states.
bool MayRunAgain(JobState state) { return state == JobState::kFailed || state == JobState::kCancelled; }

// Whose a job is: the sweeps that want it, or, where none does any more, its home.
std::vector<std::string> SweepsOfJob(const Job& job) {
  std::vector<std::string> names;
  for (const Membership& place : job.sweeps)
    if (!place.withdrawn) names.push_back(place.sweep);
  if (names.empty()) names.push_back(job.home_sweep);
  return names;
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

absl::StatusOr<std::string> ShownCertificate(const grpc::ServerContextBase& context) {
  const auto shown = context.auth_context()->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (shown.size() != 1) return absl::UnauthenticatedError("the connection shows no certificate");
  return std::string(shown[0].data(), shown[0].size());
}

absl::Status Access::MaySubmit(const Caller& caller, const SubmitRequest& request) const {
  SINK_RETURN_IF_ERROR(MayGivePriority(caller, request.priority));
  const absl::Status there = queries_->GetSweep(request.sweep).status();
  if (!there.ok() && !absl::IsNotFound(there)) return there;
  if (!request.dry_run) {
    if (caller.role != Role::kAdmin) {
      SINK_ASSIGN_OR_RETURN(const std::vector<Sweep> own, SweepsOf(caller));
      SINK_RETURN_IF_ERROR(Counted(CheckQuota(quota_, caller.name, own, request)));
    }
    return principals_->Claim(caller, request.sweep, there.ok());
  }
  const bool is_new = !there.ok() && principals_->OwnerOf(request.sweep).empty();
  return is_new ? absl::OkStatus() : principals_->MayChange(caller, request.sweep);
}

absl::StatusOr<std::vector<Sweep>> Access::SweepsOf(const Caller& caller) const {
  SINK_ASSIGN_OR_RETURN(std::vector<Sweep> own, queries_->ListSweeps());
  std::erase_if(own, [&](const Sweep& sweep) { return principals_->OwnerOf(sweep.name) != caller.name; });
  return own;
}

absl::Status Access::Counted(absl::Status within_quota) const {
  if (!within_quota.ok()) on_quota_();
  return within_quota;
}

absl::Status Access::MayChange(const Caller& caller, const JobSelection& selection) const {
  if (caller.role == Role::kAdmin) return absl::OkStatus();
  if (!selection.sweep.empty()) return principals_->MayChange(caller, selection.sweep);
  for (const std::string& id : selection.jobs) {
    SINK_ASSIGN_OR_RETURN(const JobDetails details, queries_->GetJob(id));
    for (const std::string& sweep : SweepsOfJob(details.job)) {
      if (const absl::Status allowed = principals_->MayChange(caller, sweep); !allowed.ok())
        return absl::Status(allowed.code(), absl::StrCat("job ", id, ": ", allowed.message()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Access::OwnSweepOf(const Caller& caller, const Job& job) const {
  absl::Status refused;
  for (const std::string& sweep : SweepsOfJob(job)) {
    refused = principals_->MayChange(caller, sweep);
    if (refused.ok()) return sweep;
  }
  return refused;
}

absl::Status Access::MayPin(const Caller& caller, const std::string& job_id) const {
  if (caller.role == Role::kAdmin) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(const JobDetails details, queries_->GetJob(job_id));
  return OwnSweepOf(caller, details.job).status();
}

absl::Status Access::MayRetry(const Caller& caller, const JobSelection& selection) const {
  if (caller.role == Role::kAdmin) return absl::OkStatus();
  if (!selection.sweep.empty()) SINK_RETURN_IF_ERROR(principals_->MayChange(caller, selection.sweep));
  SINK_ASSIGN_OR_RETURN(const std::vector<Sweep> own, SweepsOf(caller));
  std::map<std::string, int64_t> retried;  // a few too many: what early stopping stopped stays as it is
  for (const Sweep& sweep : own) {
    if (sweep.name != selection.sweep) continue;
    for (const auto& [state, count] : sweep.jobs_by_state) retried[sweep.name] += MayRunAgain(state) ? count : 0;
  }
  for (const std::string& id : selection.jobs) {
    SINK_ASSIGN_OR_RETURN(const JobDetails details, queries_->GetJob(id));
    SINK_ASSIGN_OR_RETURN(const std::string sweep, OwnSweepOf(caller, details.job));
    retried[sweep] += MayRunAgain(details.job.state) ? 1 : 0;
  }
  return Counted(CheckRetryQuota(quota_, caller.name, own, retried));
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
  RecordRefusal(actor, path, refused);
  return refused;
}

void Access::RecordRefusal(const Actor& actor, absl::string_view action, const absl::Status& refused) const {
  audit_->AddRefusal(EntryOf(actor, action, "", refused));
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
