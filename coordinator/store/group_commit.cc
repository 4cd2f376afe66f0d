// See group_commit.h.
#include "coordinator/store/group_commit.h"

#include <vector>

#include "coordinator/store/sqlite_transaction.h"

namespace sink::store {

void GroupCommit::Commit(const std::function<PendingWrite*()>& next) {
  std::vector<PendingWrite*> group;
  absl::Status group_status = failure_.ok() ? writer_->Begin() : failure_;
  while (PendingWrite* const write = next()) {
    group.push_back(write);
    if (group_status.ok()) write->status = group.size() == 1 ? RunFirst(*write) : RunInSavepoint(*write);
    // A full disk undoes the whole transaction, with the bodies before; after damage nothing may be committed.
    if (!writer_->InTransaction() || absl::IsDataLoss(write->status)) group_status.Update(write->status);
    if (!group_status.ok()) break;
  }
  if (group_status.ok()) group_status = writer_->Commit();
  if (writer_->InTransaction()) Query(*writer_, "ROLLBACK").Run().IgnoreError();
  if (!group_status.ok()) names_.Forget();
  if (absl::IsDataLoss(group_status)) failure_ = group_status;
  for (PendingWrite* const write : group) {
    if (write->status.ok()) write->status = group_status;
  }
}

absl::Status GroupCommit::RunFirst(const PendingWrite& write) {
  const absl::Status status = RunBody(write);
  if (status.ok() || !writer_->InTransaction()) return status;
  absl::Status undone = Query(*writer_, "ROLLBACK").Run();
  if (undone.ok()) undone = writer_->Begin();
  return undone.ok() ? status : undone;
}

absl::Status GroupCommit::RunInSavepoint(const PendingWrite& write) {
  absl::Status status = Query(*writer_, "SAVEPOINT body").Run();
  if (!status.ok()) return status;
  status = RunBody(write);
  if (!writer_->InTransaction()) return status;
  if (!status.ok()) {
    const absl::Status undone = Query(*writer_, "ROLLBACK TO body").Run();
    if (!undone.ok()) return undone;
  }
  const absl::Status released = Query(*writer_, "RELEASE body").Run();
  return status.ok() ? released : status;
}

absl::Status GroupCommit::RunBody(const PendingWrite& write) {
  SqliteTransaction transaction(*writer_, names_);
  const absl::Status status = (*write.body)(transaction);
  if (!status.ok()) names_.Forget();
  if (status.ok() && !writer_->InTransaction()) return absl::DataLossError("the transaction ended early");
  return status;
}

}  // namespace sink::store
