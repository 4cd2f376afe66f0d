// Text as a terminal shows it: display width, cutting to fit, cleaning of what others wrote, and numbers for people.
// Pure functions on UTF-8; any thread may call them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sink::cli {

// Columns that `text` takes: 2 for wide East Asian characters, 0 for combining ones. `text` is clean (see Clean).
int DisplayWidth(std::string_view text);

// At most `width` columns of it, the last one an ellipsis when something was cut.
std::string Ellipsize(std::string_view text, int width);

// Lines of at most `width` columns, broken at spaces where there are any.
std::vector<std::string> Wrap(std::string_view text, int width);

// What a job, a worker or a file name says, made safe to show: terminal escape sequences, control characters and
// bidirectional overrides removed, tabs and line ends made spaces, malformed UTF-8 replaced by U+FFFD.
std::string Clean(std::string_view text);

std::string FormatFixed(double value, int decimals);  // "3.142", "NaN", "inf"
std::string FormatCount(double value);                // 950, "12.3k", "60.2M", "1.08B", "3.1e18"
std::string FormatPower(double value);                // "8.1e18", for what spans many magnitudes
std::string FormatBytes(double bytes);                // "512 B", "1.4 GiB"
std::string FormatDuration(double seconds);           // "45s", "6m20s", "2h05m", "3d04h"; "-" for negative or NaN
std::string FormatTime(int64_t unix_ms);              // local time, "2026-01-31 16:05:09"; "-" for 0

}  // namespace sink::cli
