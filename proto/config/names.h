// What may be the name of a thing in a configuration. Neutral; pure; any thread.
#pragma once

#include <string_view>

namespace sink {

// 1 to 64 of A-Z a-z 0-9 . _ -, not starting with . or -.
bool IsPlainName(std::string_view text);
// The name of an open model, as the Hugging Face hub forms it: OWNER/NAME or NAME, both plain.
bool IsHubName(std::string_view text);

}  // namespace sink
