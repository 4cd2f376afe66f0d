// The library of CUDA kernels: the table that OpenDevice (model/backend/device.cc) looks up and hands to the backend.
// It needs LibTorch's CUDA half, which only a program that was given a GPU loads. Work is queued on the current stream
// of the tensors' device, which is the current device. Any thread.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAStream.h>

#include <type_traits>

#include "kernels/rmsnorm_cuda.h"
#include "model/backend/backend.h"

namespace sink {
namespace {

void* Stream() { return c10::cuda::getCurrentCUDAStream().stream(); }

RmsNormOutput RmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  const int64_t rows = x.size(0);
  const RmsNormOutput out{at::empty_like(x), at::empty({rows}, x.options())};
  if (rows == 0) return out;
  kernels::cuda::RmsNormForward(Stream(), x.const_data_ptr<float>(), weight.const_data_ptr<float>(),
                                static_cast<float>(epsilon), rows, x.size(1), out.y_NC.mutable_data_ptr<float>(),
                                out.inverse_rms_N.mutable_data_ptr<float>());
  return out;
}

at::Tensor RmsNormBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                           const at::Tensor& inverse_rms, const at::Tensor& weight_gradient) {
  const at::Tensor dx = at::empty_like(x);
  if (x.size(0) == 0) return dx;
  kernels::cuda::RmsNormBackward(Stream(), dy.const_data_ptr<float>(), x.const_data_ptr<float>(),
                                 weight.const_data_ptr<float>(), inverse_rms.const_data_ptr<float>(), x.size(0),
                                 x.size(1), dx.mutable_data_ptr<float>(), weight_gradient.mutable_data_ptr<float>());
  return dx;
}

constexpr Kernels kFloat{.rms_norm = RmsNorm, .rms_norm_backward = RmsNormBackward};

}  // namespace
}  // namespace sink

extern "C" const sink::Kernels* SinkCudaKernels(at::ScalarType dtype) {
  return dtype == at::kFloat ? &sink::kFloat : nullptr;
}

static_assert(std::is_same_v<decltype(&SinkCudaKernels), sink::CudaKernelsFunction>);
