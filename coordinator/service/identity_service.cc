// See identity_service.h.
#include "coordinator/service/identity_service.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "coordinator/errors/grpc_status.h"
#include "coordinator/identity/one_way.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/service/listening_sockets.h"
#include "coordinator/service/policy.h"
#include "coordinator/service/validate.h"
#include "proto/files/random_id.h"

namespace sink {
namespace {

constexpr int kAuditPage = 100;
constexpr absl::Duration kLongestToken = absl::Hours(24 * 365);

std::string KeyName(const std::string& public_key) { return identity::OneWayName("public key", public_key); }

// Who asks for a certificate, and the public key that it is to be of.
struct Asked {
  Caller caller;
  std::string key;
};
template <typename Request>
absl::StatusOr<Asked> Read(const Callers& callers, const grpc::ServerContext& context, const Request& request) {
  SINK_RETURN_IF_ERROR(Validate(request));
  SINK_ASSIGN_OR_RETURN(Caller caller, callers.Of(context));
  SINK_ASSIGN_OR_RETURN(std::string key, identity::PublicKeyOfRequest(request.request()));
  return Asked{std::move(caller), std::move(key)};
}

// What a request for a token makes of it.
absl::StatusOr<Principal> PrincipalFor(const v1::CreateTokenRequest& request, int64_t now_ms) {
  Principal principal{.name = "", .role = Role::kJoin, .key = "", .uses = 0, .revoked = false, .created_ms = now_ms};
  if (request.kind() == "join") {
    principal.name = absl::StrCat("join/", files::RandomId().substr(0, 8));
    principal.uses = std::max(1, request.uses());
    return principal;
  }
  const auto role = ParseName<Role>(request.role());
  if (!role || (RoleBit(*role) & kReaders) == 0) {
    return absl::InvalidArgumentError("role: must be viewer, submitter or admin");
  }
  principal.name = absl::StrCat(request.kind() == "token" ? "token/" : "user/", request.name());
  principal.role = *role;
  principal.key = request.secret_sha256();
  return principal;
}

}  // namespace

absl::Status IdentityServiceImpl::MayShowToken(const grpc::ServerContext& context, const Caller& caller,
                                               absl::string_view action) const {
  if (caller.role == Role::kAdmin) return absl::OkStatus();
  const std::string from = PeerAddress(context);
  absl::Status taken = rates_->TakeFrom(AddressGroup(from), now_().steady_ms);
  if (!taken.ok()) access_->RecordRefusal({caller, from}, action, taken);
  return taken;
}

absl::Status IdentityServiceImpl::Issue(const std::string& public_key, const std::string& principal,
                                        const std::string& host, absl::Duration lifetime, bool renewable,
                                        v1::CertificateResponse* response) {
  SINK_ASSIGN_OR_RETURN(const identity::Authority::Issued issued,
                        authority_->Issue(public_key, absl::StrCat("sink://", principal), lifetime, absl::Now(), host));
  const int64_t not_after_ms = absl::ToUnixMillis(issued.claims.not_after);
  SINK_RETURN_IF_ERROR(access_->principals().AddCertificate(
      {.serial = issued.claims.serial, .principal = principal, .not_after_ms = not_after_ms, .renewable = renewable}));
  response->set_certificate(issued.certificate);
  response->set_principal(principal);
  response->set_not_after_ms(not_after_ms);
  return absl::OkStatus();
}

grpc::Status IdentityServiceImpl::Join(grpc::ServerContext* context, const v1::JoinRequest* request,
                                       v1::CertificateResponse* response) {
  const auto asked = Read(access_->callers(), *context, *request);
  if (!asked.ok()) return ToGrpc(asked.status());
  const auto& [caller, key] = *asked;
  if (absl::Status may = MayShowToken(*context, caller, "Join"); !may.ok()) return ToGrpc(may);
  const std::string name = absl::StrCat("worker/", request->worker_id());
  absl::Status status = access_->principals().Join(caller, name, KeyName(key), now_().unix_ms);
  if (status.ok()) {
    status = Issue(key, name, request->advertise(), authority_->lifetimes().worker, /*renewable=*/true, response);
  }
  const std::string at = request->advertise().empty() ? "" : absl::StrCat(" at ", request->advertise());
  access_->Record(*context, caller, "Join", name + at, status);
  return ToGrpc(status);
}

grpc::Status IdentityServiceImpl::LogIn(grpc::ServerContext* context, const v1::LogInRequest* request,
                                        v1::CertificateResponse* response) {
  const auto asked = Read(access_->callers(), *context, *request);
  if (!asked.ok()) return ToGrpc(asked.status());
  const auto& [caller, key] = *asked;
  if (absl::Status may = MayShowToken(*context, caller, "LogIn"); !may.ok()) return ToGrpc(may);
  const auto user = access_->principals().LogIn(caller, KeyName(key));
  absl::Status status = user.status();
  if (status.ok()) status = Issue(key, *user, "", authority_->lifetimes().user, /*renewable=*/true, response);
  access_->Record(*context, caller, "LogIn", user.ok() ? *user : "", status);
  return ToGrpc(status);
}

grpc::Status IdentityServiceImpl::Renew(grpc::ServerContext* context, const v1::RenewRequest*,
                                        v1::CertificateResponse* response) {
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  if (!caller->renewable) {
    return ToGrpc(absl::PermissionDeniedError("this credential ends at its time; ask an admin for another"));
  }
  const auto shown = ShownCertificate(*context);
  if (!shown.ok()) return ToGrpc(shown.status());
  const auto key = identity::PublicKeyOfCertificate(*shown);
  if (!key.ok()) return ToGrpc(key.status());
  const auto claims = identity::Describe(*shown);
  if (!claims.ok()) return ToGrpc(claims.status());
  const bool worker = caller->role == Role::kWorker;
  const absl::Duration lifetime = worker ? authority_->lifetimes().worker : authority_->lifetimes().user;
  return ToGrpc(Issue(*key, caller->name, claims->host, lifetime, /*renewable=*/true, response));
}

grpc::Status IdentityServiceImpl::CreateToken(grpc::ServerContext* context, const v1::CreateTokenRequest* request,
                                              v1::CertificateResponse* response) {
  const auto asked = Read(access_->callers(), *context, *request);
  if (!asked.ok()) return ToGrpc(asked.status());
  const auto& [caller, key] = *asked;
  auto principal = PrincipalFor(*request, now_().unix_ms);
  if (!principal.ok()) return ToGrpc(principal.status());
  absl::Status status = access_->principals().Put(*principal);
  std::string holder = principal->name;
  if (status.ok() && request->kind() == "login") {
    holder = absl::StrCat("login/", request->name(), "/", files::RandomId().substr(0, 8));
    status = access_->principals().Put(
        {.name = holder, .role = Role::kLogIn, .key = "", .uses = 1, .revoked = false, .created_ms = now_().unix_ms});
  }
  const absl::Duration ttl = std::min(absl::Milliseconds(request->ttl_ms()), kLongestToken);
  if (status.ok()) status = Issue(key, holder, "", ttl, /*renewable=*/false, response);
  response->set_address(address_);
  access_->Record(*context, caller, "CreateToken", holder, status);
  return ToGrpc(status);
}

grpc::Status IdentityServiceImpl::Revoke(grpc::ServerContext* context, const v1::RevokeRequest* request,
                                         v1::RevokeResponse*) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  if (request->principal() == absl::StrCat("user/", identity::kAdmin)) {
    return ToGrpc(absl::FailedPreconditionError(
        "this user's credential lies in the coordinator's own data folder, which makes it anew"));
  }
  absl::Status status = access_->principals().Revoke(request->principal());
  absl::string_view worker_id = request->principal();
  if (status.ok() && absl::ConsumePrefix(&worker_id, "worker/")) {
    // What it holds goes to others now, not when its leases run out.
    status = workers_->LoseWorker(std::string(worker_id), now_());
  }
  access_->Record(*context, *caller, "Revoke", request->principal(), status);
  return ToGrpc(status);
}

grpc::Status IdentityServiceImpl::ListPrincipals(grpc::ServerContext* context, const v1::ListPrincipalsRequest*,
                                                 v1::ListPrincipalsResponse* response) {
  if (const auto caller = access_->callers().Of(*context); !caller.ok()) return ToGrpc(caller.status());
  const int64_t now_ms = now_().unix_ms;
  for (const PrincipalInfo& info : access_->principals().List()) {
    v1::PrincipalInfo* const message = response->add_principals();
    message->set_name(info.principal.name);
    message->set_role(std::string(NameOf(info.principal.role)));
    message->set_revoked(info.principal.revoked);
    message->set_certificates(info.not_after_ms < now_ms ? 0 : info.certificates);  // those that count
    message->set_not_after_ms(info.not_after_ms);
    message->set_created_ms(info.principal.created_ms);
    message->set_uses(info.principal.uses);
  }
  return grpc::Status::OK;
}

grpc::Status IdentityServiceImpl::ListAudit(grpc::ServerContext* context, const v1::ListAuditRequest* request,
                                            v1::ListAuditResponse* response) {
  if (const auto caller = access_->callers().Of(*context); !caller.ok()) return ToGrpc(caller.status());
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto entries = access_->audit().Read(request->before(), request->limit() == 0 ? kAuditPage : request->limit());
  if (!entries.ok()) return ToGrpc(entries.status());
  for (const AuditEntry& entry : *entries) {
    v1::AuditEntry* const message = response->add_entries();
    message->set_id(entry.id);
    message->set_time_ms(entry.time_ms);
    message->set_who(entry.who);
    message->set_from(entry.from);
    message->set_action(entry.action);
    message->set_object(entry.object);
    message->set_outcome(entry.outcome);
  }
  return grpc::Status::OK;
}

grpc::Status IdentityServiceImpl::OpenPage(grpc::ServerContext* context, const v1::OpenPageRequest*,
                                           v1::OpenPageResponse* response) {
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  const auto link = pages_->Invite(*caller, now_().unix_ms);
  access_->Record(*context, *caller, "OpenPage", "", link.status());
  if (!link.ok()) return ToGrpc(link.status());
  response->set_url(link->url);
  response->set_good_until_ms(link->good_until_ms);
  return grpc::Status::OK;
}

}  // namespace sink
