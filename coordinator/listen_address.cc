// See listen_address.h.
#include "coordinator/listen_address.h"

#include <arpa/inet.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

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
  const absl::Status bad = absl::InvalidArgumentError(
      absl::StrCat(option, ": \"", text, "\" is not an address; write host:port, e.g. 127.0.0.1:7070 (port 0: any)"));
  ListenAddress address;
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || !absl::SimpleAtoi(text.substr(colon + 1), &address.port)) return bad;
  if (address.port < 0 || address.port > 65535) return bad;
  address.host = text.substr(0, colon);
  const bool brackets = address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']';
  if (brackets) address.host = address.host.substr(1, address.host.size() - 2);
  if (address.host.find_first_of("[]") != std::string::npos || address.host.empty() ||
      absl::StrContains(address.host, ':') != brackets)
    return bad;
  return address;
}

}  // namespace sink
