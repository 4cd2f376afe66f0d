// See gatekeeper.h.
#include "coordinator/service/gatekeeper.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "coordinator/errors/grpc_status.h"
#include "coordinator/identity/one_way.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/service/access.h"
#include "coordinator/service/policy.h"

namespace sink {
namespace {

using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

absl::string_view Only(const std::vector<grpc::string_ref>& values) {
  return values.size() == 1 ? absl::string_view(values[0].data(), values[0].size()) : absl::string_view();
}

// The hash of what a program shows beside its certificate, "authorization: Bearer SECRET"; empty: nothing of the kind.
std::string SecretHash(const Metadata& metadata) {
  const auto [first, last] = metadata.equal_range("authorization");
  if (first == last || std::next(first) != last) return "";
  absl::string_view value(first->second.data(), first->second.size());
  return absl::ConsumePrefix(&value, "Bearer ") ? identity::Sha256(value) : "";
}

// "[fe80::1%252]:7" is from "[fe80::1]:7": gRPC adds over which link it came.
std::string WithoutLink(std::string peer) {
  const size_t link = peer.find('%');
  if (link != std::string::npos) peer.erase(link, peer.find(']', link) - link);
  return peer;
}

AuditEntry RefusedCall(const std::string& who, absl::string_view method, const absl::Status& status) {
  return {.id = 0,
          .time_ms = absl::ToUnixMillis(absl::Now()),
          .who = who,
          .from = "",
          .action = std::string(method),
          .object = "",
          .outcome = absl::StatusCodeToString(status.code())};
}

}  // namespace

class Gatekeeper::Processor final : public grpc::AuthMetadataProcessor {
 public:
  explicit Processor(const Gatekeeper* gatekeeper) : gatekeeper_(gatekeeper) {}

  // It looks into tables in memory only.
  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata*,
                       OutputMetadata*) override {
    const auto path = metadata.find(":path");
    if (path == metadata.end()) return ToGrpc(absl::UnauthenticatedError("the call names no method"));
    return ToGrpc(gatekeeper_->Check(*context, SecretHash(metadata),
                                     absl::string_view(path->second.data(), path->second.size())));
  }

 private:
  const Gatekeeper* const gatekeeper_;
};

std::shared_ptr<grpc::AuthMetadataProcessor> Gatekeeper::MakeProcessor() { return std::make_shared<Processor>(this); }

absl::StatusOr<Caller> Gatekeeper::Find(const grpc::AuthContext& context, absl::string_view secret_hash) const {
  return principals_->Find(Only(context.FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME)),
                           Only(context.FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME)), secret_hash,
                           absl::ToUnixMillis(absl::Now()));
}

absl::Status Gatekeeper::Check(const grpc::AuthContext& context, absl::string_view secret_hash,
                               absl::string_view path) const {
  const auto caller = Find(context, secret_hash);
  if (!caller.ok()) {
    on_refusal_(Refusal::kUnknown);
    audit_->AddRefusal(
        RefusedCall(std::string(Only(context.FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME))), "", caller.status()));
    return caller.status();
  }
  if (MayCall(caller->role, path)) {
    const absl::Status taken = TakeRates(*caller, path);
    if (!taken.ok()) audit_->AddRefusal(RefusedCall(caller->name, path, taken));
    return taken;
  }
  on_refusal_(Refusal::kRole);
  const absl::Status refused = absl::PermissionDeniedError(
      absl::StrCat(caller->name, ", whose role is ", std::string(NameOf(caller->role)), ", may not call ", path));
  // A path that is no method is the caller's to choose, and as long as it likes.
  audit_->AddRefusal(RefusedCall(caller->name, IsMethod(path) ? path : "unknown method", refused));
  return refused;
}

// What is refused here has no thread and no place in gRPC's queues yet, where it would stay though its caller has left.
absl::Status Gatekeeper::TakeRates(const Caller& caller, absl::string_view path) const {
  const int64_t now_ms = now_().steady_ms;
  const Use any = caller.role == Role::kWorker ? Use::kWorkerCall : Use::kCall;
  SINK_RETURN_IF_ERROR(rates_->Take(caller, any, 1, now_ms));
  const std::optional<Use> use = UseOf(path);
  return use ? rates_->Take(caller, *use, 1, now_ms) : absl::OkStatus();
}

absl::StatusOr<Caller> Gatekeeper::Of(const grpc::ServerContextBase& context) const {
  const auto auth = context.auth_context();
  if (auth == nullptr) return absl::UnauthenticatedError("the connection shows no certificate");
  auto caller = Find(*auth, SecretHash(context.client_metadata()));
  // Who has no more than a token stays a stranger.
  if (!caller.ok() || (RoleBit(caller->role) & kLasting) == 0) return caller;
  const absl::Status own = owners_->Claim(WithoutLink(PeerAddress(context)), caller->name);
  if (own.ok()) return caller;
  on_refusal_(Refusal::kConnections);
  audit_->AddRefusal(RefusedCall(caller->name, "connect", own));
  return own;
}

}  // namespace sink
