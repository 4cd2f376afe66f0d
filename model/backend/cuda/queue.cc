#include "model/backend/cuda/queue.h"

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include "model/backend/device.h"

namespace sink::cuda {

void* CurrentStream() { return c10::cuda::getCurrentCUDAStream().stream(); }

size_t SharedMemoryLimit() {
  int bytes = 0;
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, c10::cuda::current_device()));
  return static_cast<size_t>(bytes);
}

}  // namespace sink::cuda

extern "C" int SinkCudaCapability(at::DeviceIndex device) {
  int major = 0, minor = 0;
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
  return 10 * major + minor;
}

static_assert(std::is_same_v<decltype(&SinkCudaCapability), sink::CudaCapabilityFunction>);
