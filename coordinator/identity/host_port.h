// Addresses as people write them: "head:7070", "[::1]:7070". Pure; any thread.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sink::identity {

struct HostPort {
  std::string host;  // without brackets
  int port = 0;
};

// INVALID_ARGUMENT where the text is not HOST:PORT with a port from `least_port` on: that it is not `what`, say "an
// address of a coordinator", why, and what to write in its place: without a scheme, a user, a path or blanks, an IPv6
// address in brackets.
absl::StatusOr<HostPort> ParseHostPort(const std::string& text, absl::string_view what, int least_port = 1);

// The host that is meant where a host alone is asked for: of such an address, or of what is around it. It may be none.
std::string HostIn(const std::string& text);

}  // namespace sink::identity
