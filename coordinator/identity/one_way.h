// Names made of secrets and of long texts, from which the original cannot be told. Pure; any thread.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace sink::identity {

// 32 hex digits: HMAC-SHA-256 of `purpose` under `text`, cut to 128 bits. One text has another name for each purpose.
std::string OneWayName(absl::string_view purpose, absl::string_view text);

// 64 hex digits. Of a secret of 256 random bits it is all that needs to be kept; a slow hash, as passwords need, which
// people choose and others guess, would only make calls slow.
std::string Sha256(absl::string_view text);

}  // namespace sink::identity
