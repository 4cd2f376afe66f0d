// What is decided of a call before its handler, on a clock that the test sets: gRPC's side is played.
#include "coordinator/service/gatekeeper.h"

#include <gmock/gmock.h>
#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
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

class GatekeeperTest : public ::testing::Test {
 protected:
  static constexpr int64_t kHour = 3'600'000;

  // One who shows a certificate from now on.
  ShownCertificate Known(const std::string& name, Role role) {
    const std::string serial(32, static_cast<char>('1' + known_++));
    EXPECT_TRUE(principals_->Put({.name = name, .role = role}).ok());
    EXPECT_TRUE(
        principals_->AddCertificate({.serial = serial, .principal = name, .not_after_ms = now_.unix_ms + 24 * kHour})
            .ok());
    return ShownCertificate(serial, "sink://" + name);
  }
  grpc::Status Call(ShownCertificate& certificate, const std::string& path) {
    grpc::AuthMetadataProcessor::OutputMetadata consumed, answered;
    return processor_->Process({{":path", path}}, &certificate, &consumed, &answered);
  }

  Now now_ = SystemNow();
  std::map<Gatekeeper::Refusal, int> refused_;

 private:
  int known_ = 0;
  testing::TempDir folder_;
  const std::unique_ptr<Principals> principals_ = *Principals::Open(folder_ / "identity.db");
  const std::unique_ptr<AuditLog> audit_ = *AuditLog::Open(folder_ / "audit.db");
  Rates rates_{{.calls = {.per_second = 2, .burst = 10},
                .worker_calls = {.per_second = 20, .burst = 100},
                .reads = {.per_second = 1, .burst = 2}},
               [this] { ++refused_[Gatekeeper::Refusal::kRate]; }};
  ConnectionOwners owners_{100};
  Gatekeeper gatekeeper_{
      principals_.get(),      audit_.get(), &rates_, &owners_, [this](Gatekeeper::Refusal why) { ++refused_[why]; },
      [this] { return now_; }};
  const std::shared_ptr<grpc::AuthMetadataProcessor> processor_ = gatekeeper_.MakeProcessor();
};

TEST_F(GatekeeperTest, AClockThatIsSetBackLeavesNobodyRefused) {
  ShownCertificate lena = Known("user/lena", Role::kViewer);
  const auto call = [&] { return Call(lena, "/sink.v1.ClientService/ListJobs").error_code(); };
  EXPECT_EQ(call(), grpc::StatusCode::OK);
  EXPECT_EQ(call(), grpc::StatusCode::OK);
  EXPECT_EQ(call(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  now_ = {.unix_ms = now_.unix_ms - 6 * kHour, .steady_ms = now_.steady_ms + 1000};
  EXPECT_EQ(call(), grpc::StatusCode::OK);
}

// A viewer whose calls are cancelled as soon as they are made waits for none of them: this is all that bounds them.
TEST_F(GatekeeperTest, WhoCallsWithoutEndIsRefusedBeforeAHandlerAndTheOthersAreNot) {
  ShownCertificate lena = Known("user/lena", Role::kViewer), max = Known("user/max", Role::kViewer);
  ShownCertificate worker = Known("worker/a", Role::kWorker);
  const std::string cheap = "/sink.v1.ClientService/GetJob", beat = "/sink.v1.WorkerService/Heartbeat";
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Call(lena, cheap).ok()) << i;
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(Call(lena, cheap).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << i;
  EXPECT_THAT(Call(lena, cheap).error_message(), ::testing::HasSubstr("user/lena may make 2 calls a second"));
  EXPECT_EQ(refused_[Gatekeeper::Refusal::kRate], 1001);
  EXPECT_TRUE(Call(max, cheap).ok());
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(Call(worker, beat).ok()) << i;
  EXPECT_EQ(Call(worker, beat).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << "a worker's bound is another one";
  now_.steady_ms += 500;
  EXPECT_TRUE(Call(lena, cheap).ok());
  EXPECT_FALSE(Call(lena, cheap).ok());
}

}  // namespace
}  // namespace sink
