// The address of a coordinator, as people write it and as it answers. Stateless; any thread.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace sink {

// INVALID_ARGUMENT when the text is not HOST:PORT, with what to write in its place (identity/host_port.h).
absl::Status CheckAddress(const std::string& text);

// Who listens at an address that CheckAddress takes.
enum class Peer {
  kNobody,       // no connection within the time
  kSilent,       // something that takes connections and says nothing within the time, as a coordinator that hangs
  kCoordinator,  // a server that says of itself that it is one; whether it is ours only a credential can tell
  kOther,        // something that answers and does not: a web server, a database, a tunnel without an end
};
// Connects and asks, in at most `patience`.
Peer FindPeer(const std::string& address, absl::Duration patience);
// What to tell people of a Peer::kOther.
std::string NoCoordinatorAt(const std::string& address);

}  // namespace sink
