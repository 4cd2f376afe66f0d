// The sockets that listen for gRPC: our own, so that limits hold before a handshake begins (accept_loop.h). Stateless;
// any thread.
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/files/descriptor.h"

namespace sink {

struct ListeningSockets {
  std::vector<files::Fd> sockets;  // non-blocking
  int port = 0;                    // of all of them
};

// One for each address of `host`, a name or an address without brackets; those that this machine does not have are
// passed over. "::" and "0.0.0.0" are both protocols, where there are both. `port` 0: one that is free. UNAVAILABLE:
// there are none, or one of them cannot be had, as when another program has it: whoever calls there would reach that.
absl::StatusOr<ListeningSockets> ListenOn(const std::string& host, int port);

// What counts as one address: "10.0.0.7", also where it comes as an IPv6 one; of IPv6 the network that one customer
// or machine has, "2001:db8:1:2::/64".
std::string AddressGroup(const sockaddr_storage& address);
// Likewise of "10.0.0.7:51234" or "[2001:db8::7]:51234".
std::string AddressGroup(absl::string_view peer);
// The address with its port, in that form and as gRPC says it of a call; of a link's own addresses gRPC adds the link.
std::string PeerName(const sockaddr_storage& address);
// Whether it is of this machine: loopback, or the same as the one that was called.
bool IsLocal(const sockaddr_storage& peer, const sockaddr_storage& called);

}  // namespace sink
