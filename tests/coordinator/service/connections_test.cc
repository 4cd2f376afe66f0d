// Who connects and says nothing, connects too often or when there is no descriptor left, on real sockets.
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "coordinator/service/accept_loop.h"
#include "coordinator/service/listening_sockets.h"
#include "coordinator/service/self_call.h"
#include "tests/coordinator/service/access_fixture.h"

namespace sink {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

sockaddr_in Loopback(const char* address, int port) {
  sockaddr_in place = {};
  place.sin_family = AF_INET;
  place.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, address, &place.sin_addr);
  return place;
}

// A socket of this address of loopback.
files::Fd SocketOf(const char* address) {
  files::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in place = Loopback(address, 0);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place), 0);
  return fd;
}

bool Connect(const files::Fd& fd, int port) {
  const sockaddr_in place = Loopback("127.0.0.1", port);
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) == 0;
}

files::Fd ConnectFrom(const char* address, int port) {
  files::Fd fd = SocketOf(address);
  Connect(fd, port);
  return fd;
}

// The other side has not closed it.
bool IsOpen(const files::Fd& fd) {
  char byte;
  return recv(fd.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

bool WaitFor(const std::function<bool()>& condition, milliseconds patience = milliseconds(10'000)) {
  const auto end = steady_clock::now() + patience;
  while (!condition()) {
    if (steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return true;
}

class ConnectionsTest : public testing::AccessTest {
 protected:
  ConnectionsTest() {
    StopServer();
    adjust_ = [](ServerOptions* options) {
      options->connections = 128;
      options->handshake_timeout = absl::Seconds(1);
    };
    StartServer();
  }
};

TEST_F(ConnectionsTest, AThousandHalfOpenOnesOfOneAddressKeepNobodyElseOut) {
  constexpr int kShare = 64;  // half of all
  std::vector<files::Fd> silent;
  for (int i = 0; i < 1000; ++i) silent.push_back(ConnectFrom("127.0.0.2", server_->port()));
  const auto open = [&] {
    return std::count_if(silent.begin(), silent.end(), [](const files::Fd& fd) { return IsOpen(fd); });
  };
  EXPECT_TRUE(WaitFor([&] { return open() <= kShare; })) << open();
  const auto before = steady_clock::now();
  EXPECT_TRUE(NewClient()->ListSweeps({}).ok());
  EXPECT_LT(steady_clock::now() - before, milliseconds(5000));
  // Those that were taken have a second for their handshake.
  EXPECT_TRUE(WaitFor([&] { return open() == 0; })) << open();
}

TEST_F(ConnectionsTest, AHandshakeThatStallsEnds) {
  const files::Fd silent = ConnectFrom("127.0.0.1", server_->port());
  const files::Fd slow = ConnectFrom("127.0.0.1", server_->port());
  // The beginning of a ClientHello, and then nothing.
  constexpr char kRecord[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01};
  ASSERT_EQ(send(slow.get(), kRecord, sizeof kRecord, MSG_NOSIGNAL), static_cast<ssize_t>(sizeof kRecord));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_TRUE(IsOpen(silent));
  EXPECT_TRUE(IsOpen(slow));
  EXPECT_TRUE(WaitFor([&] { return !IsOpen(silent) && !IsOpen(slow); }, milliseconds(5000)));
}

TEST_F(ConnectionsTest, ListensOnEveryAddressOfBothProtocols) {
  StopServer();
  listen_ = "0.0.0.0:0";
  StartServer();
  for (const std::string host : {"127.0.0.1", "127.0.0.2", "[::1]", "localhost"}) {
    if (host == "[::1]" && !ListenOn("::1", 0).ok()) continue;  // this machine has no IPv6
    auto client = *CoordinatorClient::Create({.address = host + ":" + std::to_string(server_->port()),
                                              .credentials = folder_ / "data/tls/admin",
                                              .retry_for = absl::ZeroDuration()});
    const auto answer = client->ListSweeps({});
    EXPECT_TRUE(answer.ok()) << host << ": " << answer.status();
  }
}

// The share of known callers: strangers of several addresses take turns with each other, and with nobody else.
TEST_F(ConnectionsTest, StrangersOfManyAddressesKeepNoKnownCallerOut) {
  const auto known = NewClient();
  ASSERT_TRUE(known->ListWorkers({}).ok());
  std::vector<files::Fd> silent;
  const auto storm = [&] {
    for (int i = 0; i < 300; ++i)
      silent.push_back(ConnectFrom(("127.0.0." + std::to_string(2 + i % 9)).c_str(), server_->port()));
  };
  for (int round = 0; round < 3; ++round) {
    storm();
    const auto before = steady_clock::now();
    EXPECT_TRUE(known->ListWorkers({}).ok());
    EXPECT_TRUE(NewClient()->ListWorkers({}).ok());
    EXPECT_LT(steady_clock::now() - before, milliseconds(5000));
  }
}

// Of 128 connections each principal has 32.
TEST_F(ConnectionsTest, AProgramsTokenDoesNotFillTheCoordinatorFromManyAddresses) {
  const auto token = Token("token", "ci", "viewer");
  ASSERT_TRUE(token.ok()) << token.status();
  std::vector<Channel> channels;
  const auto call = [&](const identity::Credential& credential, const std::string& method = "ListWorkers") {
    channels.push_back(ChannelOf(credential));
    return Call(channels.back(), "/sink.v1.ClientService/" + method).error_code();
  };
  // Whatever it asks for, and whatever the answer is.
  const std::vector<std::string> reads = {"ListWorkers", "ListSweeps", "GetSweep", "GetStudy",
                                          "ListJobs",    "GetJob",     "WhyJob",   "ListCheckpoints"};
  for (int i = 0; i < 32; ++i) {
    EXPECT_NE(call(*token, reads[i % reads.size()]), grpc::StatusCode::RESOURCE_EXHAUSTED) << i;
  }
  EXPECT_EQ(call(*token), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Call(channels.front(), "/sink.v1.ClientService/ListWorkers").error_code(), grpc::StatusCode::OK);
  EXPECT_EQ(call(User("lena", "viewer")), grpc::StatusCode::OK);
  channels.clear();
  EXPECT_TRUE(WaitFor([&] { return call(*token) == grpc::StatusCode::OK; }));
}

TEST(ListeningSockets, AllOfANameHaveOnePort) {
  const auto listening = ListenOn("localhost", 0);
  ASSERT_TRUE(listening.ok()) << listening.status();
  EXPECT_GT(listening->port, 0);
  for (const files::Fd& fd : listening->sockets) {
    sockaddr_storage place = {};
    socklen_t size = sizeof place;
    ASSERT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&place), &size), 0);
    EXPECT_EQ(ntohs(reinterpret_cast<sockaddr_in&>(place).sin_port), listening->port);  // where IPv6's port is, too
  }
  EXPECT_EQ(ListenOn("127.0.0.1", listening->port).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ListenOn("192.0.2.1", 0).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ListenOn("no such host", 0).status().code(), absl::StatusCode::kUnavailable);
}

TEST(ListeningSockets, ANameOfWhichAnotherProgramHasOneAddressIsNotListenedOn) {
  const auto theirs = ListenOn("127.0.0.1", 0);
  ASSERT_TRUE(theirs.ok()) << theirs.status();
  EXPECT_EQ(ListenOn("localhost", theirs->port).status().code(), absl::StatusCode::kUnavailable);
  const auto six = ListenOn("::1", 0);
  if (!six.ok()) GTEST_SKIP() << "this machine has no IPv6";
  EXPECT_EQ(ListenOn("::", six->port).status().code(), absl::StatusCode::kUnavailable);
}

sockaddr_storage Address(const std::string& text) {
  sockaddr_storage address = {};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
  } else {
    v6.sin6_family = AF_INET6;
    EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr), 1) << text;
  }
  return address;
}

sockaddr_storage WithPort(sockaddr_storage address, uint16_t port) {
  (address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                 : reinterpret_cast<sockaddr_in&>(address).sin_port) = htons(port);
  return address;
}

TEST(AddressGroup, IsAnAddressOrTheNetworkOfOneMachine) {
  EXPECT_EQ(AddressGroup(Address("10.0.0.7")), "10.0.0.7");
  EXPECT_EQ(AddressGroup(Address("::ffff:10.0.0.7")), "10.0.0.7");
  EXPECT_EQ(AddressGroup(Address("2001:db8:1:2:3:4:5:6")), "2001:db8:1:2::/64");
  EXPECT_EQ(AddressGroup(Address("2001:db8:1:2:ffff::1")), "2001:db8:1:2::/64");
  EXPECT_EQ(AddressGroup(Address("::1")), "::1");
  EXPECT_EQ(AddressGroup("10.0.0.7:51234"), "10.0.0.7");
  EXPECT_EQ(AddressGroup("[2001:db8:1:2:3:4:5:6]:51234"), "2001:db8:1:2::/64");
  EXPECT_EQ(AddressGroup("[fe80::7%25eth0]:51234"), "fe80::/64");
  EXPECT_EQ(AddressGroup("[::1]:1"), "::1");
  EXPECT_EQ(AddressGroup("unix:/x"), "elsewhere");
  EXPECT_EQ(PeerName(WithPort(Address("10.0.0.7"), 51234)), "10.0.0.7:51234");
  EXPECT_EQ(PeerName(WithPort(Address("::ffff:10.0.0.7"), 51234)), "10.0.0.7:51234");
  EXPECT_EQ(PeerName(WithPort(Address("2001:db8::7"), 7)), "[2001:db8::7]:7");
  const sockaddr_storage called = Address("10.0.0.5");
  for (const char* here : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "10.0.0.5", "::ffff:10.0.0.5"})
    EXPECT_TRUE(IsLocal(Address(here), called)) << here;
  for (const char* elsewhere : {"10.0.0.7", "2001:db8::1", "::ffff:10.0.0.7"})
    EXPECT_FALSE(IsLocal(Address(elsewhere), called)) << elsewhere;
}

// A loop that keeps what it takes.
class AcceptLoopTest : public ::testing::Test {
 protected:
  void Start(int total) {
    auto listening = ListenOn("127.0.0.1", 0);
    ASSERT_TRUE(listening.ok()) << listening.status();
    port_ = listening->port;
    owners_ = std::make_unique<ConnectionOwners>(total);
    loop_ = std::make_unique<AcceptLoop>(std::move(listening->sockets),
                                         ConnectionOptions{.total = total, .per_address = total}, owners_.get(),
                                         [this](int fd, int open) {
                                           std::lock_guard lock(mutex_);
                                           taken_.emplace_back(fd);
                                           open_when_taken_.push_back(open);
                                         });
  }
  size_t taken() {
    std::lock_guard lock(mutex_);
    return taken_.size();
  }

  int port_ = 0;
  std::unique_ptr<ConnectionOwners> owners_;
  std::mutex mutex_;
  std::vector<files::Fd> taken_;
  std::vector<int> open_when_taken_;
  std::unique_ptr<AcceptLoop> loop_;
};

TEST_F(AcceptLoopTest, EachConnectionComesWithTheNumberThatIsOpenByThen) {
  Start(40);
  std::vector<files::Fd> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(ConnectFrom("127.0.0.1", port_));
  ASSERT_TRUE(WaitFor([&] { return taken() == 3; }));
  {
    std::lock_guard lock(mutex_);
    EXPECT_EQ(open_when_taken_, (std::vector<int>{1, 2, 3}));
    taken_.clear();
  }
  ASSERT_TRUE(WaitFor([&] { return loop_->open() == 0; }));
  const files::Fd again = ConnectFrom("127.0.0.1", port_);
  ASSERT_TRUE(WaitFor([&] { return taken() == 1; }));
  std::lock_guard lock(mutex_);
  EXPECT_EQ(open_when_taken_.back(), 1) << "those that have closed count no longer";
}

TEST_F(AcceptLoopTest, WhatClosesMakesRoom) {
  Start(40);
  std::vector<files::Fd> clients;
  for (int i = 0; i < 21; ++i) clients.push_back(ConnectFrom("127.0.0.1", port_));
  EXPECT_TRUE(WaitFor([&] { return !IsOpen(clients.back()); }));
  EXPECT_EQ(taken(), 20u);
  EXPECT_EQ(loop_->refused(), 1u);
  EXPECT_EQ(loop_->open(), 20);
  {
    std::lock_guard lock(mutex_);
    taken_.clear();  // as gRPC does, without a word to the loop
  }
  EXPECT_TRUE(WaitFor([&] { return loop_->open() == 0; }));
  std::this_thread::sleep_for(milliseconds(600));  // a tenth of its share a second
  const files::Fd again = ConnectFrom("127.0.0.1", port_);
  EXPECT_TRUE(WaitFor([&] { return taken() == 1; }));
  EXPECT_TRUE(IsOpen(again));
}

// As the coordinator sees it.
std::string PeerOf(const files::Fd& client) {
  sockaddr_storage own = {};
  socklen_t size = sizeof own;
  EXPECT_EQ(getsockname(client.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
  return PeerName(own);
}

TEST_F(AcceptLoopTest, BeyondTheirShareTheOldestStrangerGoesAndNoKnownCaller) {
  Start(16);  // 8 of them the strangers'
  std::vector<files::Fd> first, second;
  for (int i = 0; i < 8; ++i) first.push_back(ConnectFrom("127.0.0.1", port_));
  ASSERT_TRUE(WaitFor([&] { return taken() == 8; }));
  ASSERT_TRUE(owners_->Claim(PeerOf(first[0]), "worker/a").ok());
  ASSERT_TRUE(owners_->Claim(PeerOf(first[2]), "worker/b").ok());
  EXPECT_EQ(owners_->strangers(), 6);
  for (int i = 0; i < 2; ++i) second.push_back(ConnectFrom("127.0.0.2", port_));
  ASSERT_TRUE(WaitFor([&] { return taken() == 10; }));
  EXPECT_EQ(loop_->refused(), 0u);
  for (int i = 0; i < 2; ++i) second.push_back(ConnectFrom("127.0.0.2", port_));
  ASSERT_TRUE(WaitFor([&] { return taken() == 12; }));
  EXPECT_TRUE(WaitFor([&] { return !IsOpen(first[1]) && !IsOpen(first[3]); }));
  for (const int stays : {0, 2, 4, 5, 6, 7}) EXPECT_TRUE(IsOpen(first[stays])) << stays;
  for (const files::Fd& fd : second) EXPECT_TRUE(IsOpen(fd));
  EXPECT_EQ(loop_->refused(), 2u);
  EXPECT_EQ(owners_->strangers(), 8);
}

TEST_F(AcceptLoopTest, TakesConnectionsAgainAfterDescriptorsWereShort) {
  Start(40);
  const files::Fd early = SocketOf("127.0.0.1"), late = SocketOf("127.0.0.1");
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<files::Fd> all;
  all.emplace_back(dup(early.get()));
  const rlimit low = {.rlim_cur = static_cast<rlim_t>(all[0].get()) + 16, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  while (all.back().valid()) all.emplace_back(dup(early.get()));
  ASSERT_TRUE(Connect(early, port_));
  EXPECT_TRUE(WaitFor([&] { return loop_->refused() > 0; }));
  EXPECT_EQ(taken(), 0u);
  all.clear();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(Connect(late, port_));
  EXPECT_TRUE(WaitFor([&] { return taken() == 1; }));
  EXPECT_TRUE(IsOpen(late));
}

class SelfCallTest : public testing::ServiceTest {
 protected:
  std::unique_ptr<SelfCall> Call(const std::string& address) const {
    return std::make_unique<SelfCall>(SelfCall::Options{.address = address,
                                                        .credential = folder_ / "data/tls/admin",
                                                        .interval = milliseconds(50),
                                                        .patience = milliseconds(1000)});
  }
  static double Answers(const SelfCall& call) {
    Families families;
    call.AddSeries(&families);
    for (const auto& family : families.Take()) {
      if (family.name == "sink_port_answers") return family.metric.at(0).gauge.value;
    }
    return -1;
  }
};

TEST_F(SelfCallTest, APortThatAnswersIsNotMissed) {
  const auto call = Call(server_->address());
  std::this_thread::sleep_for(milliseconds(1000));
  EXPECT_TRUE(call->status().ok()) << call->status();
  EXPECT_EQ(Answers(*call), 1);
}

TEST_F(SelfCallTest, APortThatTakesConnectionsAndDoesNotAnswerIsNoticedAndItsReturnIs) {
  auto deaf = *ListenOn("127.0.0.1", 0);
  const std::string address = "127.0.0.1:" + std::to_string(deaf.port);
  const auto call = Call(address);
  EXPECT_TRUE(WaitFor([&] { return !call->status().ok(); }));
  EXPECT_EQ(Answers(*call), 0);
  deaf.sockets.clear();
  StopServer();
  listen_ = address;
  StartServer();
  EXPECT_TRUE(WaitFor([&] { return call->status().ok(); })) << call->status();
  EXPECT_EQ(Answers(*call), 1);
}

}  // namespace
}  // namespace sink
