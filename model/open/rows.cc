#include "model/open/rows.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>

#include "kernels/bias_activation.h"
#include "kernels/cross_entropy.h"
#include "kernels/rope.h"

namespace sink {
namespace {

// Calls body(first_row, last_row) on ATen's threads.
template <typename Body>
void ForRows(const at::Tensor& x, const Body& body) {
  at::parallel_for(0, x.size(0), 16, body);
}

auto KernelOf(OpenActivation activation) {
  switch (activation) {
    case OpenActivation::kGelu:
      return kernels::BiasGelu;
    case OpenActivation::kGeluTanh:
      return kernels::BiasGeluTanh;
    case OpenActivation::kRelu:
      return kernels::BiasRelu;
    case OpenActivation::kSilu:
      break;
  }
  return kernels::BiasSilu;
}

at::Tensor Activated(OpenActivation activation, const at::Tensor& x) {
  switch (activation) {
    case OpenActivation::kGelu:
      return at::gelu(x, "none");
    case OpenActivation::kGeluTanh:
      return at::gelu(x, "tanh");
    case OpenActivation::kRelu:
      return x.clamp_min(0);
    case OpenActivation::kSilu:
      break;
  }
  return x * x.sigmoid();
}

}  // namespace

void RotateRows(const at::Tensor& x_NW, const at::Tensor& table_TR, int64_t length, int64_t heads, int64_t head_dim) {
  const int64_t dims = table_TR.size(1), half = dims / 2;
  if (x_NW.is_cpu()) {
    float* rows = x_NW.mutable_data_ptr<float>();
    return ForRows(x_NW, [&](int64_t first, int64_t last) {
      kernels::Rope(rows, table_TR.const_data_ptr<float>(), first, last, length, x_NW.size(1), heads, head_dim, dims,
                    false, rows);
    });
  }
  const at::Tensor x_BTHD = x_NW.narrow(1, 0, heads * head_dim).view({-1, length, heads, head_dim});
  const at::Tensor low = x_BTHD.narrow(3, 0, half), high = x_BTHD.narrow(3, half, half);
  const at::Tensor table_T1R = table_TR.unsqueeze(1);
  const at::Tensor cosine = table_T1R.narrow(2, 0, half), sine = table_T1R.narrow(2, half, half);
  x_BTHD.narrow(3, 0, dims).copy_(at::cat({low * cosine - high * sine, high * cosine + low * sine}, 3));
}

void ActivateRows(OpenActivation activation, const at::Tensor& bias_F, const at::Tensor& x_NF) {
  if (!x_NF.is_cpu()) {
    x_NF.copy_(Activated(activation, bias_F.defined() ? x_NF + bias_F : x_NF));
    return;
  }
  const float* bias = bias_F.defined() ? bias_F.const_data_ptr<float>() : nullptr;
  float* rows = x_NF.mutable_data_ptr<float>();
  const int64_t width = x_NF.size(1);
  ForRows(x_NF,
          [&](int64_t first, int64_t last) { KernelOf(activation)(bias, last - first, width, rows + first * width); });
}

void AddToLogSum(const at::Tensor& x_NV, const at::Tensor& log_sum_N) {
  if (!x_NV.is_cpu()) {
    log_sum_N.copy_(at::logaddexp(log_sum_N, at::logsumexp(x_NV, {1})));
    return;
  }
  const float* rows = x_NV.const_data_ptr<float>();
  float* log_sum = log_sum_N.mutable_data_ptr<float>();
  const int64_t width = x_NV.size(1);
  ForRows(x_NV, [&](int64_t first, int64_t last) {
    kernels::AddToLogSum(rows + first * width, last - first, width, log_sum + first);
  });
}

}  // namespace sink
