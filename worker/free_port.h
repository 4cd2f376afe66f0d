// A place for the ranks of a gang to meet. No state; any thread.
#pragma once

#include "proto/files/descriptor.h"

namespace sink::worker {

// A TCP port of all of this machine's addresses, on which nobody listens and which nobody else gets while this is held.
// Whoever is told of it can listen there once it is let go, and must be ready to find it taken.
struct HeldPort {
  files::Fd socket;
  int port = 0;  // 0: the machine has none left
};
HeldPort HoldFreeTcpPort();

}  // namespace sink::worker
