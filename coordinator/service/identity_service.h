// IdentityService (proto/sink/v1/identity.proto): issues and revokes certificates. gRPC calls the handlers from many
// threads. Owned by the server; what it points to outlives it.
#pragma once

#include <string>
#include <utility>

#include "coordinator/core/rates.h"
#include "coordinator/core/worker_calls.h"
#include "coordinator/identity/authority.h"
#include "coordinator/service/access.h"
#include "coordinator/service/page_sessions.h"
#include "coordinator/service/service_time.h"
#include "sink/v1/identity.grpc.pb.h"

namespace sink {

class IdentityServiceImpl final : public v1::IdentityService::Service {
 public:
  // `address`: where holders of tokens reach the coordinator; empty: as whoever makes them.
  IdentityServiceImpl(const identity::Authority* authority, const Access* access, Rates* rates, WorkerCalls* workers,
                      PageSessions* pages, std::string address, NowFn now)
      : authority_(authority),
        access_(access),
        rates_(rates),
        workers_(workers),
        pages_(pages),
        address_(std::move(address)),
        now_(std::move(now)) {}

  grpc::Status Join(grpc::ServerContext* context, const v1::JoinRequest* request,
                    v1::CertificateResponse* response) override;
  grpc::Status LogIn(grpc::ServerContext* context, const v1::LogInRequest* request,
                     v1::CertificateResponse* response) override;
  grpc::Status Renew(grpc::ServerContext* context, const v1::RenewRequest* request,
                     v1::CertificateResponse* response) override;
  grpc::Status CreateToken(grpc::ServerContext* context, const v1::CreateTokenRequest* request,
                           v1::CertificateResponse* response) override;
  grpc::Status Revoke(grpc::ServerContext* context, const v1::RevokeRequest* request,
                      v1::RevokeResponse* response) override;
  grpc::Status ListPrincipals(grpc::ServerContext* context, const v1::ListPrincipalsRequest* request,
                              v1::ListPrincipalsResponse* response) override;
  grpc::Status ListAudit(grpc::ServerContext* context, const v1::ListAuditRequest* request,
                         v1::ListAuditResponse* response) override;
  grpc::Status OpenPage(grpc::ServerContext* context, const v1::OpenPageRequest* request,
                        v1::OpenPageResponse* response) override;

 private:
  // RESOURCE_EXHAUSTED: from the caller's address more tokens are shown than may be.
  absl::Status MayShowToken(const grpc::ServerContext& context, const Caller& caller, absl::string_view action) const;
  // A certificate for a principal that is there.
  absl::Status Issue(const std::string& public_key, const std::string& principal, const std::string& host,
                     absl::Duration lifetime, bool renewable, v1::CertificateResponse* response);

  const identity::Authority* const authority_;
  const Access* const access_;
  Rates* const rates_;
  WorkerCalls* const workers_;
  PageSessions* const pages_;
  const std::string address_;
  const NowFn now_;
};

}  // namespace sink
