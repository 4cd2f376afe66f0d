// What callers change of jobs and workers, whichever way they came: by an RPC or on the page. Each change asks whether
// the jobs are the caller's, does it, and leaves a row in the audit log. That the role may make the call at all, and
// the form of the request, are looked at before. Owned by the server, as is what it points to; any thread.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/client_calls.h"
#include "coordinator/service/access.h"
#include "coordinator/service/disk_watch.h"
#include "coordinator/service/service_time.h"
#include "sink/v1/client.pb.h"

namespace sink {

class JobChanges {
 public:
  JobChanges(const Access* access, ClientCalls* clients, const DiskWatch* disk, NowFn now)
      : access_(access), clients_(clients), disk_(disk), now_(std::move(now)) {}

  absl::StatusOr<v1::CancelResponse> Cancel(const Actor& actor, const v1::CancelRequest& request);
  // RESOURCE_EXHAUSTED while the disk is full, as for a sweep that is submitted.
  absl::StatusOr<v1::RetryResponse> Retry(const Actor& actor, const v1::RetryRequest& request);
  absl::Status HoldWorkers(const Actor& actor, const v1::HoldWorkersRequest& request);
  absl::StatusOr<v1::SetPriorityResponse> SetPriority(const Actor& actor, const v1::SetPriorityRequest& request);

 private:
  const Access* const access_;
  ClientCalls* const clients_;
  const DiskWatch* const disk_;
  const NowFn now_;
};

}  // namespace sink
