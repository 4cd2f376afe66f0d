// See upload_plan.h.
#include "worker/protocol/upload_plan.h"

namespace sink::worker {

UploadPlan::Step UploadPlan::next() const {
  if (done_) return {Step::Kind::kDone};
  if (!begun_) return {Step::Kind::kBegin};
  for (size_t file = 0; file < sizes_.size(); ++file) {
    if (there_[file] < sizes_[file]) return {Step::Kind::kWrite, file, there_[file]};
  }
  return {Step::Kind::kCommit};
}

void UploadPlan::Begun(std::vector<uint64_t> there) {
  there_ = std::move(there);
  there_.resize(sizes_.size());  // an answer that says less than was asked
  begun_ = true;
}

absl::Status UploadPlan::Answered(const absl::Status& status) {
  if (!status.ok()) {
    const bool wrong_offset = next().kind == Step::Kind::kWrite && absl::IsOutOfRange(status);
    begun_ = false;
    return wrong_offset ? absl::UnavailableError(status.message()) : status;
  }
  const Step step = next();
  if (step.kind == Step::Kind::kWrite) there_[step.file] = sizes_[step.file];
  if (step.kind == Step::Kind::kCommit) done_ = true;
  return absl::OkStatus();
}

}  // namespace sink::worker
