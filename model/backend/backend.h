// The seam where a device enters: KernelsFor(tensor) answers which kernels compute on it. A table has a function for
// each operation that is more than a matrix product; the CPU's for float is complete, a CUDA device's holds what is
// written so far, and every other device and type has an empty one. An empty entry means the formula of reference_ops.h
// or reference_attention.h in ATen's operations, which runs anywhere and is what the tests compare kernels with. No
// file outside this folder asks a tensor for its device or type to choose a path.
//
// Entries take dense tensors of one device and of the table's type, but where they say otherwise; sizes are the
// caller's to check. They know nothing of autograd (model/network/operations.h does) and share work among threads or
// queue it on the device's current stream. With a fixed number of threads a result is the same in every run; the
// gradients that a CPU's entry computes do not even depend on that number. Any thread.
//
// Letters in names of tensors: model/README.md.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/adamw.h"
#include "kernels/bias_activation.h"
#include "kernels/feed_forward.h"
#include "model/backend/attention_types.h"

namespace sink {

struct RmsNormOutput {
  at::Tensor y_NC;
  at::Tensor inverse_rms_N;  // 1 / sqrt(mean(x^2) + epsilon), for the backward pass
};

struct Kernels {
  // table_gradient[ids[n]] += dy[n]. ids int64.
  void (*embedding_backward)(const at::Tensor& dy_NC, const at::Tensor& ids_N, const at::Tensor& table_gradient_VC);

  // kernels/rmsnorm.h. The backward pass returns dx and adds the weight's gradient to weight_gradient.
  RmsNormOutput (*rms_norm)(const at::Tensor& x_NC, const at::Tensor& weight_C, double epsilon);
  at::Tensor (*rms_norm_backward)(const at::Tensor& dy_NC, const at::Tensor& x_NC, const at::Tensor& weight_C,
                                  const at::Tensor& inverse_rms_N, const at::Tensor& weight_gradient_C);

  // kernels/feed_forward.h. x is [N, 2F] where gated, gate then up, else [N, F].
  at::Tensor (*feed_forward)(const at::Tensor& x, kernels::Activation activation, bool gated);
  at::Tensor (*feed_forward_backward)(const at::Tensor& dy_NF, const at::Tensor& x, kernels::Activation activation,
                                      bool gated);

  // kernels/rope.h: the first R values of the first `heads` heads of head_dim turn by the row's position n % length, R
  // the width of the table (cosines, then sines); the others are copied. inverse: the other way, which is the gradient.
  // y may be x.
  void (*rope)(const at::Tensor& x_NW, const at::Tensor& table_TR, int64_t length, int64_t heads, int64_t head_dim,
               bool inverse, const at::Tensor& y_NW);

  // kernels/attention_weights.h on strips of queries; merged rows [N, W]. The gradient is dense, [N, H * D]. Rules with
  // a soft cap are not asked of these three.
  AttentionOutput (*attention)(const at::Tensor& qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                               const AttentionTerms& terms);
  AttentionGradients (*attention_backward)(const at::Tensor& gradient_NC, const at::Tensor& qkv_NW,
                                           const AttentionOutput& forward, const AttentionShape& shape,
                                           const AttentionRule& rule, const AttentionTerms& terms);
  // The weights of queries first .. first+rows-1 of every head, [B, H, rows, T], or [B, H, rows, 1 + T] with the column
  // first. Queries and keys may be strided.
  at::Tensor (*attention_weights)(const at::Tensor& query_BHTD, const at::Tensor& key_BKTD, const AttentionRule& rule,
                                  const AttentionTerms& terms, int64_t first, int64_t rows);

  // Losses of rows of logits, [R]; with want_gradient the logits become scale * d(sum of losses)/d(logits)
  // (kernels/cross_entropy.h). targets int64.
  at::Tensor (*cross_entropy)(at::Tensor& logits_RV, const at::Tensor& targets_R, double scale, bool want_gradient);

  // One step over whole buffers (kernels/adamw.h).
  void (*adamw)(const kernels::AdamWStep& step, const at::Tensor& gradient, const at::Tensor& value,
                const at::Tensor& first_moment, const at::Tensor& second_moment);
  // Euclidean norm, summed in double in an order that does not depend on the number of threads.
  double (*norm)(const at::Tensor& x);

  // x = act(x + bias), in place (kernels/bias_activation.h); bias may be undefined.
  void (*bias_activation)(kernels::BiasActivation activation, const at::Tensor& bias_F, const at::Tensor& x_NF);
  // log_sum = log(exp(log_sum) + sum exp(x)), in place.
  void (*add_to_log_sum)(const at::Tensor& x_NV, const at::Tensor& log_sum_N);
};

// Never null; the entries may be. Of the device's kind and type alone, whatever the device's number.
const Kernels& KernelsFor(at::Device device, at::ScalarType dtype);
inline const Kernels& KernelsFor(const at::Tensor& x) { return KernelsFor(x.device(), x.scalar_type()); }

// What the library of CUDA kernels exports (cuda/cuda_kernels.cc), under the name kCudaKernelsSymbol: its table for a
// type, or null where it has none. OpenDevice looks it up and hands it over once, before anything computes.
using CudaKernelsFunction = const Kernels* (*)(at::ScalarType dtype);
inline constexpr char kCudaKernelsLibrary[] = "libsink_cuda.so";
inline constexpr char kCudaKernelsSymbol[] = "SinkCudaKernels";
void UseCudaKernels(CudaKernelsFunction tables);

}  // namespace sink
