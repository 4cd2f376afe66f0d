// Eight numbers that are computed with together: a register, or two where the processor has shorter ones. For loops
// that the compiler does not vectorise by itself, inside a SINK_MULTIVERSION function. Passed by reference, because
// processors disagree on how a function takes such a value. Plain values; any thread.
#pragma once

#include <cstdint>

namespace sink::kernels {

constexpr int64_t kEight = 8;

// Of the alignment of one number.
using Eight [[gnu::vector_size(32), gnu::aligned(4), gnu::may_alias]] = float;
using EightInts [[gnu::vector_size(32), gnu::aligned(4), gnu::may_alias]] = int32_t;

}  // namespace sink::kernels
