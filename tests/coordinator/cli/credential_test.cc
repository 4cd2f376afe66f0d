// sinkctl user, worker, login and audit against a real coordinator.
#include "coordinator/identity/credential.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/time/clock.h"
#include "coordinator/cli/base/exit_codes.h"
#include "coordinator/identity/certificate.h"
#include "proto/files/random_id.h"
#include "tests/coordinator/cli/helpers/cli_fixture.h"

namespace sink::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CredentialTest : public CliTest {
 protected:
  std::string ReadFile(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // sinkctl of somebody whose home is that folder.
  Result SinkctlOf(const std::string& home, const std::vector<std::string>& args) {
    return RunSinkctl(args, {.environment = {{"HOME", folder_ / home}, {"SINK_COORDINATOR", server_->address()}}});
  }
};

TEST_F(CredentialTest, AUserLogsInOnceAndMayDoWhatTheRoleSays) {
  const std::string token = folder_ / "token";
  const Result added = Sinkctl({"user", "add", "alice", "--role", "viewer", "--out", token});
  ASSERT_EQ(added.code, kOk) << added.err;
  EXPECT_EQ(added.out, "");
  EXPECT_THAT(added.err, HasSubstr("sinkctl login"));
  EXPECT_THAT(ReadFile(token), StartsWith("sink-login:"));
  struct stat info {};
  ASSERT_EQ(stat(token.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);

  EXPECT_EQ(SinkctlOf("alice", {"status"}).code, kUnreachable);  // no credential yet
  const Result login = SinkctlOf("alice", {"login", token});
  ASSERT_EQ(login.code, kOk) << login.err;
  EXPECT_THAT(login.out, HasSubstr("user/alice"));
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("theirs", {"1e-3"})}).code, kOk);
  EXPECT_THAT(SinkctlOf("alice", {"status"}).out, HasSubstr("theirs"));
  EXPECT_EQ(SinkctlOf("alice", {"cancel", "theirs"}).code, kRefused);
  EXPECT_EQ(SinkctlOf("eve", {"login", token}).code, kRefused);  // the token is used up
  EXPECT_THAT(Sinkctl({"user", "list"}).out, HasSubstr("user/alice"));

  ASSERT_EQ(Sinkctl({"user", "revoke", "alice"}).code, kOk);
  EXPECT_EQ(SinkctlOf("alice", {"status"}).code, kRefused);
  EXPECT_EQ(Sinkctl({"user", "revoke", "nobody"}).code, kNotFound);
  const Result audit = Sinkctl({"audit"});
  EXPECT_THAT(audit.out, HasSubstr("CreateToken"));
  EXPECT_THAT(audit.out, HasSubstr("Revoke"));
}

TEST_F(CredentialTest, SubmitRetryRunsAnothersFailedJobThatOnesOwnSweepWants) {
  const std::string token = folder_ / "token";
  ASSERT_EQ(Sinkctl({"user", "add", "bob", "--role", "submitter", "--out", token}).code, kOk);
  ASSERT_EQ(SinkctlOf("bob", {"login", token}).code, kOk);
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("admins", {"1e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  ASSERT_EQ(grants.size(), 1u);
  Finish(grants[0], v1::FAILED, "why");
  const Result retried = SinkctlOf("bob", {"submit", WriteSweep("bobs", {"1e-3"}), "--retry"});
  ASSERT_EQ(retried.code, kOk) << retried.err;
  EXPECT_THAT(retried.out, HasSubstr("1 stored job queued again"));
  EXPECT_EQ(SinkctlOf("bob", {"cancel", JobId("bobs", 0)}).code, kRefused) << "the admins want it, too";
}

class ShortLivedTest : public CredentialTest {
 protected:
  void SetUp() override {
    ServerOptions options;
    options.data = folder_ / "coordinator";
    options.listen = options.metrics_listen = "127.0.0.1:0";
    options.lifetimes.user = absl::Seconds(6);
    server_ = *Server::Start(options);
  }
};

TEST_F(ShortLivedTest, AUsersCertificateIsRenewedByUsingIt) {
  const std::string token = folder_ / "token";
  ASSERT_EQ(Sinkctl({"user", "add", "alice", "--role", "viewer", "--out", token}).code, kOk);
  ASSERT_EQ(SinkctlOf("alice", {"login", token}).code, kOk);
  const std::string place = folder_ / ("alice/.config/sink/" + identity::AddressFolder(server_->address()));
  const auto first = *identity::ReadCredential(place);
  EXPECT_EQ(SinkctlOf("alice", {"status"}).code, kOk);
  EXPECT_EQ(identity::ReadCredential(place)->certificate, first.certificate);  // not yet
  absl::SleepFor(absl::Seconds(4));
  const Result status = SinkctlOf("alice", {"status"});
  EXPECT_EQ(status.code, kOk) << status.err;
  EXPECT_EQ(status.err, "");
  const auto second = *identity::ReadCredential(place);
  EXPECT_NE(second.certificate, first.certificate);
  EXPECT_EQ(second.key, first.key);
  absl::SleepFor(absl::Seconds(3));  // the first one's time is over
  EXPECT_EQ(SinkctlOf("alice", {"status"}).code, kOk);
}

TEST_F(CredentialTest, AProgramsTokenIsAFileOrAVariableOfACi) {
  const std::string file = folder_ / "ci";
  const Result made = Sinkctl({"user", "token", "ci", "--role", "submitter", "--ttl", "1h", "--out", file});
  ASSERT_EQ(made.code, kOk) << made.err;
  EXPECT_THAT(made.err, HasSubstr("SINK_TOKEN"));
  // The line says where the coordinator is; a folder for people that lies about does not matter.
  const Place pasted{.environment = {{"SINK_TOKEN", ReadFile(file)}, {"HOME", folder_ / "home"}}};
  const Result submitted = RunSinkctl({"submit", WriteSweep("cis", {"1e-3"})}, pasted);
  EXPECT_EQ(submitted.code, kOk) << submitted.err;
  EXPECT_THAT(Sinkctl({"audit"}).out, HasSubstr("token/ci"));
  EXPECT_THAT(Sinkctl({"user", "list"}).out, HasSubstr("token/ci"));
  EXPECT_EQ(RunSinkctl({"status"}, {.environment = {{"SINK_TOKEN", "sink-token:x"}}}).code, kRefused);
  const Place place{.environment = {{"SINK_CREDENTIALS", file}}};
  EXPECT_EQ(RunSinkctl({"status"}, place).code, kOk);
  ASSERT_EQ(chmod(file.c_str(), 0644), 0);
  const Result open = RunSinkctl({"status"}, place);
  EXPECT_EQ(open.code, kRefused);
  EXPECT_THAT(open.err, HasSubstr("chmod 600"));
  ASSERT_EQ(Sinkctl({"user", "revoke", "token/ci"}).code, kOk);
  EXPECT_EQ(RunSinkctl({"status"}, pasted).code, kRefused);
}

TEST_F(CredentialTest, AnAdminsTokenMakesTokensForTheSameCoordinator) {
  const std::string file = folder_ / "root";
  ASSERT_EQ(Sinkctl({"user", "token", "root", "--role", "admin", "--out", file}).code, kOk);
  const Place place{.environment = {{"SINK_TOKEN", ReadFile(file)}}};
  const Result made = RunSinkctl({"user", "token", "ci", "--role", "viewer"}, place);
  ASSERT_EQ(made.code, kOk) << made.err;
  EXPECT_EQ(RunSinkctl({"status"}, {.environment = {{"SINK_TOKEN", made.out}}}).code, kOk);
}

class AdvertisedTest : public CredentialTest {
 protected:
  void SetUp() override {
    ServerOptions options;
    options.data = folder_ / "coordinator";
    options.listen = options.metrics_listen = "127.0.0.1:0";
    options.advertise = "head.example:7070";
    server_ = *Server::Start(options);
  }
  std::string AddressIn(const Result& made) {
    const auto bundle = identity::DecodeBundle(identity::kJoinBundle, made.out);
    return bundle.ok() ? bundle->address : bundle.status().ToString();
  }
};

TEST_F(AdvertisedTest, ATokenSaysWhereOtherMachinesReachTheCoordinator) {
  const Result made = Sinkctl({"worker", "token"});
  EXPECT_EQ(AddressIn(made), "head.example:7070");
  EXPECT_THAT(made.err, Not(HasSubstr("own address")));
  EXPECT_EQ(AddressIn(Sinkctl({"worker", "token", "--address", "10.0.0.5:7070"})), "10.0.0.5:7070");
}

TEST_F(CredentialTest, AWorkerJoinsByATokenAndIsRevokedByItsName) {
  const Result token = Sinkctl({"worker", "token", "--json"});
  ASSERT_EQ(token.code, kOk) << token.err;
  const auto bundle = identity::DecodeBundle(identity::kJoinBundle, token.json()["token"].get<std::string>());
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  EXPECT_EQ(bundle->address, server_->address());
  auto client = *CoordinatorClient::Create({.address = bundle->address, .credential = bundle->credential});
  v1::JoinRequest join;
  join.set_worker_id(files::RandomId());
  join.set_request(*identity::MakeRequest(*identity::MakeKey()));
  EXPECT_TRUE(client->Join(join).ok());
  // A token that has leaked is taken back by the name that the list has.
  const Json principals = Sinkctl({"user", "list", "--json"}).json()["principals"];
  const auto listed = std::find_if(principals.begin(), principals.end(),
                                   [](const Json& row) { return row["name"].get<std::string>().starts_with("join/"); });
  ASSERT_NE(listed, principals.end());
  ASSERT_EQ(Sinkctl({"user", "revoke", (*listed)["name"].get<std::string>()}).code, kOk);
  EXPECT_EQ(client->Join(join).status().code(), absl::StatusCode::kUnauthenticated);

  StartWorker();
  ASSERT_EQ(Sinkctl({"worker", "revoke", "worker-1"}).code, kOk);
  EXPECT_EQ(worker_->Register({}).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Sinkctl({"worker", "revoke", "worker-9"}).code, kNotFound);
}

TEST_F(CredentialTest, MistakesAreNamed) {
  EXPECT_EQ(Sinkctl({"user", "add", "alice", "--role", "king"}).code, kUsage);
  EXPECT_EQ(Sinkctl({"user", "add", "../alice", "--role", "viewer"}).code, kUsage);
  EXPECT_THAT(Sinkctl({"worker", "token", "--ttl", "soon"}).err, HasSubstr("12h or 30d"));
  const Result blank = Sinkctl({"worker", "token", "--address", " head:7070"});
  EXPECT_EQ(blank.code, kUsage);
  EXPECT_THAT(blank.err, HasSubstr("--address: \" head:7070\" is not an address of a coordinator: it has no blanks; "
                                   "write head:7070"));
  EXPECT_EQ(blank.out, "") << "no worker could join by it";
  ASSERT_EQ(Sinkctl({"user", "add", "bob", "--role", "viewer", "--out", folder_ / "bob.login"}).code, kOk);
  const Result scheme = SinkctlOf("bob", {"login", folder_ / "bob.login", "--address", "http://head:7070"});
  EXPECT_EQ(scheme.code, kUsage);
  EXPECT_THAT(scheme.err, HasSubstr("--address: \"http://head:7070\""));
  std::ofstream(folder_ / "bad") << "sink-login:x\n";
  ASSERT_EQ(chmod((folder_ / "bad").c_str(), 0600), 0);
  EXPECT_EQ(SinkctlOf("alice", {"login", folder_ / "bad"}).code, kUsage);
  EXPECT_EQ(SinkctlOf("alice", {"login", folder_ / "nothing"}).code, kBadFile);
  // A login must not overwrite the credential of a coordinator of this user's own.
  const std::string link = folder_ / ("alice/.config/sink/" + identity::AddressFolder(server_->address()));
  std::filesystem::create_directories(std::filesystem::path(link).parent_path());
  std::filesystem::create_symlink(folder_ / "coordinator/tls/admin", link);
  const std::string token = folder_ / "token";
  ASSERT_EQ(Sinkctl({"user", "add", "alice", "--role", "viewer", "--out", token}).code, kOk);
  EXPECT_EQ(SinkctlOf("alice", {"login", token}).code, kRefused);
}

}  // namespace
}  // namespace sink::cli
