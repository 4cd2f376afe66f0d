// Where a kernel's pointers live and where it runs. Plain value.
#pragma once

namespace sink::kernels {

struct Place {
  enum class Kind { kCpu, kCuda };
  Kind kind = Kind::kCpu;
  void* stream = nullptr;  // kCuda: a cudaStream_t on the current device; the call returns when the work is queued
};

// Whether this program was built with the CUDA kernels, and why not where it was not.
bool HaveCudaKernels();

}  // namespace sink::kernels
