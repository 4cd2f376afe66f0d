// What trainers print and say may hold any bytes. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace sink::worker {

// A copy that is valid UTF-8 (bad bytes become U+FFFD), as protobuf strings and JSON demand.
std::string ValidUtf8(std::string_view text);

// The same as one line of a log that a terminal may show: spaces in place of control characters.
std::string LogText(std::string_view text);

}  // namespace sink::worker
