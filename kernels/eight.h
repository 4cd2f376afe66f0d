// Eight numbers that are computed with together, a register, or two where the processor has shorter ones; and four, for
// rows that are no multiple of eight wide. For loops that the compiler does not vectorise by itself, inside a
// SINK_MULTIVERSION function. Passed by reference, because processors disagree on how a function takes such a value.
// Plain values; any thread.
#pragma once

#include <cstdint>

#include "kernels/multiversion.h"

namespace sink::kernels {

constexpr int64_t kEight = 8, kFour = 4;

// Of the alignment of one number.
using Eight [[gnu::vector_size(32), gnu::aligned(4), gnu::may_alias]] = float;
using EightInts [[gnu::vector_size(32), gnu::aligned(4), gnu::may_alias]] = int32_t;
using Four [[gnu::vector_size(16), gnu::aligned(4), gnu::may_alias]] = float;

SINK_INLINE Four& FourAt(float* x) { return *reinterpret_cast<Four*>(x); }
SINK_INLINE const Four& FourAt(const float* x) { return *reinterpret_cast<const Four*>(x); }

// Four rows of four numbers, `row` from one to the next, become four columns.
SINK_INLINE void TurnFour(const float* x, int64_t row, float* out, int64_t out_row) {
  const Four a = FourAt(x), b = FourAt(x + row), c = FourAt(x + 2 * row), d = FourAt(x + 3 * row);
  const Four first_ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), first_cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Four last_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7), last_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  FourAt(out) = __builtin_shufflevector(first_ab, first_cd, 0, 1, 4, 5);
  FourAt(out + out_row) = __builtin_shufflevector(first_ab, first_cd, 2, 3, 6, 7);
  FourAt(out + 2 * out_row) = __builtin_shufflevector(last_ab, last_cd, 0, 1, 4, 5);
  FourAt(out + 3 * out_row) = __builtin_shufflevector(last_ab, last_cd, 2, 3, 6, 7);
}

}  // namespace sink::kernels
