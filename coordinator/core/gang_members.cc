// See gang_members.h.
#include "coordinator/core/gang_members.h"

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"

namespace sink {

absl::Status DeliverMembers(store::Transaction& rows, const LeaseRequest& request, std::vector<GangMember>* members) {
  for (GangMember& member : *members) {
    Holder& holder = member.holder;
    if (holder.session != request.session || holder.poll != 0) continue;
    holder.poll = request.poll;
    SINK_RETURN_IF_ERROR(rows.PutMember(member));
  }
  return absl::OkStatus();
}

absl::Status FinishMember(store::Transaction& rows, GangMember member, const FinishRequest& request,
                          const std::string& message) {
  if (member.ended) return absl::OkStatus();  // a repetition
  member.ended = true;
  if (request.outcome == JobState::kFailed) {
    member.failure_class = request.failure_class == FailureClass::kNone ? FailureClass::kInfra : request.failure_class;
    member.message = message;
  }
  return rows.PutMember(member);
}

absl::Status BlameMember(store::Snapshot& rows, const std::string& job_id, FailureClass* failure_class,
                         std::string* message) {
  if (*failure_class != FailureClass::kInfra) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.MembersOf(job_id));
  for (const GangMember& member : members) {
    if (member.failure_class == FailureClass::kNone) continue;
    const std::string said = absl::StrCat("on worker ", member.worker, ": ", member.message);
    if (member.failure_class != FailureClass::kInfra) {  // a cause of its own
      *failure_class = member.failure_class;
      *message = said;
      break;
    }
    absl::StrAppend(message, "; ", said);
  }
  return absl::OkStatus();
}

}  // namespace sink
