// How a worker gets, keeps and renews its certificate, against an authority that signs what it is asked.
#include "worker/enrolment.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "absl/time/clock.h"
#include "coordinator/identity/authority.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/identity/tls.h"
#include "proto/files/descriptor.h"
#include "sink/v1/identity.grpc.pb.h"
#include "tests/testing/temp_dir.h"

namespace sink::worker {
namespace {

using ::testing::HasSubstr;

constexpr char kId[] = "0123456789abcdef0123456789abcdef";

// A coordinator that lets everybody in.
class OpenDoor final : public v1::IdentityService::Service {
 public:
  explicit OpenDoor(const std::string& folder) : authority_(*identity::Authority::Open(folder, {}, absl::Now())) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", identity::MakeServerCredentials(authority_.server_folder()), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~OpenDoor() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status Join(grpc::ServerContext*, const v1::JoinRequest* request, v1::CertificateResponse* response) override {
    ++joins;
    key = *identity::PublicKeyOfRequest(request->request());
    response->set_certificate(
        authority_.Issue(key, "sink://worker/" + request->worker_id(), lifetime, absl::Now(), request->advertise())
            ->certificate);
    return grpc::Status::OK;
  }
  grpc::Status Renew(grpc::ServerContext*, const v1::RenewRequest*, v1::CertificateResponse* response) override {
    ++renewals;
    response->set_certificate(
        authority_.Issue(key, std::string("sink://worker/") + kId, absl::Hours(1), absl::Now())->certificate);
    return grpc::Status::OK;
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string admin_folder() const { return authority_.admin_folder(); }

  absl::Duration lifetime = absl::Hours(1);
  std::atomic<int> joins = 0, renewals = 0;  // also counted by a thread of the server
  std::string key;

 private:
  identity::Authority authority_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class EnrolmentTest : public ::testing::Test {
 protected:
  EnrolmentOptions Options(const OpenDoor& door) const {
    return {.address = door.address(),
            .folder = folder_ / "worker/tls",
            .worker_id = kId,
            .default_credential = door.admin_folder()};
  }

  testing::TempDir folder_;
  OpenDoor door_{folder_ / "door"};
};

TEST_F(EnrolmentTest, JoinsOnceAndIsKnownFromThenOn) {
  Enrolment enrolment(Options(door_));
  ASSERT_TRUE(enrolment.Ensure().ok());
  ASSERT_TRUE(enrolment.Ensure().ok());
  EXPECT_TRUE(Enrolment(Options(door_)).Ensure().ok());  // after a restart
  EXPECT_EQ(door_.joins, 1);
  const auto own = identity::ReadCredential(folder_ / "worker/tls");
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_EQ(identity::Describe(own->certificate)->uri, std::string("sink://worker/") + kId);
  struct stat info {};
  ASSERT_EQ(stat((folder_ / "worker/tls/key.pem").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(EnrolmentTest, AskingAgainIsForTheSameKey) {
  ASSERT_TRUE(Enrolment(Options(door_)).Ensure().ok());
  const std::string first = door_.key;
  std::filesystem::remove(folder_ / "worker/tls/cert.pem");  // as if the answer had been lost
  ASSERT_TRUE(Enrolment(Options(door_)).Ensure().ok());
  EXPECT_EQ(door_.joins, 2);
  EXPECT_EQ(door_.key, first);
}

TEST_F(EnrolmentTest, ADamagedKeyIsNamedWithTheWayOutAndWaitedFor) {
  ASSERT_TRUE(Enrolment(Options(door_)).Ensure().ok());
  const std::string path = folder_ / "worker/tls/key.pem", certificate = folder_ / "worker/tls/cert.pem";
  const std::string key = identity::ReadCredential(folder_ / "worker/tls")->key;
  Enrolment enrolment(Options(door_));
  const auto expect_named = [&] {
    const absl::Status refused = enrolment.Ensure();
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
    for (const std::string& part : {path, std::string("sinkctl worker token"), std::string("worker.id")})
      EXPECT_THAT(std::string(refused.message()), HasSubstr(part));
  };
  std::ofstream(path) << std::string(9000, 'x');
  expect_named();
  std::filesystem::rename(certificate, certificate + ".kept");
  expect_named();
  std::filesystem::rename(certificate + ".kept", certificate);
  std::ofstream(path) << key;
  EXPECT_TRUE(enrolment.Ensure().ok()) << "without a restart";
  EXPECT_EQ(door_.joins, 1);
}

TEST_F(EnrolmentTest, ForADamagedCertificateItGetsAnotherOrNamesTheFile) {
  for (const char* const name : {"worker/tls/cert.pem", "worker/tls/ca.pem"}) {
    ASSERT_TRUE(Enrolment(Options(door_)).Ensure().ok());
    const std::string key = door_.key;
    const int joins = door_.joins;
    std::ofstream(folder_ / name) << "x";
    EnrolmentOptions alone = Options(door_);
    alone.default_credential = folder_ / "nothing";
    const absl::Status refused = Enrolment(alone).Ensure();
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr(folder_ / name));
    EXPECT_TRUE(Enrolment(Options(door_)).Ensure().ok());
    EXPECT_EQ(door_.joins, joins + 1);
    EXPECT_EQ(door_.key, key);
  }
}

TEST_F(EnrolmentTest, JoinsAnewWhereTheCoordinatorIsAnother) {
  ASSERT_TRUE(Enrolment(Options(door_)).Ensure().ok());
  OpenDoor other(folder_ / "other");
  ASSERT_TRUE(Enrolment(Options(other)).Ensure().ok());
  EXPECT_EQ(other.joins, 1);
}

TEST_F(EnrolmentTest, JoinsAnewToBeNamedByTheHostThatItAdvertises) {
  ASSERT_TRUE(Enrolment(Options(door_)).Ensure().ok());
  EnrolmentOptions options = Options(door_);
  options.advertise = "node-1";
  Enrolment named(options);
  ASSERT_TRUE(named.Ensure().ok());
  ASSERT_TRUE(named.Ensure().ok());
  EXPECT_EQ(door_.joins, 2);
  EXPECT_EQ(identity::Describe(identity::ReadCredential(folder_ / "worker/tls")->certificate)->host, "node-1");
  // What it has goes on where there is nothing to join with.
  options.advertise = "node-2";
  options.default_credential = folder_ / "nothing";
  EXPECT_TRUE(Enrolment(options).Ensure().ok());
  EXPECT_EQ(door_.joins, 2);
}

TEST_F(EnrolmentTest, JoinsAnewWhenItsTimeIsOver) {
  door_.lifetime = absl::Seconds(1);
  ASSERT_TRUE(Enrolment(Options(door_)).Ensure().ok());
  absl::SleepFor(absl::Milliseconds(1500));
  ASSERT_TRUE(Enrolment(Options(door_)).Ensure().ok());
  EXPECT_EQ(door_.joins, 2);
}

TEST_F(EnrolmentTest, RenewsWhenTwoThirdsAreOver) {
  // A certificate tells whole seconds: it may be over a second earlier than this, and is due after six of them.
  door_.lifetime = absl::Seconds(9);
  Enrolment enrolment(Options(door_));
  ASSERT_TRUE(enrolment.Ensure().ok());
  auto client = *CoordinatorClient::Create({.address = door_.address(), .credentials = folder_ / "worker/tls"});
  ASSERT_TRUE(enrolment.RenewIfDue(*client).ok());
  EXPECT_EQ(door_.renewals, 0);
  absl::SleepFor(absl::Milliseconds(6100));
  ASSERT_TRUE(enrolment.RenewIfDue(*client).ok());
  EXPECT_EQ(door_.renewals, 1);
  EXPECT_GT(identity::Describe(identity::ReadCredential(folder_ / "worker/tls")->certificate)->not_after,
            absl::Now() + absl::Minutes(50));
}

// Clocks that a test moves.
struct PlayedClocks {
  absl::Time now = absl::Now();
  absl::Duration since_boot = absl::Hours(1);
  EnrolmentClocks clocks() {
    return {.now = [this] { return now; }, .since_boot = [this] { return since_boot; }};
  }
  void Pass(absl::Duration time) {
    now += time;
    since_boot += time;
  }
};

// The door's certificates are for an hour, after which a real clock says that they are not over.
TEST_F(EnrolmentTest, AClockThatWasAheadKeepsNobodyFromRenewing) {
  PlayedClocks played;
  played.now += absl::Minutes(10);  // ahead
  Enrolment enrolment(Options(door_), played.clocks());
  ASSERT_TRUE(enrolment.Ensure().ok());
  auto client = *CoordinatorClient::Create({.address = door_.address(), .credentials = folder_ / "worker/tls"});
  ASSERT_TRUE(enrolment.RenewIfDue(*client).ok());
  EXPECT_EQ(door_.renewals, 0);
  // Far ahead: due, and so is the next one, yet not at each heartbeat.
  played.now += absl::Hours(24 * 365);
  played.Pass(absl::Minutes(1));
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(enrolment.RenewIfDue(*client).ok());
    played.Pass(absl::Seconds(5));
  }
  EXPECT_EQ(door_.renewals, 1);
  // Set right, it renews when it is time, without a restart.
  played.now = absl::Now();
  played.Pass(absl::Minutes(2));
  ASSERT_TRUE(enrolment.RenewIfDue(*client).ok());
  EXPECT_EQ(door_.renewals, 1);
  played.Pass(absl::Minutes(41));
  ASSERT_TRUE(enrolment.RenewIfDue(*client).ok());
  EXPECT_EQ(door_.renewals, 2);
}

TEST_F(EnrolmentTest, AClockThatIsBehindKeepsNobodyFromRenewing) {
  PlayedClocks played;
  played.now -= absl::Hours(24 * 365);
  Enrolment enrolment(Options(door_), played.clocks());
  ASSERT_TRUE(enrolment.Ensure().ok());
  auto client = *CoordinatorClient::Create({.address = door_.address(), .credentials = folder_ / "worker/tls"});
  ASSERT_TRUE(enrolment.RenewIfDue(*client).ok());
  played.Pass(absl::Minutes(39));
  ASSERT_TRUE(enrolment.RenewIfDue(*client).ok());
  EXPECT_EQ(door_.renewals, 0);
  played.Pass(absl::Minutes(2));
  ASSERT_TRUE(enrolment.RenewIfDue(*client).ok());
  EXPECT_EQ(door_.renewals, 1);
}

TEST_F(EnrolmentTest, WithoutACredentialItWaitsForOne) {
  EnrolmentOptions options = Options(door_);
  options.default_credential = folder_ / "nothing";
  const absl::Status status = Enrolment(options).Ensure();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no credential for it in " + options.default_credential));
  EXPECT_THAT(std::string(status.message()), HasSubstr("sinkctl worker token"));
  options.default_credential.clear();
  EXPECT_THAT(std::string(Enrolment(options).Ensure().message()),
              HasSubstr("no credential for it, and neither $HOME nor $SINK_CREDENTIALS says where one would be; "));
}

TEST_F(EnrolmentTest, WithoutACredentialItSaysWhenWhatAnswersIsNoCoordinator) {
  const files::Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  socklen_t size = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener.get(), 8), 0);
  ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  EnrolmentOptions options = Options(door_);
  options.address = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  options.default_credential = folder_ / "nothing";
  std::thread hangs_up([&listener] { const files::Fd peer(accept(listener.get(), nullptr, nullptr)); });
  const absl::Status status = Enrolment(options).Ensure();
  hangs_up.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(options.address + ", but it is not a coordinator"));
}

TEST_F(EnrolmentTest, ATokenIsReadFromAFileOnly) {
  EXPECT_THAT(std::string(ReadJoinOption("sink-join:abc").status().message()), HasSubstr("every user could read it"));
  EXPECT_FALSE(ReadJoinOption("")->has_value());
  EXPECT_FALSE(ReadJoinOption("@" + (folder_ / "gone"))->has_value());
  const std::string path = folder_ / "token";
  std::ofstream(path) << identity::EncodeBundle(identity::kJoinBundle, {.address = "head:7070", .credential = {}});
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  const auto read = ReadJoinOption("@" + path);
  ASSERT_TRUE(read.ok() && read->has_value()) << read.status();
  EXPECT_EQ((*read)->address, "head:7070");
  ASSERT_EQ(chmod(path.c_str(), 0644), 0);
  EXPECT_EQ(ReadJoinOption("@" + path).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace sink::worker
