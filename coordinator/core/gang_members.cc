// See gang_members.h.
#include "coordinator/core/gang_members.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/core/clean_text.h"
#include "coordinator/job/status_macros.h"
#include "proto/pipe/other_rank.h"

namespace sink {
namespace {

// Of the leader and all members: of a large gang each may say much.
constexpr size_t kMaxCauseBytes = 8 * kMaxTextBytes;

}  // namespace

absl::Status DeliverMembers(store::Transaction& rows, const LeaseRequest& request, std::vector<GangMember>* members) {
  for (GangMember& member : *members) {
    Holder& holder = member.holder;
    if (holder.session != request.session || holder.poll != 0) continue;
    holder.poll = request.poll;
    SINK_RETURN_IF_ERROR(rows.PutMember(member));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> FinishMember(store::Transaction& rows, GangMember member, const FinishRequest& request,
                                  const std::string& message) {
  if (member.ended) return false;  // a repetition
  member.ended = true;
  bool first = false;
  if (request.outcome == JobState::kFailed) {
    SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.MembersOf(member.job_id));
    first = !AnyFailed(members) && !pipe::IsOfAnotherRank(message);
    member.failure_class = request.failure_class == FailureClass::kNone ? FailureClass::kInfra : request.failure_class;
    member.message = message;
  }
  SINK_RETURN_IF_ERROR(rows.PutMember(member));
  return first && member.failure_class == FailureClass::kInfra;
}

bool AnyFailed(const std::vector<GangMember>& members) {
  return std::any_of(members.begin(), members.end(), [](const GangMember& member) {
    return member.failure_class != FailureClass::kNone && !pipe::IsOfAnotherRank(member.message);
  });
}

void BlameMember(const std::vector<GangMember>& members, FailureClass* failure_class, std::string* message) {
  if (*failure_class != FailureClass::kInfra) return;
  const bool is_known = AnyFailed(members);
  for (const GangMember& member : members) {
    if (member.failure_class == FailureClass::kNone) continue;
    // Where one says why it failed, what the others saw of that explains nothing.
    if (is_known && pipe::IsOfAnotherRank(member.message)) continue;
    const std::string said = absl::StrCat("on worker ", member.worker, ": ", member.message);
    if (member.failure_class != FailureClass::kInfra) {  // a cause of its own
      *failure_class = member.failure_class;
      *message = said;
      break;
    }
    absl::StrAppend(message, "; ", said);
  }
  *message = CleanText(*message, kMaxCauseBytes);
}

}  // namespace sink
