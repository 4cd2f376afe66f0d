// Who may make which call: every method and every kind of caller, over a real port, against a table of its own.
#include "coordinator/service/policy.h"

#include <map>
#include <set>

#include "tests/coordinator/service/access_fixture.h"

namespace sink {
namespace {

using testing::AccessTest;

constexpr char kOtherWorker[] = "cccccccccccccccccccccccccccccccc";

// v viewer, s submitter, a admin, w worker, j join token, l login token.
const std::map<std::string, std::string> kDeclared = {
    {"ClientService/SubmitSweep", "sa"},
    {"ClientService/ListSweeps", "vsa"},
    {"ClientService/GetSweep", "vsa"},
    {"ClientService/GetStudy", "vsa"},
    {"ClientService/ListJobs", "vsa"},
    {"ClientService/GetJob", "vsa"},
    {"ClientService/WatchSweep", "vsa"},
    {"ClientService/WhyJob", "vsa"},
    {"ClientService/Cancel", "sa"},
    {"ClientService/Retry", "sa"},
    {"ClientService/DeleteSweep", "sa"},
    {"ClientService/ReadLogs", "vsa"},
    {"ClientService/ReadMetrics", "vsa"},
    {"ClientService/ReadHeatmaps", "vsa"},
    {"ClientService/ListWorkers", "vsa"},
    {"ClientService/ListCheckpoints", "vsa"},
    {"ClientService/DownloadCheckpoint", "sa"},
    {"ClientService/VerifyCheckpoints", "vsa"},
    {"ClientService/DropCheckpoints", "sa"},
    {"ClientService/PinCheckpoint", "sa"},
    {"ClientService/HoldWorkers", "a"},
    {"ClientService/SetPriority", "sa"},
    {"ClientService/CollectGarbage", "a"},
    {"WorkerService/Register", "w"},
    {"WorkerService/Lease", "w"},
    {"WorkerService/Heartbeat", "w"},
    {"WorkerService/Report", "w"},
    {"WorkerService/BeginCheckpoint", "w"},
    {"WorkerService/WriteCheckpoint", "w"},
    {"WorkerService/CommitCheckpoint", "w"},
    {"WorkerService/FetchCheckpoint", "w"},
    {"WorkerService/Finish", "w"},
    {"IdentityService/Join", "aj"},
    {"IdentityService/LogIn", "l"},
    {"IdentityService/Renew", "vsaw"},
    {"IdentityService/CreateToken", "a"},
    {"IdentityService/Revoke", "a"},
    {"IdentityService/ListPrincipals", "a"},
    {"IdentityService/ListAudit", "a"},
    {"IdentityService/OpenPage", "vsa"},
};

class PolicyTest : public AccessTest {
 protected:
  // Strangers, who do not get through the handshake.
  std::map<std::string, Channel> Strangers() {
    std::map<std::string, Channel> all;
    all["no certificate"] = ChannelOf(grpc::SslCredentials({.pem_root_certs = authority()}));
    all["no TLS"] = ChannelOf(grpc::InsecureChannelCredentials());
    const auto other = identity::Authority::Open(folder_ / "other", {}, absl::Now());
    identity::Credential forged = *identity::ReadCredential(other->admin_folder());
    forged.authority = authority();
    all["another authority's"] = ChannelOf(forged);
    const auto own = identity::Authority::Open(folder_ / "data/tls", {}, absl::Now());
    identity::Credential expired = *identity::ReadCredential(admin_folder());
    expired.certificate = own->Issue(*identity::PublicKeyOfKey(expired.key), identity::kAdminUri, absl::Minutes(1),
                                     absl::Now() - absl::Minutes(2))
                              ->certificate;
    all["expired"] = ChannelOf(expired);
    return all;
  }
};

TEST_F(PolicyTest, EveryMethodIsOpenToThoseOfTheTableAndToNobodyElse) {
  std::set<std::string> methods;
  for (const PolicyRow& row : Policy()) methods.insert(std::string(row.path.substr(std::string("/sink.v1.").size())));
  std::set<std::string> declared;
  for (const auto& [method, roles] : kDeclared) declared.insert(method);
  ASSERT_EQ(methods, declared);

  std::map<char, Channel> callers = {
      {'v', ChannelOf(User("vera", "viewer"))},
      {'s', ChannelOf(User("sam", "submitter"))},
      {'a', ChannelOf(*identity::ReadCredential(admin_folder()))},
      {'w', ChannelOf(testing::JoinAs(server_->address(), admin_folder(), testing::kWorkerId))},
      {'j', ChannelOf(*Token("join", "", ""))},
      {'l', ChannelOf(*Token("login", "lena", "viewer"))}};
  const Channel revoked = ChannelOf(User("rita", "admin"));
  ASSERT_TRUE(Call(revoked, "/sink.v1.ClientService/ListSweeps").ok());
  ASSERT_TRUE(Revoke("user/rita").ok());
  const std::map<std::string, Channel> strangers = Strangers();

  for (const auto& [method, roles] : kDeclared) {
    const std::string path = "/sink.v1." + method;
    for (const auto& [role, channel] : callers) {
      const grpc::Status status = Call(channel, path);
      if (roles.find(role) == std::string::npos) {
        EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << method << " by " << role;
      } else {
        EXPECT_NE(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << method << " by " << role;
        EXPECT_NE(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << method << " by " << role;
        EXPECT_NE(status.error_code(), grpc::StatusCode::UNAVAILABLE) << method << " by " << role;
      }
    }
    EXPECT_EQ(Call(revoked, path).error_code(), grpc::StatusCode::UNAUTHENTICATED) << method;
    for (const auto& [who, channel] : strangers)
      EXPECT_EQ(Call(channel, path).error_code(), grpc::StatusCode::UNAVAILABLE) << method << " by " << who;
  }
  for (const char* path : {"/sink.v1.ClientService/Nothing", "/grpc.health.v1.Health/Check", "/", "/x/y"}) {
    for (const auto& [role, channel] : callers)
      EXPECT_EQ(Call(channel, path).error_code(), grpc::StatusCode::PERMISSION_DENIED) << path << " by " << role;
  }
}

// A worker's id and its leases are public: what counts is the certificate.
TEST_F(PolicyTest, AWorkerActsForNobodyElse) {
  const v1::Grant grant = RunningJob();
  const auto other = NewWorker(kOtherWorker);
  v1::RegisterRequest takeover;
  takeover.set_worker_id(testing::kWorkerId);
  takeover.set_session(testing::kSession);
  takeover.set_name("node-1");
  takeover.set_devices(1);
  EXPECT_EQ(other->Register(takeover).status().code(), absl::StatusCode::kPermissionDenied);
  v1::HeartbeatRequest beat;
  beat.set_worker_id(testing::kWorkerId);
  beat.set_session(testing::kSession);
  EXPECT_EQ(other->Heartbeat(beat).status().code(), absl::StatusCode::kPermissionDenied);
  auto finish = Leased<v1::FinishRequest>(grant.lease());
  finish.set_outcome(v1::SUCCEEDED);
  finish.set_last_seq(1);
  EXPECT_EQ(other->Finish(finish).status().code(), absl::StatusCode::kPermissionDenied);
  finish.set_worker_id(kOtherWorker);  // in its own name, with a lease that it knows
  EXPECT_EQ(other->Finish(finish).status().code(), absl::StatusCode::kFailedPrecondition);
  auto report = Leased<v1::ReportRequest>(grant.lease());
  EXPECT_EQ(other->Report(report).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(worker().Report(report).ok());
}

TEST_F(PolicyTest, WhereWorkersAreIsForAdmins) {
  RegisterWorker();
  const auto all = client_->ListWorkers({});
  EXPECT_EQ(all->workers(0).id(), testing::kWorkerId);
  EXPECT_FALSE(all->workers(0).address().empty());
  const auto some = ClientOf(User("vera", "viewer"))->ListWorkers({});
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_EQ(some->workers(0).name(), "node-1");
  EXPECT_TRUE(some->workers(0).id().empty());
  EXPECT_TRUE(some->workers(0).address().empty());
}

}  // namespace
}  // namespace sink
