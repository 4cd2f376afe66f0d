// See tls.h.
#include "coordinator/identity/tls.h"

#include <grpc/grpc_security_constants.h>
#include <grpc/support/log.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <spdlog/spdlog.h>

#include "coordinator/identity/certificate.h"

namespace sink::identity {
namespace {

using grpc::experimental::CertificateProviderInterface;
using grpc::experimental::FileWatcherCertificateProvider;
using grpc::experimental::StaticDataCertificateProvider;

constexpr unsigned kLookEverySeconds = 1;

std::shared_ptr<CertificateProviderInterface> Watch(const std::string& folder) {
  return std::make_shared<FileWatcherCertificateProvider>(KeyPath(folder), CertificatePath(folder),
                                                          AuthorityPath(folder), kLookEverySeconds);
}

std::shared_ptr<grpc::ChannelCredentials> Channel(std::shared_ptr<CertificateProviderInterface> provider) {
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::move(provider));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const std::string& folder) {
  grpc::experimental::TlsServerCredentialsOptions options(Watch(folder));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const std::string& folder) {
  return Channel(Watch(folder));
}

std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const Credential& credential) {
  auto channel = Channel(std::make_shared<StaticDataCertificateProvider>(
      credential.authority, std::vector<grpc::experimental::IdentityKeyCertPair>{
                                {.private_key = credential.key, .certificate_chain = credential.certificate}}));
  if (credential.secret.empty()) return channel;
  // "authorization: Bearer SECRET", of which gRPC takes care that it goes over an encrypted connection alone.
  return grpc::CompositeChannelCredentials(channel, grpc::AccessTokenCredentials(credential.secret));
}

void SendGrpcLogToDebug() {
  gpr_set_log_function([](gpr_log_func_args* line) { spdlog::debug("grpc: {}", line->message); });
}

void SetServerName(grpc::ChannelArguments& arguments) { arguments.SetSslTargetNameOverride(kServerName); }

}  // namespace sink::identity
