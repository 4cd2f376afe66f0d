// See listening_sockets.h.
#include "coordinator/service/listening_sockets.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

constexpr int kTries = 20;
constexpr int kLostPeerMs = 10'000;  // data that is not acknowledged for so long: whoever was there is gone

struct Place {
  sockaddr_storage address = {};
  socklen_t size = 0;
};

uint16_t& PortOf(sockaddr_storage& address) {
  return address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                       : reinterpret_cast<sockaddr_in&>(address).sin_port;
}

const in6_addr& Bytes6(const sockaddr_storage& address) {
  return reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
}

// The IPv4 address, also of an IPv6 socket that takes both; whether it is one.
bool Get4(const sockaddr_storage& address, in_addr* out) {
  if (address.ss_family == AF_INET) {
    *out = reinterpret_cast<const sockaddr_in&>(address).sin_addr;
    return true;
  }
  if (address.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&Bytes6(address))) return false;
  memcpy(out, Bytes6(address).s6_addr + 12, sizeof *out);
  return true;
}

std::vector<Place> Resolve(const std::string& host) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), "0", &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  std::vector<Place> places;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    Place place;
    place.size = info->ai_addrlen;
    memcpy(&place.address, info->ai_addr, info->ai_addrlen);
    // A name may have one address twice: of "::1 localhost" in /etc/hosts glibc makes another 127.0.0.1.
    const bool again = std::any_of(places.begin(), places.end(), [&place](const Place& other) {
      return memcmp(&other.address, &place.address, sizeof place.address) == 0;
    });
    if (!again) places.push_back(place);
  }
  return places;
}

// Both protocols by one socket; the other place is for a machine without IPv6.
std::vector<Place> Everywhere() {
  std::vector<Place> places(2);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(places[0].address);
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_any;
  places[0].size = sizeof v6;
  auto& v4 = reinterpret_cast<sockaddr_in&>(places[1].address);
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_ANY);
  places[1].size = sizeof v4;
  return places;
}

// 0, or what failed.
int ListenAt(Place place, int port, files::Fd* listening) {
  PortOf(place.address) = htons(static_cast<uint16_t>(port));
  files::Fd fd(socket(place.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return errno;
  const int on = 1, off = 0;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (place.address.ss_family == AF_INET6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  // What is accepted has these as well.
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &kLostPeerMs, sizeof kLostPeerMs);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&place.address), place.size) != 0 ||
      listen(fd.get(), SOMAXCONN) != 0) {
    return errno;
  }
  *listening = std::move(fd);
  return 0;
}

// This machine has no such address, or none of the protocol; EINVAL: one of a link that the name does not say.
bool IsElsewhere(int failed) { return failed == EADDRNOTAVAIL || failed == EAFNOSUPPORT || failed == EINVAL; }

absl::StatusOr<int> PortOf(const files::Fd& fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return SystemStatus(errno, "look at", "a socket");
  return ntohs(PortOf(address));
}

}  // namespace

absl::StatusOr<ListeningSockets> ListenOn(const std::string& host, int port) {
  const bool everywhere = host == "::" || host == "0.0.0.0";
  const std::vector<Place> places = everywhere ? Everywhere() : Resolve(host);
  for (int tries = 1;; ++tries) {
    ListeningSockets listening{.sockets = {}, .port = port};
    int failed = 0;
    for (const Place& place : places) {
      files::Fd fd;
      failed = ListenAt(place, listening.port, &fd);
      if (IsElsewhere(failed)) continue;
      if (failed != 0) break;
      SINK_ASSIGN_OR_RETURN(listening.port, PortOf(fd));
      listening.sockets.push_back(std::move(fd));
      if (everywhere) break;
    }
    // Free at one address, a port that the system chose may be taken at the next.
    const bool other_port = failed == EADDRINUSE && port == 0 && tries < kTries;
    if (other_port) continue;
    if (failed != 0 && !IsElsewhere(failed)) {
      return absl::UnavailableError(
          SystemStatus(failed, "listen on", absl::StrCat("port ", listening.port, " of ", host)).message());
    }
    if (listening.sockets.empty()) return absl::UnavailableError(absl::StrCat(host, " is no address of this machine"));
    return listening;
  }
}

std::string AddressGroup(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (in_addr v4; Get4(address, &v4)) return inet_ntop(AF_INET, &v4, text, sizeof text);
  if (address.ss_family != AF_INET6) return "elsewhere";
  in6_addr network = Bytes6(address);
  if (IN6_IS_ADDR_LOOPBACK(&network)) return "::1";
  std::fill(network.s6_addr + 8, network.s6_addr + 16, uint8_t{0});
  return absl::StrCat(inet_ntop(AF_INET6, &network, text, sizeof text), "/64");
}

std::string AddressGroup(absl::string_view peer) {
  const absl::string_view host = peer.substr(0, peer.rfind(':'));
  const std::string bare(absl::StripPrefix(absl::StripSuffix(host.substr(0, host.find('%')), "]"), "["));
  sockaddr_storage address = {};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  if (inet_pton(AF_INET, bare.c_str(), &v4.sin_addr) == 1) {
    address.ss_family = AF_INET;
  } else if (inet_pton(AF_INET6, bare.c_str(), &v6.sin6_addr) == 1) {
    address.ss_family = AF_INET6;
  }
  return AddressGroup(address);
}

std::string PeerName(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = {};
  const auto port = [&address] {
    return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                               : reinterpret_cast<const sockaddr_in&>(address).sin_port);
  };
  if (in_addr v4; Get4(address, &v4)) return absl::StrCat(inet_ntop(AF_INET, &v4, text, sizeof text), ":", port());
  if (address.ss_family != AF_INET6) return "elsewhere";
  return absl::StrCat("[", inet_ntop(AF_INET6, &Bytes6(address), text, sizeof text), "]:", port());
}

bool IsLocal(const sockaddr_storage& peer, const sockaddr_storage& called) {
  in_addr v4 = {}, called4 = {};
  if (Get4(peer, &v4)) {
    return ntohl(v4.s_addr) >> 24 == 127 || (Get4(called, &called4) && v4.s_addr == called4.s_addr);
  }
  if (peer.ss_family != AF_INET6) return false;
  if (IN6_IS_ADDR_LOOPBACK(&Bytes6(peer))) return true;
  return called.ss_family == AF_INET6 && IN6_ARE_ADDR_EQUAL(&Bytes6(peer), &Bytes6(called));
}

}  // namespace sink
