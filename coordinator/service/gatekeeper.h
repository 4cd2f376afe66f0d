// Looks at every call before its handler does: whose certificate the connection showed, and the secret that a program
// shows with each call; whether they still count, whether that role may make this call, and whether it makes too many
// of them. What was decided for one call is decided again for the next, so that a revocation reaches connections that
// are open. Owned by the server; any thread.
#pragma once

#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/server_context.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "coordinator/core/audit_log.h"
#include "coordinator/core/connection_owners.h"
#include "coordinator/core/principals.h"
#include "coordinator/core/rates.h"
#include "coordinator/job/principal.h"
#include "coordinator/service/service_time.h"

namespace sink {

// Who makes a call; the services ask it, and tests answer in its place.
class Callers {
 public:
  virtual ~Callers() = default;
  // UNAUTHENTICATED: nobody who counts, now.
  virtual absl::StatusOr<Caller> Of(const grpc::ServerContextBase& context) const = 0;
};

class Gatekeeper final : public Callers {
 public:
  enum class Refusal {
    kUnknown,      // the certificate does not count
    kRole,         // its role may not make this call
    kRate,         // it makes too many: core/rates.h
    kQuota,        // it has too much in the queue: access.h
    kConnections,  // it has too many: core/connection_owners.h
  };
  static constexpr size_t kRefusals = 5;

  using OnRefusal = std::function<void(Refusal)>;

  // What it is given outlives the gatekeeper, which outlives the server that uses the processor. `owners` is told whose
  // a connection is. `on_refusal` is told of each call that is refused for who made it, on the threads of gRPC. By
  // `now` calls are counted.
  Gatekeeper(const Principals* principals, AuditLog* audit, Rates* rates, ConnectionOwners* owners,
             OnRefusal on_refusal, NowFn now = SystemNow)
      : principals_(principals),
        audit_(audit),
        rates_(rates),
        owners_(owners),
        on_refusal_(std::move(on_refusal)),
        now_(std::move(now)) {}

  // RESOURCE_EXHAUSTED: it has too many connections open.
  absl::StatusOr<Caller> Of(const grpc::ServerContextBase& context) const override;
  // For the server's credentials.
  std::shared_ptr<grpc::AuthMetadataProcessor> MakeProcessor();

 private:
  class Processor;
  absl::StatusOr<Caller> Find(const grpc::AuthContext& context, absl::string_view secret_hash) const;
  absl::Status Check(const grpc::AuthContext& context, absl::string_view secret_hash, absl::string_view path) const;
  // RESOURCE_EXHAUSTED: the caller makes too many calls, or too many that are as expensive.
  absl::Status TakeRates(const Caller& caller, absl::string_view path) const;

  const Principals* const principals_;
  AuditLog* const audit_;
  Rates* const rates_;
  ConnectionOwners* const owners_;
  const OnRefusal on_refusal_;
  const NowFn now_;
};

}  // namespace sink
