// Reads the one record that comes by the thousand, without a tree of it in memory: a report of a busy job is little
// else. Part of events.cc, whose general reader is the one that says what is wrong with a record. Pure; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "proto/pipe/events.h"

namespace sink::pipe {

inline constexpr size_t kMaxNameBytes = 128;
inline constexpr size_t kMaxValues = 4096;  // of a metrics record

// What the general reader reads from such a line, with the values by name. Nothing where it is no metrics record, or
// one with anything in it that only the general reader judges: a value that is no number, a field of a newer trainer,
// a name that comes twice, a number that is too large.
std::optional<Metrics> ReadPlainMetrics(std::string_view line);

}  // namespace sink::pipe
