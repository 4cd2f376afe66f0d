// Joining, logging in, renewing and revoking, over a real port.
#include "coordinator/service/identity_service.h"

#include <thread>

#include "coordinator/errors/error_detail.h"
#include "coordinator/identity/certificate.h"
#include "proto/files/files.h"
#include "proto/files/random_id.h"
#include "tests/coordinator/service/access_fixture.h"

namespace sink {
namespace {

using testing::AccessTest;
using ::testing::HasSubstr;
using ::testing::Not;

class IdentityServiceTest : public AccessTest {};

TEST_F(IdentityServiceTest, ATokenMakesAsManyWorkersAsItSays) {
  const auto token = Token("join", "", "", absl::Hours(1), 2);
  ASSERT_TRUE(token.ok()) << token.status();
  const std::string first = *identity::MakeKey();
  ASSERT_TRUE(Join(*token, files::RandomId(), first).ok());
  const std::string id = files::RandomId(), second = *identity::MakeKey();
  const auto joined = Join(*token, id, second);
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->principal(), "worker/" + id);
  // The answer was lost, and the worker asks again: that uses up nothing.
  EXPECT_TRUE(Join(*token, id, second).ok());
  const auto third = Join(*token, files::RandomId(), *identity::MakeKey());
  EXPECT_EQ(third.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(third.status().message()), HasSubstr("used up"));
}

TEST_F(IdentityServiceTest, NobodyJoinsAsAWorkerThatIsThere) {
  const std::string id = files::RandomId();
  const auto token = *Token("join", "", "", absl::Hours(1), 9);
  ASSERT_TRUE(Join(token, id, *identity::MakeKey()).ok());
  EXPECT_EQ(Join(token, id, *identity::MakeKey()).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Join(*identity::ReadCredential(admin_folder()), id, *identity::MakeKey()).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(IdentityServiceTest, ATokenEndsAtItsTime) {
  const auto token = *Token("join", "", "", absl::Seconds(1));
  const auto client = ClientOf(token);  // connected in time
  v1::JoinRequest request;
  request.set_worker_id(files::RandomId());
  request.set_request(*identity::MakeRequest(*identity::MakeKey()));
  ASSERT_TRUE(client->Join(request).ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  EXPECT_EQ(client->Join(request).status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(IdentityServiceTest, ALoginTokenIsForOneKey) {
  const auto token = *Token("login", "lena", "submitter");
  const std::string key = *identity::MakeKey();
  const auto user = LogIn(token, key);
  ASSERT_TRUE(user.ok()) << user.status();
  EXPECT_TRUE(LogIn(token, key).ok());  // its answer was lost
  EXPECT_EQ(LogIn(token).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(ClientOf(*user)->ListSweeps({}).ok());
}

TEST_F(IdentityServiceTest, RolesChangeForCertificatesThatAreOut) {
  const auto user = ClientOf(User("lena", "viewer"));
  EXPECT_EQ(user->SubmitSweep(testing::Submission(testing::SweepYaml("one", "1e-3"))).status().code(),
            absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(Token("login", "lena", "submitter").ok());
  EXPECT_TRUE(user->SubmitSweep(testing::Submission(testing::SweepYaml("one", "1e-3"))).ok());
}

TEST_F(IdentityServiceTest, AProgramsTokenIsNotRenewedAndItsSecretIsNotKept) {
  const auto token = Token("token", "ci", "submitter");
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_TRUE(ClientOf(*token)->ListSweeps({}).ok());
  EXPECT_EQ(ClientOf(*token)->Renew({}).status().code(), absl::StatusCode::kPermissionDenied);
  StopServer();
  std::string stored;
  for (const char* file : {"data/tls/identity.db", "data/tls/identity.db-wal"}) {
    const auto text = files::ReadFile(folder_ / file, 64 << 20);
    if (text.ok()) stored += *text;
  }
  EXPECT_THAT(stored, HasSubstr(identity::Sha256(token->secret)));
  EXPECT_THAT(stored, Not(HasSubstr(token->secret)));
  StartServer();
  EXPECT_TRUE(ClientOf(*token)->ListSweeps({}).ok());
}

TEST_F(IdentityServiceTest, ANewTokenOfAProgramTakesThePlaceOfTheOldOne) {
  const auto first = *Token("token", "ci", "viewer");
  const auto client = ClientOf(first);
  ASSERT_TRUE(client->ListSweeps({}).ok());
  const auto second = *Token("token", "ci", "viewer");
  EXPECT_EQ(client->ListSweeps({}).status().code(), absl::StatusCode::kUnauthenticated);
  identity::Credential mixed = first;  // the old certificate with the new secret
  mixed.secret = second.secret;
  EXPECT_EQ(ClientOf(mixed)->ListSweeps({}).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(ClientOf(second)->ListSweeps({}).ok());
  // Neither is the user of the same name touched.
  const auto user = ClientOf(User("ci", "viewer"));
  ASSERT_TRUE(Revoke("token/ci").ok());
  EXPECT_EQ(ClientOf(second)->ListSweeps({}).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(user->ListSweeps({}).ok());
}

TEST_F(IdentityServiceTest, WhatIsAskedForIsLookedAt) {
  EXPECT_EQ(Token("login", "../x", "viewer").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Token("login", "admin", "viewer").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Token("login", "lena", "worker").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Token("king", "lena", "viewer").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Token("join", "lena", "").status().code(), absl::StatusCode::kInvalidArgument);
  v1::CreateTokenRequest bare;  // as the sinkctl of the first release asks
  bare.set_kind("token");
  bare.set_name("ci");
  bare.set_role("viewer");
  bare.set_ttl_ms(60'000);
  bare.set_request(*identity::MakeRequest(*identity::MakeKey()));
  EXPECT_EQ(client_->CreateToken(bare).status().code(), absl::StatusCode::kInvalidArgument);
  bare.set_secret_sha256(std::string(64, 'X'));
  EXPECT_EQ(client_->CreateToken(bare).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Revoke("user/nobody").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Revoke("user/admin").code(), absl::StatusCode::kFailedPrecondition);
  v1::JoinRequest request;
  request.set_worker_id(files::RandomId());
  request.set_request("-----BEGIN CERTIFICATE REQUEST-----\nx\n");
  EXPECT_EQ(client_->Join(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(IdentityServiceTest, ARevokedWorkerIsOutAtOnceAndLosesItsJobs) {
  const v1::Grant grant = RunningJob();  // on a connection that stays open
  const auto other = ClientOf(User("vera", "viewer"));
  ASSERT_TRUE(other->ListSweeps({}).ok());
  ASSERT_TRUE(Revoke(std::string("worker/") + testing::kWorkerId).ok());
  EXPECT_EQ(Report(grant.lease(), 2, {R"({"type":"log","level":"info","message":"x"})"}).status().code(),
            absl::StatusCode::kUnauthenticated);
  v1::GetJobRequest get;
  get.set_id(grant.lease().job_id());
  EXPECT_EQ(client_->GetJob(get)->job().state(), v1::QUEUED);
  EXPECT_TRUE(other->ListSweeps({}).ok());
  // Not with a new certificate either.
  EXPECT_EQ(Join(*identity::ReadCredential(admin_folder()), testing::kWorkerId, joined_[testing::kWorkerId].key)
                .status()
                .code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(IdentityServiceTest, ARevokedUserLosesWhatWasIssued) {
  const auto token = *Token("login", "lena", "admin");
  const auto user = ClientOf(User("lena", "admin"));
  ASSERT_TRUE(user->ListSweeps({}).ok());
  ASSERT_TRUE(Revoke("user/lena").ok());
  EXPECT_EQ(user->ListSweeps({}).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(LogIn(token).status().code(), absl::StatusCode::kUnauthenticated);
  // She may come back, with a new certificate; the old one stays out.
  EXPECT_TRUE(ClientOf(User("lena", "viewer"))->ListSweeps({}).ok());
  EXPECT_EQ(user->ListSweeps({}).status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(IdentityServiceTest, WhoMayCallIsRememberedOverARestart) {
  const auto kept = User("kept", "viewer"), gone = User("gone", "viewer");
  ASSERT_TRUE(Revoke("user/gone").ok());
  StopServer();
  StartServer();
  EXPECT_TRUE(ClientOf(kept)->ListSweeps({}).ok());
  EXPECT_EQ(ClientOf(gone)->ListSweeps({}).status().code(), absl::StatusCode::kUnauthenticated);
  const auto list = client_->ListPrincipals({});
  ASSERT_TRUE(list.ok());
  std::map<std::string, bool> revoked;
  for (const auto& principal : list->principals()) revoked[principal.name()] = principal.revoked();
  EXPECT_EQ(revoked.at("user/kept"), false);
  EXPECT_EQ(revoked.at("user/gone"), true);
}

// A message that is small on the wire and large in memory.
TEST_F(IdentityServiceTest, CompressedMessagesAreNotUnpacked) {
  const auto stub = v1::ClientService::NewStub(ChannelOf(*identity::ReadCredential(admin_folder())));
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::GetSweepRequest request;
  request.set_name(std::string(8 << 20, 'a'));
  v1::GetSweepResponse response;
  EXPECT_EQ(stub->GetSweep(&context, request, &response).error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace sink
