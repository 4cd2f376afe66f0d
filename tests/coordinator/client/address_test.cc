// Addresses as people write them, and what may be listening there.
#include "coordinator/client/address.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "coordinator/client/coordinator_client.h"
#include "coordinator/identity/authority.h"
#include "coordinator/identity/tls.h"
#include "sink/v1/client.grpc.pb.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

using ::testing::HasSubstr;

std::string Refusal(const std::string& text) { return std::string(CheckAddress(text).message()); }

TEST(Address, ThatIsRightIsTaken) {
  for (const char* text : {"127.0.0.1:7070", "head-1.cluster:65535", "[::1]:7070", "[fe80::1]:1", "localhost:7070"})
    EXPECT_TRUE(CheckAddress(text).ok()) << text;
}

TEST(Address, ThatIsWrongIsRefusedWithWhatToWrite) {
  EXPECT_EQ(
      Refusal("http://127.0.0.1:7070/metrics"),
      "\"http://127.0.0.1:7070/metrics\" is not an address of a coordinator: it has no scheme; write 127.0.0.1:7070");
  EXPECT_THAT(Refusal("grpc://head:7070"), HasSubstr("write head:7070"));
  EXPECT_THAT(Refusal("::1:7070"), HasSubstr("in brackets; write [::1]:7070"));
  EXPECT_THAT(Refusal("fe80:0:0:0:0:0:0:1:7070"), HasSubstr("in brackets; write [fe80:0:0:0:0:0:0:1]:7070"));
  EXPECT_THAT(Refusal("::1"), HasSubstr("write [::1]:7070"));
  EXPECT_THAT(Refusal(" head:7070"), HasSubstr("it has no blanks; write head:7070"));
  EXPECT_THAT(Refusal("head:7070\n"), HasSubstr("write head:7070"));
  EXPECT_THAT(Refusal("head: 7070"), HasSubstr("it has no blanks; write head:7070"));
  EXPECT_THAT(Refusal("user@head:7070"), HasSubstr("it has no user; write head:7070"));
  EXPECT_THAT(Refusal("head:7070/"), HasSubstr("it has no path; write head:7070"));
  EXPECT_THAT(Refusal("ssh://me@head:7070/"), HasSubstr("write head:7070"));
  EXPECT_THAT(Refusal("head"), HasSubstr("the port is missing; write host:port, e.g. head:7070"));
  EXPECT_THAT(Refusal("[::1]"), HasSubstr("the port is missing"));
  for (const char* text : {"", ":7070", "head:", "head:0", "head:65536", "head:seven", "[head]:7070", "unix:/run/sink"})
    EXPECT_EQ(CheckAddress(text).code(), absl::StatusCode::kInvalidArgument) << text;
}

// A socket that listens, and sends one text to whoever connects.
class Listener {
 public:
  explicit Listener(std::string text) {
    socket_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in any{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    bind(socket_, reinterpret_cast<sockaddr*>(&any), sizeof any);
    listen(socket_, 16);
    socklen_t size = sizeof any;
    getsockname(socket_, reinterpret_cast<sockaddr*>(&any), &size);
    address_ = "127.0.0.1:" + std::to_string(ntohs(any.sin_port));
    thread_ = std::thread([this, text = std::move(text)] {
      for (int peer; (peer = accept(socket_, nullptr, nullptr)) >= 0; close(peer)) {
        if (write(peer, text.data(), text.size()) < 0) continue;
      }
    });
  }
  ~Listener() {
    shutdown(socket_, SHUT_RDWR);
    thread_.join();
    close(socket_);
  }
  const std::string& address() const { return address_; }

 private:
  int socket_ = -1;
  std::string address_;
  std::thread thread_;
};

TEST(Address, OfOneThatSaysNothingIsNotTakenForThatOfSomethingElse) {
  // As with a coordinator that is stopped: the kernel takes the connection, and nobody answers.
  const int stopped = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in any{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof any;
  ASSERT_EQ(bind(stopped, reinterpret_cast<sockaddr*>(&any), size), 0);
  ASSERT_EQ(listen(stopped, 16), 0);
  ASSERT_EQ(getsockname(stopped, reinterpret_cast<sockaddr*>(&any), &size), 0);
  EXPECT_EQ(FindPeer("127.0.0.1:" + std::to_string(ntohs(any.sin_port)), absl::Milliseconds(300)), Peer::kSilent);
  close(stopped);
}

TEST(Address, OfSomethingElseIsToldFromThatOfACoordinator) {
  const Listener web("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), silent("");
  EXPECT_EQ(FindPeer(web.address(), absl::Seconds(5)), Peer::kOther);
  EXPECT_EQ(FindPeer(silent.address(), absl::Seconds(5)), Peer::kOther);
  EXPECT_EQ(FindPeer("127.0.0.1:1", absl::Seconds(5)), Peer::kNobody);
  int port = 0;
  v1::ClientService::Service service;
  const testing::TempDir folder;
  const auto authority = identity::Authority::Open(folder / "tls", {}, absl::Now());
  ASSERT_TRUE(authority.ok()) << authority.status();
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  builder.AddListeningPort("127.0.0.1:0", identity::MakeServerCredentials(authority->server_folder()), &port);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  EXPECT_EQ(FindPeer("127.0.0.1:" + std::to_string(port), absl::Seconds(5)), Peer::kCoordinator);
}

TEST(Address, OfSomethingElseIsNamedByEveryCall) {
  const Listener web("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  const auto client = CoordinatorClient::Create({.address = web.address(), .retry_for = absl::ZeroDuration()});
  ASSERT_TRUE(client.ok());
  const absl::Status status = (*client)->ListSweeps({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("something answers at " + web.address() + ", but it is not a coordinator; write the address"));
}

}  // namespace
}  // namespace sink
