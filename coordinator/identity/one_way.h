// Names made of secrets and of long texts, from which the original cannot be told. Pure; any thread.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace sink::identity {

// 32 hex digits: HMAC-SHA-256 of `purpose` under `text`, cut to 128 bits. One text has another name for each purpose.
std::string OneWayName(absl::string_view purpose, absl::string_view text);

}  // namespace sink::identity
