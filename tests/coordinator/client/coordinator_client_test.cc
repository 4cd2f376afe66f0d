// The client against a server that misbehaves on purpose.
#include "coordinator/client/coordinator_client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "coordinator/errors/grpc_status.h"
#include "coordinator/identity/authority.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/identity/credential.h"
#include "coordinator/identity/tls.h"
#include "sink/v1/client.grpc.pb.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class FakeService final : public v1::ClientService::Service {
 public:
  grpc::Status ListSweeps(grpc::ServerContext*, const v1::ListSweepsRequest*, v1::ListSweepsResponse*) override {
    ++calls;
    if (calls <= unavailable) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "not now");
    if (calls <= overloaded) return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "Server Threadpool Exhausted");
    return answer;
  }
  grpc::Status GetSweep(grpc::ServerContext* context, const v1::GetSweepRequest*, v1::GetSweepResponse*) override {
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return grpc::Status::CANCELLED;
  }
  grpc::Status WatchSweep(grpc::ServerContext*, const v1::WatchSweepRequest*,
                          grpc::ServerWriter<v1::GetSweepResponse>* writer) override {
    ++calls;
    if (calls <= unavailable) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "not now");
    writer->Write({});
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "cut");
  }

  std::atomic<int> calls = 0;
  std::atomic<int> unavailable = 0;  // so many calls fail first
  std::atomic<int> overloaded = 0;   // likewise, as gRPC lets them fail that has no thread
  grpc::Status answer;
};

class CoordinatorClientTest : public ::testing::Test {
 protected:
  CoordinatorClientTest() {
    credentials_ = authority_->admin_folder();
    Serve();
  }
  // At the port of the last time.
  void Serve() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port_),
                             identity::MakeServerCredentials(authority_->server_folder()), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
  }
  std::unique_ptr<CoordinatorClient> Client(ClientOptions options = {}) {
    options.address = "127.0.0.1:" + std::to_string(port_);
    options.credentials = credentials_;
    return *CoordinatorClient::Create(options);
  }

  testing::TempDir folder_;
  const absl::StatusOr<identity::Authority> authority_ = identity::Authority::Open(folder_ / "tls", {}, absl::Now());
  std::string credentials_;
  FakeService service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(CoordinatorClientTest, TriesAgainWhileUnavailable) {
  service_.unavailable = 2;
  EXPECT_TRUE(Client()->ListSweeps({}).ok());
  EXPECT_EQ(service_.calls, 3);
}

TEST_F(CoordinatorClientTest, TriesOnceWhenTold) {
  service_.unavailable = 1;
  EXPECT_EQ(
      Client({.address = "", .credentials = "", .retry_for = absl::ZeroDuration()})->ListSweeps({}).status().code(),
      absl::StatusCode::kUnavailable);
  EXPECT_EQ(service_.calls, 1);
}

TEST_F(CoordinatorClientTest, TriesAgainWhileTheCoordinatorHasNoThread) {
  service_.overloaded = 2;
  EXPECT_TRUE(Client()->ListSweeps({}).ok());
  EXPECT_EQ(service_.calls, 3);
}

TEST_F(CoordinatorClientTest, ACoordinatorThatStaysWithoutAThreadIsNamed) {
  service_.overloaded = 1000;
  const absl::Status status = Client({.address = "", .retry_for = absl::ZeroDuration()})->ListSweeps({}).status();
  EXPECT_EQ(status, absl::UnavailableError("the coordinator at 127.0.0.1:" + std::to_string(port_) +
                                           " has no room for this call now: Server Threadpool Exhausted"));
}

TEST_F(CoordinatorClientTest, AQuotaThatIsUsedUpIsNoReasonToTryAgain) {
  service_.answer = ToGrpc(absl::ResourceExhaustedError("lena has 100000 jobs in the queue"));
  EXPECT_EQ(Client()->ListSweeps({}).status(), absl::ResourceExhaustedError("lena has 100000 jobs in the queue"));
  EXPECT_EQ(service_.calls, 1);
}

TEST_F(CoordinatorClientTest, OtherErrorsComeBackAtOnceAsTheyAre) {
  service_.answer = grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "stale lease: gone");
  const absl::Status status = Client()->ListSweeps({}).status();
  EXPECT_EQ(status, absl::FailedPreconditionError("stale lease: gone"));
  EXPECT_EQ(service_.calls, 1);
}

TEST_F(CoordinatorClientTest, AbsentCoordinatorIsNamed) {
  server_->Shutdown();
  server_.reset();
  const auto begin = absl::Now();
  const absl::Status status =
      Client({.address = "", .credentials = "", .retry_for = absl::Milliseconds(600)})->ListSweeps({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("cannot reach the coordinator at 127.0.0.1:" + std::to_string(port_)),
                    HasSubstr("is it running?"), HasSubstr("sink-coordinator --data")));
  EXPECT_GE(absl::Now() - begin, absl::Milliseconds(500));  // it did try again
  EXPECT_LE(absl::Now() - begin, absl::Seconds(5));
}

TEST_F(CoordinatorClientTest, ACertificateThatIsNotGoodByOurClockIsNamedWithWhatTheClockSays) {
  identity::Credential ours = *identity::ReadCredential(authority_->admin_folder());
  const absl::Time then = absl::Now() - absl::Hours(48);
  ours.certificate =
      authority_->Issue(*identity::PublicKeyOfKey(ours.key), identity::kAdminUri, absl::Hours(1), then)->certificate;
  credentials_ = folder_ / "ended";
  ASSERT_TRUE(identity::WriteCredential(credentials_, ours).ok());
  const absl::Status status = Client({.address = "", .retry_for = absl::ZeroDuration()})->ListSweeps({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  const std::string end = absl::FormatTime("%Y-%m-%d %H:%M", then + absl::Hours(1), absl::UTCTimeZone());
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("our certificate is good from 2025-01-01 00:00 to " + end),
                    HasSubstr("by this machine's clock it is "), HasSubstr("set the clock if it is wrong")));
}

// A worker tries each second or so, and a handshake takes several turns.
TEST_F(CoordinatorClientTest, ACoordinatorThatComesLaterIsFoundByCallsThatDoNotWait) {
  server_->Shutdown();
  server_.reset();
  const auto client = Client({.address = "", .retry_for = absl::ZeroDuration()});
  EXPECT_EQ(client->ListSweeps({}).status().code(), absl::StatusCode::kUnavailable);
  Serve();
  const absl::Time begin = absl::Now();
  while (!client->ListSweeps({}).ok() && absl::Now() - begin < absl::Seconds(10))
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(3));
}

TEST_F(CoordinatorClientTest, EachConnectionIsToldWithoutACall) {
  std::atomic<int> connections = 0;
  const auto client = Client({.address = "", .retry_for = absl::ZeroDuration(), .on_connect = [&] { ++connections; }});
  const auto wait_for = [&connections](int number) {
    for (int i = 0; i < 500 && connections < number; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return connections.load();
  };
  client->ListSweeps({}).IgnoreError();  // makes the channel
  EXPECT_EQ(wait_for(1), 1);
  server_->Shutdown();
  server_.reset();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(connections, 1);
  Serve();
  EXPECT_EQ(wait_for(2), 2);
}

TEST_F(CoordinatorClientTest, ACoordinatorThatAnswersIsNotSaidToBeOutOfReach) {
  service_.answer = ToGrpc(absl::UnavailableError("database is busy"));
  const absl::Status status = Client({.address = "", .retry_for = absl::ZeroDuration()})->ListSweeps({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("database is busy"), ::testing::Not(HasSubstr("cannot reach"))));
}

TEST_F(CoordinatorClientTest, CancelCallsEndsThePauseBetweenTwoTries) {
  service_.unavailable = 1000;
  const auto client = Client({.address = "", .retry_for = absl::Seconds(30)});
  std::thread canceller([&] {
    while (service_.calls < 3) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    client->CancelCalls();
  });
  EXPECT_EQ(client->ListSweeps({}).status().code(), absl::StatusCode::kCancelled);
  canceller.join();
}

TEST_F(CoordinatorClientTest, SilentCoordinatorIsADeadline) {
  const absl::Status status =
      Client({.address = "", .credentials = "", .deadline = absl::Milliseconds(200)})->GetSweep({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("did not answer within 200ms"));
}

TEST_F(CoordinatorClientTest, StreamIsTriedAgainOnlyBeforeItsFirstMessage) {
  service_.unavailable = 1;
  int messages = 0;
  const absl::Status status = Client()->WatchSweep({}, [&](const auto&) { return ++messages, true; });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(messages, 1);
  EXPECT_EQ(service_.calls, 2);
}

TEST_F(CoordinatorClientTest, ReceiverMayEndAStream) {
  EXPECT_TRUE(Client()->WatchSweep({}, [](const auto&) { return false; }).ok());
}

TEST_F(CoordinatorClientTest, CancelCallsEndsWhatRunsAndRefusesTheRest) {
  const auto client = Client();
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    client->CancelCalls();
  });
  EXPECT_EQ(client->GetSweep({}).status().code(), absl::StatusCode::kCancelled);
  canceller.join();
  EXPECT_EQ(client->ListSweeps({}).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(CoordinatorClientTest, UnreadableFileIsALocalError) {
  EXPECT_EQ(Client()->WriteCheckpointFile({}, "/nonexistent/file").status().code(), absl::StatusCode::kDataLoss);
}

TEST(CoordinatorClient, AddressMustBeHostAndPort) {
  for (const char* address : {"", "host", ":7070", "host:", "host:x", "host:0", "host:70000"}) {
    EXPECT_EQ(CoordinatorClient::Create({.address = address}).status().code(), absl::StatusCode::kInvalidArgument)
        << address;
  }
}

}  // namespace
}  // namespace sink
