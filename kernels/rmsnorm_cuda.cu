// RMSNorm on CUDA: a block a row for the forward pass and dx; for dweight a block takes 32 columns and walks down all
// rows, so that sums are made in a fixed order and need no atomics.
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "kernels/rmsnorm_cuda.h"

namespace sink::kernels::cuda {
namespace {

constexpr int kRowThreads = 256;
constexpr int kColumnTile = 32;
constexpr int kRowTile = 32;

// Sum over the block, returned to every thread. kRowThreads threads; `shared` holds one float a warp.
__device__ float BlockSum(float value, float* shared) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffu, value, offset);
  __syncthreads();  // `shared` may still be read by an earlier sum
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  float sum = 0;
  for (int warp = 0; warp < kRowThreads / 32; ++warp) sum += shared[warp];
  return sum;
}

__global__ void ForwardKernel(const float* x_RC, const float* weight_C, float epsilon, int64_t columns, float* y_RC,
                              float* inverse_rms_R) {
  __shared__ float shared[kRowThreads / 32];
  const float* x = x_RC + blockIdx.x * columns;
  float* y = y_RC + blockIdx.x * columns;
  float squares = 0;
  for (int64_t c = threadIdx.x; c < columns; c += kRowThreads) squares += x[c] * x[c];
  const float inverse_rms = 1.0f / sqrtf(BlockSum(squares, shared) / static_cast<float>(columns) + epsilon);
  for (int64_t c = threadIdx.x; c < columns; c += kRowThreads) y[c] = x[c] * inverse_rms * weight_C[c];
  if (threadIdx.x == 0) inverse_rms_R[blockIdx.x] = inverse_rms;
}

__global__ void InputGradientKernel(const float* dy_RC, const float* x_RC, const float* weight_C,
                                    const float* inverse_rms_R, int64_t columns, float* dx_RC) {
  __shared__ float shared[kRowThreads / 32];
  const float* x = x_RC + blockIdx.x * columns;
  const float* dy = dy_RC + blockIdx.x * columns;
  float* dx = dx_RC + blockIdx.x * columns;
  const float inverse_rms = inverse_rms_R[blockIdx.x];
  float product = 0;
  for (int64_t c = threadIdx.x; c < columns; c += kRowThreads) product += dy[c] * weight_C[c] * x[c];
  const float along_x = BlockSum(product, shared) / static_cast<float>(columns) * inverse_rms * inverse_rms;
  for (int64_t c = threadIdx.x; c < columns; c += kRowThreads)
    dx[c] = inverse_rms * (dy[c] * weight_C[c] - x[c] * along_x);
}

__global__ void WeightGradientKernel(const float* dy_RC, const float* x_RC, const float* inverse_rms_R, int64_t rows,
                                     int64_t columns, float* dweight_C) {
  __shared__ float shared[kRowTile][kColumnTile];
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kColumnTile + threadIdx.x;
  float sum = 0;
  if (c < columns)
    for (int64_t row = threadIdx.y; row < rows; row += kRowTile)
      sum += dy_RC[row * columns + c] * x_RC[row * columns + c] * inverse_rms_R[row];
  shared[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || c >= columns) return;
  float total = 0;
  for (int y = 0; y < kRowTile; ++y) total += shared[y][threadIdx.x];
  dweight_C[c] += total;
}

void CheckLaunch(const char* name) {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) throw std::runtime_error(std::string(name) + ": " + cudaGetErrorString(error));
}

}  // namespace

void RmsNormForward(void* stream, const float* x_RC, const float* weight_C, float epsilon, int64_t rows,
                    int64_t columns, float* y_RC, float* inverse_rms_R) {
  ForwardKernel<<<static_cast<unsigned>(rows), kRowThreads, 0, static_cast<cudaStream_t>(stream)>>>(
      x_RC, weight_C, epsilon, columns, y_RC, inverse_rms_R);
  CheckLaunch("RMSNorm forward");
}

// dweight first: it reads dy_RC, over which dx_RC may be written.
void RmsNormBackward(void* stream, const float* dy_RC, const float* x_RC, const float* weight_C,
                     const float* inverse_rms_R, int64_t rows, int64_t columns, float* dx_RC, float* dweight_C) {
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  const unsigned tiles = static_cast<unsigned>((columns + kColumnTile - 1) / kColumnTile);
  WeightGradientKernel<<<tiles, dim3(kColumnTile, kRowTile), 0, cuda_stream>>>(dy_RC, x_RC, inverse_rms_R, rows,
                                                                               columns, dweight_C);
  CheckLaunch("RMSNorm weight gradient");
  InputGradientKernel<<<static_cast<unsigned>(rows), kRowThreads, 0, cuda_stream>>>(dy_RC, x_RC, weight_C,
                                                                                    inverse_rms_R, columns, dx_RC);
  CheckLaunch("RMSNorm input gradient");
}

}  // namespace sink::kernels::cuda
