// See free_port.h.
#include "worker/free_port.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <utility>

namespace sink::worker {

HeldPort HoldFreeTcpPort() {
  // IPv6's wildcard stands for IPv4's as well; a machine without IPv6 has only the latter.
  for (const int family : {AF_INET6, AF_INET}) {
    files::Fd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage address{};
    address.ss_family = family;  // all else zero: any address, any port
    socklen_t size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (!fd.valid() || bind(fd.get(), generic, size) != 0 || getsockname(fd.get(), generic, &size) != 0) continue;
    // Both families keep the port at the same place.
    return {std::move(fd), ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port)};
  }
  return {};
}

}  // namespace sink::worker
