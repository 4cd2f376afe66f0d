// The CPU form of kernels/cuda/device.h, which includes this file in its own place where SINK_EMULATED_DEVICE names it:
// the same names, for threads that are fibers (fibers.h). A test includes a kernel's .cu, whose launchers thereby run
// on a CPU. Fragments of matrices lie in the lanes as the PTX manual draws them (ISA 8.x, "Matrix fragments for
// mma.m16n8k16", "ldmatrix"). Test helper.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <utility>

#include "kernels/cuda/types.h"
#include "tests/kernels/cuda/fibers.h"

#define SINK_KERNEL(max_threads) void
#define SINK_DEVICE inline
#define SINK_UNROLL
#define SINK_ROLLED

namespace sink::kernels::cuda {

using Where = std::source_location;

struct Grid {
  int64_t x = 1, y = 1, z = 1;
};

inline int Thread() { return emulator::Here().thread; }
inline int Threads() { return emulator::Here().threads; }
inline int Lane() { return Thread() % 32; }
inline int Warp() { return Thread() / 32; }
inline int64_t BlockX() { return emulator::Here().block_x; }
inline int64_t BlockY() { return emulator::Here().block_y; }
inline int64_t BlockZ() { return emulator::Here().block_z; }
inline int64_t GridX() { return emulator::Here().grid_x; }
inline int64_t GridZ() { return emulator::Here().grid_z; }

inline void Barrier(const Where& where = Where::current()) { emulator::MeetBlock(where); }
inline void WarpBarrier(const Where& where = Where::current()) {
  emulator::MeetWarp([](void* const*) {}, nullptr, where);
}

template <typename T>
struct Exchange {
  T value;
  int lane, source;
};
template <typename T>
T ShuffleFrom(T value, int lane, const Where& where = Where::current()) {
  Exchange<T> mine{value, Lane(), lane & 31};
  emulator::MeetWarp(
      [](void* const* all) {
        T values[32];
        for (int l = 0; l < 32; ++l) values[l] = static_cast<Exchange<T>*>(all[l])->value;
        for (int l = 0; l < 32; ++l) {
          auto* exchange = static_cast<Exchange<T>*>(all[l]);
          exchange->value = values[exchange->source];
        }
      },
      &mine, where);
  return mine.value;
}
template <typename T>
T ShuffleXor(T value, int mask, const Where& where = Where::current()) {
  return ShuffleFrom(value, Lane() ^ mask, where);
}

template <typename T>
T* SharedMemory() {
  return reinterpret_cast<T*>(emulator::Shared());
}

template <int kBytes>
struct BitsOf {
  struct Type {
    unsigned char byte[kBytes];
  };
};
template <int kBytes>
typename BitsOf<kBytes>::Type LoadBits(const void* from) {
  if (reinterpret_cast<uintptr_t>(from) % kBytes != 0) emulator::Fail("reads from an address that is not aligned");
  typename BitsOf<kBytes>::Type bits;
  std::memcpy(&bits, from, kBytes);
  return bits;
}
template <int kBytes>
void StoreBits(void* to, const typename BitsOf<kBytes>::Type& bits) {
  if (reinterpret_cast<uintptr_t>(to) % kBytes != 0) emulator::Fail("writes to an address that is not aligned");
  std::memcpy(to, &bits, kBytes);
}

inline void CopyAsync16(void* shared, const void* from, bool valid) {
  emulator::StartCopy(shared, valid ? from : nullptr);
}
inline void AsyncCommit() { emulator::CommitCopies(); }
template <int kGroups>
void AsyncWait(const Where& where = Where::current()) {
  if (!emulator::IsBroken(emulator::Act::kWait, where)) emulator::WaitForCopies(kGroups);
}

struct Matrices {
  uint32_t m0, m1, m2, m3;
};
struct MatrixRow {
  const Bfloat16* row;
  uint32_t matrix[4];
};
template <bool kTransposed>
Matrices LoadFourMatrices(const Bfloat16* row, const Where& where) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) emulator::Fail("loads a matrix's row that is not aligned");
  MatrixRow mine{row, {}};
  emulator::MeetWarp(
      [](void* const* all) {
        for (int matrix = 0; matrix < 4; ++matrix)
          for (int lane = 0; lane < 32; ++lane) {
            const auto at = [&](int r, int c) -> uint32_t {
              return static_cast<const MatrixRow*>(all[8 * matrix + r])->row[c].bits;
            };
            const int r = lane / 4, c = 2 * (lane % 4);
            static_cast<MatrixRow*>(all[lane])->matrix[matrix] =
                kTransposed ? at(c, r) | at(c + 1, r) << 16 : at(r, c) | at(r, c + 1) << 16;
          }
      },
      &mine, where);
  if (emulator::IsBroken(emulator::Act::kFragment, where)) std::swap(mine.matrix[1], mine.matrix[2]);
  return {mine.matrix[0], mine.matrix[1], mine.matrix[2], mine.matrix[3]};
}
inline Matrices LoadMatrices(const Bfloat16* row, const Where& where = Where::current()) {
  return LoadFourMatrices<false>(row, where);
}
inline Matrices LoadMatricesTransposed(const Bfloat16* row, const Where& where = Where::current()) {
  return LoadFourMatrices<true>(row, where);
}

inline float FromBits(uint32_t bits) { return std::bit_cast<float>(bits); }

struct Product {
  float* c;
  uint32_t a[4], b[2];
};
// The whole 16 x 16 and 16 x 8 matrices are put together from the lanes, multiplied, and the sums given back.
inline void Mma(float (&c)[4], const Matrices& a, uint32_t b0, uint32_t b1, const Where& where = Where::current()) {
  Product mine{c, {a.m0, a.m1, a.m2, a.m3}, {b0, b1}};
  emulator::MeetWarp(
      [](void* const* all) {
        float left[16][16], right[8][16];  // right is transposed
        for (int lane = 0; lane < 32; ++lane) {
          const auto& p = *static_cast<const Product*>(all[lane]);
          const int group = lane / 4, pair = 2 * (lane % 4);
          for (int i = 0; i < 4; ++i) {
            const int row = group + (i % 2 == 1 ? 8 : 0), column = pair + (i >= 2 ? 8 : 0);
            left[row][column] = FromBits(p.a[i] << 16);
            left[row][column + 1] = FromBits(p.a[i] & 0xffff0000u);
          }
          for (int i = 0; i < 2; ++i) {
            right[group][pair + 8 * i] = FromBits(p.b[i] << 16);
            right[group][pair + 8 * i + 1] = FromBits(p.b[i] & 0xffff0000u);
          }
        }
        for (int lane = 0; lane < 32; ++lane)
          for (int i = 0; i < 4; ++i) {
            const int row = lane / 4 + (i >= 2 ? 8 : 0), column = 2 * (lane % 4) + i % 2;
            float sum = 0;
            for (int k = 0; k < 16; ++k) sum += left[row][k] * right[column][k];
            static_cast<const Product*>(all[lane])->c[i] += sum;
          }
      },
      &mine, where);
}

inline uint32_t RoundToBfloat16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return 0x7fff;
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}
inline uint32_t PackBfloat16(float low, float high) { return RoundToBfloat16(low) | RoundToBfloat16(high) << 16; }

inline float FastExp2(float x) { return std::exp2(x); }
inline float FastReciprocal(float x) { return 1.0f / x; }

template <typename... Parameters>
void Launch(const char* name, void (*kernel)(Parameters...), const Grid& grid, int threads, size_t shared_bytes,
            void* stream, typename AsGiven<Parameters>::Type... arguments) {
  emulator::RunBlocks(name, grid.x, grid.y, grid.z, threads, shared_bytes, [&] { kernel(arguments...); });
}

}  // namespace sink::kernels::cuda
