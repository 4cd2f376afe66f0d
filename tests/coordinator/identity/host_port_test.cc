// Addresses as people write them: what is taken, and what is told of the rest.
#include "coordinator/identity/host_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sink::identity {
namespace {

using ::testing::EndsWith;

std::string Refusal(const std::string& text, int least_port = 1) {
  return std::string(ParseHostPort(text, "an address", least_port).status().message());
}

TEST(HostPort, HasAHostWithoutBracketsAndAPort) {
  const auto name = ParseHostPort("head-1.cluster:7070", "an address");
  ASSERT_TRUE(name.ok()) << name.status();
  EXPECT_EQ(name->host, "head-1.cluster");
  EXPECT_EQ(name->port, 7070);
  for (const char* host : {"::1", "::", "fe80::1%eth0"}) {
    const auto ipv6 = ParseHostPort("[" + std::string(host) + "]:65535", "an address");
    ASSERT_TRUE(ipv6.ok()) << ipv6.status();
    EXPECT_EQ(ipv6->host, host);
    EXPECT_EQ(ipv6->port, 65535);
  }
}

TEST(HostPort, ThatIsWrittenWronglyIsRefusedWithWhatToWrite) {
  EXPECT_EQ(Refusal("http://head:7070"), "\"http://head:7070\" is not an address: it has no scheme; write head:7070");
  EXPECT_THAT(Refusal(" http://me@head: 7070/x\n"), EndsWith(": it has no blanks; write head:7070"));
  EXPECT_THAT(Refusal("me@head:7070"), EndsWith(": it has no user; write head:7070"));
  EXPECT_THAT(Refusal("head:7070/metrics"), EndsWith(": it has no path; write head:7070"));
  EXPECT_THAT(Refusal("grpc://::1:7070"), EndsWith(": it has no scheme; write [::1]:7070"));
  EXPECT_THAT(Refusal("::1:7070"), EndsWith(": an IPv6 address stands in brackets; write [::1]:7070"));
  EXPECT_THAT(Refusal("https://head"), EndsWith(": it has no scheme; write host:port, e.g. head:7070"));
  EXPECT_THAT(Refusal("7071"), EndsWith(": the host is missing; write host:port, e.g. 127.0.0.1:7071"));
  EXPECT_THAT(Refusal("head"), EndsWith(": the port is missing; write host:port, e.g. head:7070"));
  for (const char* text : {"", " ", ":7070", "[]:1", "[head]:7070", "a:b:7070"})
    EXPECT_THAT(Refusal(text), EndsWith("; write host:port, e.g. 127.0.0.1:7070")) << text;
  for (const char* text : {"head:", "head:+1", "head:-1", "head:65536", "head:99999999999", "head:seven"})
    EXPECT_THAT(Refusal(text), EndsWith(": a port is a number from 1 to 65535; write host:port, e.g. head:7070"));
}

TEST(HostPort, ZeroIsAPortOnlyWhereItIsAskedFor) {
  EXPECT_TRUE(ParseHostPort("[::1]:0", "an address", 0).ok());
  EXPECT_THAT(Refusal("head:0"), EndsWith(": a port is a number from 1 to 65535; write host:port, e.g. head:7070"));
  EXPECT_THAT(Refusal("head:x", 0), EndsWith(": a port is a number from 0 to 65535; write host:port, e.g. head:7070"));
}

TEST(HostPort, AHostAloneIsFoundInWhatIsAroundIt) {
  for (const char* text : {"node", " node", "node:29500", "http://node/", "me@node:1"})
    EXPECT_EQ(HostIn(text), "node") << text;
  for (const char* text : {"fd00::1", "[fd00::1]", "[fd00::1]:29500"}) EXPECT_EQ(HostIn(text), "fd00::1") << text;
  EXPECT_EQ(HostIn(""), "");
}

}  // namespace
}  // namespace sink::identity
