// The thin layer between kernels and the machine: everything a kernel takes from CUDA has a name here. Kernels use
// these names alone, so that their source also runs on a CPU: tests/kernels/cuda/emulator.h defines the same names
// first, for a block's threads as fibers, and this file then adds nothing. Device code, sm_80 and later.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/types.h"

#ifdef SINK_EMULATED_DEVICE
#include SINK_EMULATED_DEVICE
#else
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

// A kernel and the largest block that it is launched with, for which registers must suffice.
#define SINK_KERNEL(max_threads) __global__ void __launch_bounds__(max_threads, 1)
#define SINK_DEVICE __device__ __forceinline__
#define SINK_UNROLL _Pragma("unroll")
// For loops whose body is long enough without: keeps code and registers small.
#define SINK_ROLLED _Pragma("unroll 1")

namespace sink::kernels::cuda {

struct Grid {
  int64_t x = 1, y = 1, z = 1;
};

// Where this thread is.
SINK_DEVICE int Thread() { return static_cast<int>(threadIdx.x); }
SINK_DEVICE int Threads() { return static_cast<int>(blockDim.x); }
SINK_DEVICE int Lane() { return Thread() % 32; }
SINK_DEVICE int Warp() { return Thread() / 32; }
SINK_DEVICE int64_t BlockX() { return blockIdx.x; }
SINK_DEVICE int64_t BlockY() { return blockIdx.y; }
SINK_DEVICE int64_t BlockZ() { return blockIdx.z; }
SINK_DEVICE int64_t GridX() { return gridDim.x; }
SINK_DEVICE int64_t GridZ() { return gridDim.z; }

// All threads of the block, or of the warp, must come here; what they wrote to shared memory before is seen after.
SINK_DEVICE void Barrier() { __syncthreads(); }
SINK_DEVICE void WarpBarrier() { __syncwarp(); }

// The value of the lane whose number differs in the bits of `mask`; of lane `lane`. All 32 lanes must call.
template <typename T>
SINK_DEVICE T ShuffleXor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
template <typename T>
SINK_DEVICE T ShuffleFrom(T value, int lane) {
  return __shfl_sync(0xffffffffu, value, lane);
}

// The block's shared memory, as many bytes as Launch was given; aligned to 16 bytes, without a value at the start.
template <typename T>
SINK_DEVICE T* SharedMemory() {
  extern __shared__ __align__(16) unsigned char sink_shared_memory[];
  return reinterpret_cast<T*>(sink_shared_memory);
}

// A copy in one instruction; `from` and `to` aligned to kBytes (2, 4, 8 or 16).
template <int kBytes>
struct BitsOf;
template <>
struct BitsOf<2> {
  using Type = uint16_t;
};
template <>
struct BitsOf<4> {
  using Type = uint32_t;
};
template <>
struct BitsOf<8> {
  using Type = uint2;
};
template <>
struct BitsOf<16> {
  using Type = uint4;
};
template <int kBytes>
SINK_DEVICE typename BitsOf<kBytes>::Type LoadBits(const void* from) {
  return *static_cast<const typename BitsOf<kBytes>::Type*>(from);
}
template <int kBytes>
SINK_DEVICE void StoreBits(void* to, const typename BitsOf<kBytes>::Type& bits) {
  *static_cast<typename BitsOf<kBytes>::Type*>(to) = bits;
}

// 16 bytes from global to shared memory behind the thread's back, or 16 zeros where not `valid` (`from` is then not
// read). Copies since the last AsyncCommit are one group; AsyncWait<n> returns when all but this thread's last n groups
// have arrived. Other threads see them after a barrier that follows the wait.
SINK_DEVICE void CopyAsync16(void* shared, const void* from, bool valid) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(valid ? 16 : 0)
               : "memory");
}
SINK_DEVICE void AsyncCommit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kGroups>
SINK_DEVICE void AsyncWait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
}

// Four 8 x 8 matrices of 16-bit values from shared memory: lanes 8m .. 8m+7 give the rows of matrix m (16 bytes each,
// aligned). Lane l gets of each matrix the values [l/4][2(l%4)] (low half) and the next; transposed: [2(l%4)][l/4] and
// the one below it. (PTX: ldmatrix.sync.aligned.m8n8.x4.b16)
struct Matrices {
  uint32_t m0, m1, m2, m3;
};
SINK_DEVICE Matrices LoadMatrices(const Bfloat16* row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  Matrices r;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r.m0), "=r"(r.m1), "=r"(r.m2), "=r"(r.m3)
               : "r"(address)
               : "memory");
  return r;
}
SINK_DEVICE Matrices LoadMatricesTransposed(const Bfloat16* row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  Matrices r;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r.m0), "=r"(r.m1), "=r"(r.m2), "=r"(r.m3)
               : "r"(address)
               : "memory");
  return r;
}

// c += a b, a 16 x 16, b 16 x 8, bf16 with sums in float. With g = lane / 4, t = 2 (lane % 4):
// a: m0 = [g][t, t+1], m1 = [g+8][t, t+1], m2 = [g][t+8, t+9], m3 = [g+8][t+8, t+9];
// b: b0 = [t, t+1][g], b1 = [t+8, t+9][g]; c: [g][t], [g][t+1], [g+8][t], [g+8][t+1].
// (PTX: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32)
SINK_DEVICE void Mma(float (&c)[4], const Matrices& a, uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a.m0), "r"(a.m1), "r"(a.m2), "r"(a.m3), "r"(b0), "r"(b1));
}

// Rounds to the nearest, ties to even. The pair has `low` in its lower half.
SINK_DEVICE uint32_t PackBfloat16(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
SINK_DEVICE float FromBits(uint32_t bits) { return __uint_as_float(bits); }

// 2^x to 2 units in the last place; subnormal results are 0.
SINK_DEVICE float FastExp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// 1 / x to 1 unit in the last place; subnormal results are 0.
SINK_DEVICE float FastReciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Queues a kernel: blocks of `threads`, a multiple of 32, with `shared_bytes` of shared memory each. Host code.
template <typename... Parameters>
void Launch(const char* name, void (*kernel)(Parameters...), const Grid& grid, int threads, size_t shared_bytes,
            void* stream, typename AsGiven<Parameters>::Type... arguments) {
  constexpr size_t kWithoutAsking = 48 * 1024;
  const auto* function = reinterpret_cast<const void*>(kernel);
  cudaError_t error = cudaSuccess;
  if (shared_bytes > kWithoutAsking)
    error = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  if (error == cudaSuccess) {
    const dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
    void* pointers[] = {&arguments...};
    error = cudaLaunchKernel(function, blocks, dim3(static_cast<unsigned>(threads)), pointers, shared_bytes,
                             static_cast<cudaStream_t>(stream));
  }
  if (error == cudaSuccess) return;
  cudaGetLastError();  // told here: whoever asks next must not take it for the failure of another call
  throw std::runtime_error(std::string(name) + ": " + cudaGetErrorString(error));
}

}  // namespace sink::kernels::cuda
#endif  // SINK_EMULATED_DEVICE
