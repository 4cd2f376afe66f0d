// Text from outside made fit to store and to show. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace sink {

inline constexpr size_t kMaxTextBytes = 8 * 1024;

// Length of the UTF-8 character that `text`, not empty, begins with; 0 when it is none: by the table of the Unicode
// standard, without surrogates and overlong forms.
size_t CharacterLength(std::string_view text);

// At most `max_bytes` of valid UTF-8: control characters but tab and line feed are dropped, bytes that are not UTF-8
// become '?', and what was cut is said at the end.
std::string CleanText(std::string_view text, size_t max_bytes = kMaxTextBytes);

}  // namespace sink
