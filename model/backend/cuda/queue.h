// Where the entries of the CUDA tables queue their work, and what they hand to launchers: pointers into dense tensors
// of the type that a launcher expects. Everything of this folder but queue.cc also compiles without CUDA, so that a
// test runs the same entries on CPU tensors with emulated kernels and a CurrentStream of its own. Any thread.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>
#include <c10/util/Exception.h>

#include <cstddef>
#include <type_traits>

#include "kernels/cuda/types.h"

namespace sink::cuda {

// The current stream of the current device, a cudaStream_t.
void* CurrentStream();
// Bytes of shared memory that a block of the current device may have.
size_t SharedMemoryLimit();

// While it lives, the tensor's device is the current one.
class Queue {
 public:
  explicit Queue(const at::Tensor& x) : guard_(x.device()), stream_(CurrentStream()) {}

  void* stream() const { return stream_; }

 private:
  c10::DeviceGuard guard_;
  void* stream_;
};

template <typename T>
constexpr at::ScalarType TypeOf() {
  if constexpr (std::is_same_v<T, kernels::cuda::Bfloat16>)
    return at::kBFloat16;
  else
    return c10::CppTypeToScalarType<T>::value;
}

template <typename T>
void CheckDense(const at::Tensor& x) {
  TORCH_CHECK(x.scalar_type() == TypeOf<T>() && x.is_contiguous(), "a CUDA kernel got a tensor of another layout");
}
// Null where the tensor is undefined.
template <typename T>
const T* In(const at::Tensor& x) {
  if (!x.defined()) return nullptr;
  CheckDense<T>(x);
  return static_cast<const T*>(x.const_data_ptr());
}
template <typename T>
T* Out(const at::Tensor& x) {
  if (!x.defined()) return nullptr;
  CheckDense<T>(x);
  return static_cast<T*>(x.mutable_data_ptr());
}

}  // namespace sink::cuda
