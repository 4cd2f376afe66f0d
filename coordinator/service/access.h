// What the services need to know of a caller beyond its role, and where they write down what it did. Owned by the
// server, as is what it points to; any thread.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "coordinator/core/audit_log.h"
#include "coordinator/core/job_queries.h"
#include "coordinator/core/principals.h"
#include "coordinator/core/quotas.h"
#include "coordinator/core/requests.h"
#include "coordinator/service/gatekeeper.h"

namespace sink {

// Who acts, and from where: host:port.
struct Actor {
  Caller caller;
  std::string from;
};

class Access {
 public:
  // `on_quota` is told of each submission that the quota refuses.
  Access(const Callers* callers, Principals* principals, AuditLog* audit, JobQueries* queries, const Quota& quota,
         std::function<void()> on_quota)
      : callers_(callers),
        principals_(principals),
        audit_(audit),
        queries_(queries),
        quota_(quota),
        on_quota_(std::move(on_quota)) {}

  const Callers& callers() const { return *callers_; }
  Principals& principals() const { return *principals_; }
  AuditLog& audit() const { return *audit_; }

  // PERMISSION_DENIED: the sweep is somebody else's; or the priority is an admin's to give. A new sweep becomes the
  // caller's. RESOURCE_EXHAUSTED: the caller, who is no admin, has too much in the queue.
  absl::Status MaySubmit(const Caller& caller, const SubmitRequest& request) const;
  // Cancel the sweep or the jobs, drop their checkpoints. A job belongs to the sweeps that want it, and where none does
  // any more to its home: all of them must be the caller's, for each would lose it.
  absl::Status MayChange(const Caller& caller, const JobSelection& selection) const;
  // Keep a checkpoint of the job for good: one of the sweeps to which it belongs must be the caller's.
  absl::Status MayPin(const Caller& caller, const std::string& job_id) const;
  // Queue the sweep's jobs, or the jobs, again, which count as those of a submission do. One of the sweeps to which a
  // job belongs must be the caller's.
  absl::Status MayRetry(const Caller& caller, const JobSelection& selection) const;
  // The sweep is somebody else's, or the priority an admin's to give.
  absl::Status MaySetPriority(const Caller& caller, const std::string& sweep, int priority) const;
  // Of any sweep that the job is in.
  absl::Status MayDownload(const Caller& caller, const std::string& job) const;

  // PERMISSION_DENIED, with a row of the audit log: the actor's role may not make this call
  // ("/sink.v1.SERVICE/METHOD"). The Gatekeeper asks that of calls over gRPC.
  absl::Status CheckRole(const Actor& actor, absl::string_view path) const;

  // A call that its handler refused, for how many there are: a row of the audit log a minute at most.
  void RecordRefusal(const Actor& actor, absl::string_view action, const absl::Status& refused) const;
  // A row of the audit log; a failure to write it is logged and changes nothing.
  void Record(const Actor& actor, absl::string_view action, std::string object, const absl::Status& outcome) const;
  void Record(const grpc::ServerContextBase& context, const Caller& caller, absl::string_view action,
              std::string object, const absl::Status& outcome) const;

 private:
  absl::StatusOr<std::vector<Sweep>> SweepsOf(const Caller& caller) const;
  // One of the caller's to which the job belongs. PERMISSION_DENIED: there is none.
  absl::StatusOr<std::string> OwnSweepOf(const Caller& caller, const Job& job) const;
  absl::Status Counted(absl::Status within_quota) const;

  const Callers* const callers_;
  Principals* const principals_;
  AuditLog* const audit_;
  JobQueries* const queries_;
  const Quota quota_;
  const std::function<void()> on_quota_;
};

// "ipv4:10.0.0.7:51234", as gRPC says it -> "10.0.0.7:51234".
std::string PeerAddress(const grpc::ServerContextBase& context);
// The certificate that the connection showed, in PEM.
absl::StatusOr<std::string> ShownCertificate(const grpc::ServerContextBase& context);

}  // namespace sink
