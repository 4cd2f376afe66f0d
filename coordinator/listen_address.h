// An address to listen on, as a person writes it: "127.0.0.1:7070", "[::1]:0", "localhost:7070". Pure; any thread.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sink {

struct ListenAddress {
  std::string host;  // without brackets
  int port = 0;      // 0: the kernel chooses

  bool IsLoopback() const;
  std::string WithPort(int actual_port) const;  // "host:port", brackets around an IPv6 host
  // As this machine itself calls it: who listens on every address is called by loopback's.
  ListenAddress Called() const;
};

// INVALID_ARGUMENT that names `option` and the fix.
absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text, const std::string& option);

}  // namespace sink
