// The entries of the CUDA tables, for float and kernels::cuda::Bfloat16; model/backend/backend.h has their contracts.
// Work is queued on the current stream of the tensors' device. Any thread.
#pragma once

#include "model/backend/backend.h"

namespace sink::cuda {

template <typename T>
void AddProduct(const at::Tensor& a_NO, const at::Tensor& b_NC, const at::Tensor& sum_OC);

template <typename T>
void EmbeddingBackward(const at::Tensor& dy_NC, const at::Tensor& ids_N, const at::Tensor& table_gradient_VC);

template <typename T>
RmsNormOutput RmsNorm(const at::Tensor& x_NC, const at::Tensor& weight_C, double epsilon);
template <typename T>
at::Tensor RmsNormBackward(const at::Tensor& dy_NC, const at::Tensor& x_NC, const at::Tensor& weight_C,
                           const at::Tensor& inverse_rms_N, const at::Tensor& weight_gradient_C);
template <typename T>
AddedRmsNorm AddRmsNorm(const at::Tensor& x_NC, const at::Tensor& residual_NC, const at::Tensor& weight_C,
                        double epsilon);
template <typename T>
at::Tensor AddRmsNormBackward(const at::Tensor& dy_NC, const at::Tensor& dsum_NC, const at::Tensor& sum_NC,
                              const at::Tensor& weight_C, const at::Tensor& inverse_rms_N,
                              const at::Tensor& weight_gradient_C);

template <typename T>
at::Tensor FeedForward(const at::Tensor& x, kernels::Activation activation, bool gated);
template <typename T>
at::Tensor FeedForwardBackward(const at::Tensor& dy_NF, const at::Tensor& x, kernels::Activation activation,
                               bool gated);

template <typename T>
void Rope(const at::Tensor& x_NW, const at::Tensor& table_TR, int64_t length, int64_t heads, int64_t head_dim,
          bool inverse, const at::Tensor& y_NW);

template <typename T>
bool TakesAttention(const AttentionShape& shape, const AttentionRule& rule, const AttentionTerms& terms);
template <typename T>
AttentionOutput Attention(const at::Tensor& qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                          const AttentionTerms& terms);
template <typename T>
AttentionGradients AttentionBackward(const at::Tensor& gradient_NC, const at::Tensor& qkv_NW,
                                     const AttentionOutput& forward, const AttentionShape& shape,
                                     const AttentionRule& rule, const AttentionTerms& terms);
template <typename T>
AttentionSums SumAttention(const at::Tensor& qkv_NW, const AttentionOutput& forward, const AttentionShape& shape,
                           const AttentionRule& rule, const AttentionTerms& terms);

template <typename T>
at::Tensor CrossEntropy(at::Tensor& logits_RV, const at::Tensor& targets_R, double scale, bool want_gradient);

void AdamW(const kernels::AdamWStep& step, const AdamWBuffers& buffers, const at::Tensor& gradient_scale);
Clipping Clip(const at::Tensor& gradient, double max_norm);

}  // namespace sink::cuda
