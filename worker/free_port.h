// A place for the ranks of a gang to meet. No state; any thread.
#pragma once

namespace sink::worker {

// The number of a TCP port on which nobody listens on any of this machine's addresses just now; 0 when the machine has
// none left. Nothing keeps it free: who is told of it must be ready to find it taken.
int FreeTcpPort();

}  // namespace sink::worker
