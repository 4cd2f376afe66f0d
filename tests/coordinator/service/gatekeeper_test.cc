// What is decided of a call before its handler, on a clock that the test sets: gRPC's side is played.
#include "coordinator/service/gatekeeper.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

struct Nothing : grpc::AuthPropertyIterator {};  // whose constructor is for those that derive from it

// A connection that showed a certificate.
class ShownCertificate final : public grpc::AuthContext {
 public:
  ShownCertificate(const std::string& serial, const std::string& uri)
      : properties_{{GRPC_X509_CN_PROPERTY_NAME, serial}, {GRPC_PEER_URI_PROPERTY_NAME, uri}} {}

  bool IsPeerAuthenticated() const override { return true; }
  std::vector<grpc::string_ref> GetPeerIdentity() const override { return {}; }
  std::string GetPeerIdentityPropertyName() const override { return ""; }
  std::vector<grpc::string_ref> FindPropertyValues(const std::string& name) const override {
    const auto found = properties_.find(name);
    if (found == properties_.end()) return {};
    return {grpc::string_ref(found->second.data(), found->second.size())};
  }
  grpc::AuthPropertyIterator begin() const override { return Nothing(); }
  grpc::AuthPropertyIterator end() const override { return Nothing(); }
  void AddProperty(const std::string&, const grpc::string_ref&) override {}
  bool SetPeerIdentityPropertyName(const std::string&) override { return false; }

 private:
  const std::map<std::string, std::string> properties_;
};

TEST(Gatekeeper, AClockThatIsSetBackLeavesNobodyRefused) {
  testing::TempDir folder;
  const auto principals = *Principals::Open(folder / "identity.db");
  const auto audit = *AuditLog::Open(folder / "audit.db");
  ASSERT_TRUE(principals->Put({.name = "user/lena", .role = Role::kViewer}).ok());
  Now now = SystemNow();
  constexpr int64_t kHour = 3'600'000;
  const std::string serial(32, '7');
  ASSERT_TRUE(
      principals->AddCertificate({.serial = serial, .principal = "user/lena", .not_after_ms = now.unix_ms + 24 * kHour})
          .ok());
  Rates rates({.reads = {.per_second = 1, .burst = 2}}, [] {});
  ConnectionOwners owners(100);
  Gatekeeper gatekeeper(
      principals.get(), audit.get(), &rates, &owners, [](Gatekeeper::Refusal) {}, [&now] { return now; });
  const auto processor = gatekeeper.MakeProcessor();
  ShownCertificate certificate(serial, "sink://user/lena");
  const auto call = [&] {
    grpc::AuthMetadataProcessor::OutputMetadata consumed, answered;
    return processor->Process({{":path", "/sink.v1.ClientService/ListJobs"}}, &certificate, &consumed, &answered)
        .error_code();
  };
  EXPECT_EQ(call(), grpc::StatusCode::OK);
  EXPECT_EQ(call(), grpc::StatusCode::OK);
  EXPECT_EQ(call(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  now = {.unix_ms = now.unix_ms - 6 * kHour, .steady_ms = now.steady_ms + 1000};
  EXPECT_EQ(call(), grpc::StatusCode::OK);
}

}  // namespace
}  // namespace sink
