// The seam where a device enters: KernelsFor(tensor) answers which kernels compute on it. A table has a function for
// each operation that is more than a plain matrix product; the CPU's for float has those that beat ATen there, a CUDA
// device's hold what is written so far, and every other device and type has an empty one. An empty entry means the
// formula of reference_ops.h or reference_attention.h in ATen's operations, which runs anywhere and is what the tests
// compare kernels with. No file outside this folder asks a tensor for its device or type to choose a path.
//
// Entries take dense tensors of one device and of the table's type, but where they say otherwise; sizes are the
// caller's to check. They know nothing of autograd (model/network/operations.h does) and share work among threads or
// queue it on the device's current stream. With a fixed number of threads a result is the same in every run; the
// gradients that a CPU's entry computes do not even depend on that number, but for what it leaves to BLAS: large
// products, and on some CPUs all of them (cpu_product.h). Any thread.
//
// The table of bfloat16 takes activations and their gradients, and the matrices and embeddings that a model computes
// with, in bfloat16. In float are, there too: the weights of norms, what enters attention beside the merged rows
// (AttentionTerms) and its gradients, RoPE's table, losses, logarithms and inverse roots, and the gradient of every
// weight, to which a backward pass adds. An entry that returns such a tensor makes it in float; in a table of float,
// and in the formulas for double, everything has the table's type.
//
// Nothing here waits for a device: what a step decides from (a norm, a factor) stays in tensors on it.
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

struct AddedRmsNorm {
  at::Tensor sum_NC;  // x + residual, rounded to their type
  at::Tensor y_NC;    // of that sum
  at::Tensor inverse_rms_N;
};

// What each key gets from all queries, in float.
struct AttentionSums {
  at::Tensor keys_BHT;   // sum over the queries of the weight of key j
  at::Tensor column_BH;  // of the column; undefined without one
};

// The Euclidean norm of a gradient and the factor that clips it, scalars on its device.
struct Clipping {
  at::Tensor norm;  // double
  at::Tensor
      scale;  // float: max_norm / (norm + 1e-6) where 0 < max_norm < norm, else 1; 0 where the norm is not finite
};

// Flat vectors of one size that AdamW reads and changes, all in float but for the copy.
struct AdamWBuffers {
  at::Tensor gradient, value, first_moment, second_moment;
  at::Tensor copy;  // becomes the new values in bfloat16; undefined: there is none
};

struct Kernels {
  // out_NO = a_NC b_CO, or a_NC b_OC^T, or that added to out.
  void (*product)(const at::Tensor& a_NC, const at::Tensor& b, bool transpose_b, bool add, const at::Tensor& out_NO);
  // sum_OC += a_NO^T b_NC: the gradient of a linear layer's weight from its output's gradient and its input, either of
  // which may be strided. Products of the table's type that add up in float; sum is in float.
  void (*add_product)(const at::Tensor& a_NO, const at::Tensor& b_NC, const at::Tensor& sum_OC);

  // table_gradient[ids[n]] += dy[n]. ids int64.
  void (*embedding_backward)(const at::Tensor& dy_NC, const at::Tensor& ids_N, const at::Tensor& table_gradient_VC);

  // kernels/rmsnorm.h. The backward pass returns dx and adds the weight's gradient to weight_gradient.
  RmsNormOutput (*rms_norm)(const at::Tensor& x_NC, const at::Tensor& weight_C, double epsilon);
  at::Tensor (*rms_norm_backward)(const at::Tensor& dy_NC, const at::Tensor& x_NC, const at::Tensor& weight_C,
                                  const at::Tensor& inverse_rms_N, const at::Tensor& weight_gradient_C);
  // The same with the residual sum before it. The backward pass takes what comes to the sum by another way, which may
  // be undefined, and returns the sum's gradient, which is that of x and of the residual.
  AddedRmsNorm (*add_rms_norm)(const at::Tensor& x_NC, const at::Tensor& residual_NC, const at::Tensor& weight_C,
                               double epsilon);
  at::Tensor (*add_rms_norm_backward)(const at::Tensor& dy_NC, const at::Tensor& dsum_NC, const at::Tensor& sum_NC,
                                      const at::Tensor& weight_C, const at::Tensor& inverse_rms_N,
                                      const at::Tensor& weight_gradient_C);

  // kernels/feed_forward.h. x is [N, 2F] where gated, gate then up, else [N, F].
  at::Tensor (*feed_forward)(const at::Tensor& x, kernels::Activation activation, bool gated);
  at::Tensor (*feed_forward_backward)(const at::Tensor& dy_NF, const at::Tensor& x, kernels::Activation activation,
                                      bool gated);

  // kernels/rope.h: the first R values of the first `heads` heads of head_dim turn by the row's position n % length, R
  // the width of the table (cosines, then sines); the others are copied. inverse: the other way, which is the gradient.
  // y may be x.
  void (*rope)(const at::Tensor& x_NW, const at::Tensor& table_TR, int64_t length, int64_t heads, int64_t head_dim,
               bool inverse, const at::Tensor& y_NW);

  // Whether the next three take such a layer; null: all but those with a soft cap. A gradient of the offset bias is
  // wanted where that tensor requires one. What is not taken goes to the formulas.
  bool (*takes_attention)(const AttentionShape& shape, const AttentionRule& rule, const AttentionTerms& terms);
  // kernels/attention_weights.h; merged rows [N, W]. The gradient is dense, [N, H * D].
  AttentionOutput (*attention)(const at::Tensor& qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                               const AttentionTerms& terms);
  AttentionGradients (*attention_backward)(const at::Tensor& gradient_NC, const at::Tensor& qkv_NW,
                                           const AttentionOutput& forward, const AttentionShape& shape,
                                           const AttentionRule& rule, const AttentionTerms& terms);
  // From the forward pass's log_sum.
  AttentionSums (*attention_sums)(const at::Tensor& qkv_NW, const AttentionOutput& forward, const AttentionShape& shape,
                                  const AttentionRule& rule, const AttentionTerms& terms);
  // The weights of queries first .. first+rows-1 of every head, [B, H, rows, T], or [B, H, rows, 1 + T] with the column
  // first. Queries and keys may be strided. Not asked of rules with a soft cap.
  at::Tensor (*attention_weights)(const at::Tensor& query_BHTD, const at::Tensor& key_BKTD, const AttentionRule& rule,
                                  const AttentionTerms& terms, int64_t first, int64_t rows);

  // Losses of rows of logits, [R], in float; with want_gradient the logits become scale * d(sum of losses)/d(logits)
  // (kernels/cross_entropy.h). targets int64.
  at::Tensor (*cross_entropy)(at::Tensor& logits_RV, const at::Tensor& targets_R, double scale, bool want_gradient);
  // Rows of logits that exist at once; 0: as few as keep the traffic of the head's gradient below theirs. Each block of
  // them reads and writes that gradient, so a device with much memory is faster with more.
  int64_t loss_rows;

  // The next two are asked of the table of float alone. One step over whole buffers (kernels/adamw.h), the gradient
  // times *gradient_scale too, a float scalar on the device, undefined: 1. Where it is 0,
  // nothing changes, the copy included.
  void (*adamw)(const kernels::AdamWStep& step, const AdamWBuffers& buffers, const at::Tensor& gradient_scale);
  // The norm is summed in double in an order that does not depend on the number of threads.
  Clipping (*clipping)(const at::Tensor& gradient, double max_norm);

  // x = act(x + bias), in place (kernels/bias_activation.h); bias may be undefined.
  void (*bias_activation)(kernels::BiasActivation activation, const at::Tensor& bias_F, const at::Tensor& x_NF);
  // log_sum = log(exp(log_sum) + sum exp(x)), in place.
  void (*add_to_log_sum)(const at::Tensor& x_NV, const at::Tensor& log_sum_N);

  // Whether a model's blocks are best one node of autograd each where they can be (model/network/residual_block.h):
  // where the host computes, its calls between the kernels are part of a small model's step. All that such a block
  // needs is then in the table.
  bool whole_blocks;
};

// The type in which values of such a type are summed, losses told and parameters kept: float for bfloat16.
inline at::ScalarType SummedType(at::ScalarType type) { return type == at::kBFloat16 ? at::kFloat : type; }
inline at::ScalarType SummedType(const at::Tensor& x) { return SummedType(x.scalar_type()); }

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
