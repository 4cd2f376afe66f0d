// A coordinator with callers of every kind: users of each role, tokens, workers, strangers. Used by one thread.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/client_unary_call.h>

#include <memory>
#include <string>
#include <utility>

#include "coordinator/identity/authority.h"
#include "coordinator/identity/credential.h"
#include "coordinator/identity/one_way.h"
#include "coordinator/identity/tls.h"
#include "proto/files/random_id.h"
#include "sink/v1/client.grpc.pb.h"
#include "tests/coordinator/service/service_fixture.h"

namespace sink::testing {

class AccessTest : public ServiceTest {
 protected:
  using Channel = std::shared_ptr<grpc::Channel>;

  std::string admin_folder() const { return folder_ / "data/tls/admin"; }
  std::string authority() const { return identity::ReadCredential(admin_folder())->authority; }

  // The holder of a token; of a program's with a secret.
  absl::StatusOr<identity::Credential> Token(const std::string& kind, const std::string& name, const std::string& role,
                                             absl::Duration ttl = absl::Hours(1), int uses = 0) {
    const std::string key = *identity::MakeKey();
    const std::string secret = kind == "token" ? files::RandomId() + files::RandomId() : "";
    v1::CreateTokenRequest request;
    request.set_kind(kind);
    request.set_name(name);
    request.set_role(role);
    request.set_request(*identity::MakeRequest(key));
    request.set_ttl_ms(absl::ToInt64Milliseconds(ttl));
    request.set_uses(uses);
    if (!secret.empty()) request.set_secret_sha256(identity::Sha256(secret));
    const auto response = client_->CreateToken(request);
    if (!response.ok()) return response.status();
    return identity::Credential{
        .authority = authority(), .certificate = response->certificate(), .key = key, .secret = secret};
  }
  // What a login token of the user buys.
  absl::StatusOr<identity::Credential> LogIn(const identity::Credential& token,
                                             const std::string& key = *identity::MakeKey()) {
    v1::LogInRequest request;
    request.set_request(*identity::MakeRequest(key));
    const auto response = ClientOf(token)->LogIn(request);
    if (!response.ok()) return response.status();
    return identity::Credential{.authority = authority(), .certificate = response->certificate(), .key = key};
  }
  identity::Credential User(const std::string& name, const std::string& role) {
    return *LogIn(*Token("login", name, role));
  }
  absl::StatusOr<v1::CertificateResponse> Join(const identity::Credential& with, const std::string& id,
                                               const std::string& key) {
    v1::JoinRequest request;
    request.set_worker_id(id);
    request.set_request(*identity::MakeRequest(key));
    return ClientOf(with)->Join(request);
  }
  absl::Status Revoke(const std::string& principal) {
    v1::RevokeRequest request;
    request.set_principal(principal);
    return client_->Revoke(request).status();
  }

  std::unique_ptr<CoordinatorClient> ClientOf(const identity::Credential& credential) const {
    return *CoordinatorClient::Create(
        {.address = server_->address(), .credential = credential, .retry_for = absl::ZeroDuration()});
  }
  Channel ChannelOf(const std::shared_ptr<grpc::ChannelCredentials>& credentials) const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    identity::SetServerName(arguments);
    return grpc::CreateCustomChannel(server_->address(), credentials, arguments);
  }
  Channel ChannelOf(const identity::Credential& credential) const {
    return ChannelOf(identity::MakeChannelCredentials(credential));
  }

  // Calls a method by its path with an empty message, whatever its messages are.
  static grpc::Status Call(const Channel& channel, const std::string& path) {
    const grpc::internal::RpcMethod method(path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    v1::ListSweepsRequest request;
    v1::ListSweepsResponse response;
    return grpc::internal::BlockingUnaryCall<v1::ListSweepsRequest, v1::ListSweepsResponse>(
        channel.get(), method, &context, request, &response);
  }
};

}  // namespace sink::testing
