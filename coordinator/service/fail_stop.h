// Remembers that the store has failed for good (DATA_LOSS from core), which must end the process: what was accepted can
// no longer be promised, and only reopening the file shows what it holds. Shared by everything that calls core; any
// thread.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "coordinator/errors/grpc_status.h"
#include "coordinator/job/mutex.h"

namespace sink {

class FailStop {
 public:
  void Report(const absl::Status& status) {
    if (!absl::IsDataLoss(status)) return;
    MutexLock lock(&mutex_);
    failure_.Update(status);
  }

  // The answer to a call that core refused with `status`.
  grpc::Status Answer(const absl::Status& status) {
    Report(status);
    return ToGrpc(status);
  }

  // The same for a worker, which keeps what it could not deliver and asks again: UNAVAILABLE, until the coordinator is
  // back. DATA_LOSS would say that the worker's own bytes can never be stored.
  grpc::Status AnswerWorker(const absl::Status& status) {
    Report(status);
    return ToGrpc(absl::IsDataLoss(status) ? absl::UnavailableError(status.message()) : status);
  }

  absl::Status failure() const {
    MutexLock lock(&mutex_);
    return failure_;
  }

 private:
  mutable Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sink
