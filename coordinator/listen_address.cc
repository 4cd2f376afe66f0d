// See listen_address.h.
#include "coordinator/listen_address.h"

#include <arpa/inet.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/identity/host_port.h"

namespace sink {

bool ListenAddress::IsLoopback() const {
  in_addr v4;
  in6_addr v6;
  if (host == "localhost") return true;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::string ListenAddress::WithPort(int actual_port) const {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", actual_port)
                                      : absl::StrCat(host, ":", actual_port);
}

ListenAddress ListenAddress::Called() const {
  ListenAddress called = *this;
  if (host == "0.0.0.0" || host == "::") called.host = "127.0.0.1";
  return called;
}

absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text, const std::string& option) {
  auto parsed = identity::ParseHostPort(text, "an address to listen on", /*least_port=*/0);
  if (!parsed.ok()) return absl::InvalidArgumentError(absl::StrCat(option, ": ", parsed.status().message()));
  return ListenAddress{.host = std::move(parsed->host), .port = parsed->port};
}

}  // namespace sink
