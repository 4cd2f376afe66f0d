// See viewer.h.
#include "tests/bench/fleet/viewer.h"

#include <string>

#include "absl/status/statusor.h"
#include "coordinator/client/coordinator_client.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/identity/one_way.h"
#include "tests/bench/fleet/program.h"

namespace sink::bench {
namespace {

constexpr int64_t kTtlMs = 24 * 3600 * 1000;

template <typename Value>
Value Must(absl::StatusOr<Value> value, const char* what) {
  if (!value.ok()) Fail(std::string(what) + ": " + std::string(value.status().message()));
  return *std::move(value);
}

}  // namespace

identity::Credential MakeViewer(const std::string& address, const std::string& credentials, const std::string& name) {
  const identity::Credential admin = Must(identity::ReadCredential(credentials), "the credential");
  const auto client =
      Must(CoordinatorClient::Create({.address = address, .credential = admin}), "a client of the coordinator");
  identity::Credential viewer{
      .authority = admin.authority, .certificate = "", .key = Must(identity::MakeKey(), "a key")};
  viewer.secret = name + " has a secret that guards nothing";
  v1::CreateTokenRequest request;
  request.set_kind("token");
  request.set_name(name);
  request.set_role("viewer");
  request.set_request(Must(identity::MakeRequest(viewer.key), "a request for a certificate"));
  request.set_ttl_ms(kTtlMs);
  request.set_secret_sha256(identity::Sha256(viewer.secret));
  viewer.certificate = Must(client->CreateToken(request), "CreateToken").certificate();
  return viewer;
}

}  // namespace sink::bench
