#include "model/backend/cpu_kernels.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cross_entropy.h"
#include "kernels/embedding.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "model/backend/cpu_attention.h"
#include "model/backend/cpu_product.h"
#include "model/backend/reference_ops.h"

namespace sink {
namespace {

constexpr int64_t kValuesPerTask = 1 << 14;   // below this a second thread costs more than it gives
constexpr int64_t kOptimizerBlock = 1 << 15;  // values of a parameter buffer
constexpr int64_t kGradientRows = 128;        // summed by one task, whatever the number of threads
constexpr int64_t kEmbeddingColumns = 16;     // of one task: a cache line

// Calls body(first_row, last_row) on ATen's threads.
template <typename Body>
void ForRows(int64_t rows, int64_t width, const Body& body) {
  at::parallel_for(0, rows, std::max<int64_t>(1, kValuesPerTask / width), body);
}

bool HasDenseRows(const at::Tensor& x) { return x.stride(1) == 1 && x.stride(0) >= x.size(1); }
Matrix RowsOf(const at::Tensor& x) { return {const_cast<float*>(x.const_data_ptr<float>()), x.stride(0)}; }

void AddProduct(const at::Tensor& a_NO, const at::Tensor& b_NC, const at::Tensor& sum_OC) {
  if (!HasDenseRows(a_NO) || !HasDenseRows(b_NC)) return reference::AddProduct(a_NO, b_NC, sum_OC);
  MatrixProduct(/*transpose_a=*/true, false, sum_OC.size(0), sum_OC.size(1), a_NO.size(0), RowsOf(a_NO), RowsOf(b_NC),
                /*add=*/true, RowsOf(sum_OC));
}

void Product(const at::Tensor& a_NC, const at::Tensor& b, bool transpose_b, bool add, const at::Tensor& out_NO) {
  MatrixProduct(false, transpose_b, out_NO.size(0), out_NO.size(1), a_NC.size(1), RowsOf(a_NC), RowsOf(b), add,
                RowsOf(out_NO));
}

void EmbeddingBackward(const at::Tensor& dy, const at::Tensor& ids, const at::Tensor& table_gradient) {
  float* table = table_gradient.mutable_data_ptr<float>();
  const int64_t columns = dy.size(1);
  at::parallel_for(0, columns, kEmbeddingColumns, [&](int64_t first, int64_t last) {
    kernels::EmbeddingBackward(dy.const_data_ptr<float>(), ids.const_data_ptr<int64_t>(), dy.size(0), columns, first,
                               last, table);
  });
}

RmsNormOutput RmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  const int64_t rows = x.size(0), columns = x.size(1);
  const RmsNormOutput out{at::empty_like(x), at::empty({rows}, x.options())};
  const float *in = x.const_data_ptr<float>(), *w = weight.const_data_ptr<float>();
  float *y = out.y_NC.mutable_data_ptr<float>(), *scale = out.inverse_rms_N.mutable_data_ptr<float>();
  ForRows(rows, columns, [&](int64_t first, int64_t last) {
    kernels::RmsNormForward(in + first * columns, w, static_cast<float>(epsilon), last - first, columns,
                            y + first * columns, scale + first);
  });
  return out;
}

AddedRmsNorm AddRmsNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, double epsilon) {
  const int64_t rows = x.size(0), columns = x.size(1);
  const AddedRmsNorm out{at::empty_like(x), at::empty_like(x), at::empty({rows}, x.options())};
  const float *in = x.const_data_ptr<float>(), *added = residual.const_data_ptr<float>();
  const float* w = weight.const_data_ptr<float>();
  float *sum = out.sum_NC.mutable_data_ptr<float>(), *y = out.y_NC.mutable_data_ptr<float>();
  float* scale = out.inverse_rms_N.mutable_data_ptr<float>();
  ForRows(rows, columns, [&](int64_t first, int64_t last) {
    kernels::AddRmsNormForward(in + first * columns, added + first * columns, w, static_cast<float>(epsilon),
                               last - first, columns, sum + first * columns, y + first * columns, scale + first);
  });
  return out;
}

// Blocks of fixed size, summed in order: the weight's gradient does not depend on the number of threads.
at::Tensor AddRmsNormBackward(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& x,
                              const at::Tensor& weight, const at::Tensor& inverse_rms,
                              const at::Tensor& weight_gradient) {
  const int64_t rows = x.size(0), columns = x.size(1), blocks = (rows + kGradientRows - 1) / kGradientRows;
  const at::Tensor dx = at::empty_like(x), partial = at::zeros({blocks, columns}, x.options());
  const float *in = x.const_data_ptr<float>(), *w = weight.const_data_ptr<float>();
  const float *gradient = dy.const_data_ptr<float>(), *scale = inverse_rms.const_data_ptr<float>();
  const float* other = dsum.defined() ? dsum.const_data_ptr<float>() : nullptr;
  float *out = dx.mutable_data_ptr<float>(), *sums = partial.mutable_data_ptr<float>();
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      const int64_t row = block * kGradientRows, count = std::min(kGradientRows, rows - row);
      kernels::RmsNormBackward(gradient + row * columns, in + row * columns, w, scale + row, count, columns,
                               out + row * columns, sums + block * columns,
                               other == nullptr ? nullptr : other + row * columns);
    }
  });
  float* total = weight_gradient.mutable_data_ptr<float>();
  for (int64_t block = 0; block < blocks; ++block)
    for (int64_t c = 0; c < columns; ++c) total[c] += sums[block * columns + c];
  return dx;
}

at::Tensor RmsNormBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                           const at::Tensor& inverse_rms, const at::Tensor& weight_gradient) {
  return AddRmsNormBackward(dy, /*dsum=*/{}, x, weight, inverse_rms, weight_gradient);
}

at::Tensor FeedForward(const at::Tensor& x, kernels::Activation activation, bool gated) {
  const int64_t rows = x.size(0), columns = x.size(1), width = gated ? columns / 2 : columns;
  const at::Tensor y = at::empty({rows, width}, x.options());
  const float* in = x.const_data_ptr<float>();
  float* out = y.mutable_data_ptr<float>();
  const auto kernel = gated ? kernels::GatedForward : kernels::ActivationForward;
  ForRows(rows, width, [&](int64_t first, int64_t last) {
    kernel(activation, in + first * columns, last - first, width, out + first * width);
  });
  return y;
}

at::Tensor FeedForwardBackward(const at::Tensor& dy, const at::Tensor& x, kernels::Activation activation, bool gated) {
  const at::Tensor dx = at::empty_like(x);
  const int64_t rows = dy.size(0), width = dy.size(1), columns = x.size(1);
  const float *in = x.const_data_ptr<float>(), *gradient = dy.const_data_ptr<float>();
  float* out = dx.mutable_data_ptr<float>();
  const auto kernel = gated ? kernels::GatedBackward : kernels::ActivationBackward;
  ForRows(rows, width, [&](int64_t first, int64_t last) {
    kernel(activation, gradient + first * width, in + first * columns, last - first, width, out + first * columns);
  });
  return dx;
}

void Rope(const at::Tensor& x, const at::Tensor& table, int64_t length, int64_t heads, int64_t head_dim, bool inverse,
          const at::Tensor& y) {
  const float *in = x.const_data_ptr<float>(), *angles = table.const_data_ptr<float>();
  float* out = y.mutable_data_ptr<float>();
  ForRows(x.size(0), x.size(1), [&](int64_t first, int64_t last) {
    kernels::Rope(in, angles, first, last, length, x.size(1), heads, head_dim, table.size(1), inverse, out);
  });
}

at::Tensor CrossEntropy(at::Tensor& logits, const at::Tensor& targets, double scale, bool want_gradient) {
  const int64_t rows = logits.size(0), vocabulary = logits.size(1);
  const at::Tensor losses = at::empty({rows}, logits.options());
  float *x = logits.mutable_data_ptr<float>(), *loss = losses.mutable_data_ptr<float>();
  const int64_t* target = targets.const_data_ptr<int64_t>();
  at::parallel_for(0, rows, 1 + kValuesPerTask / vocabulary, [&](int64_t first, int64_t last) {
    if (want_gradient)
      kernels::CrossEntropyForwardBackward(x + first * vocabulary, target + first, last - first, vocabulary,
                                           static_cast<float>(scale), loss + first);
    else
      kernels::CrossEntropyForward(x + first * vocabulary, target + first, last - first, vocabulary, loss + first);
  });
  return losses;
}

void AdamW(const kernels::AdamWStep& step, const AdamWBuffers& b, const at::Tensor& gradient_scale) {
  kernels::AdamWStep scaled = step;
  if (gradient_scale.defined()) scaled.gradient_scale *= gradient_scale.item<double>();
  if (scaled.gradient_scale == 0) return;
  const float* g = b.gradient.const_data_ptr<float>();
  float *x = b.value.mutable_data_ptr<float>(), *m = b.first_moment.mutable_data_ptr<float>(),
        *v = b.second_moment.mutable_data_ptr<float>();
  at::parallel_for(0, b.value.numel(), kOptimizerBlock, [&](int64_t first, int64_t last) {
    kernels::AdamW(scaled, last - first, g + first, x + first, m + first, v + first);
  });
  if (b.copy.defined()) b.copy.copy_(b.value);
}

Clipping Clip(const at::Tensor& x, double max_norm) {
  const int64_t count = x.numel(), blocks = (count + kOptimizerBlock - 1) / kOptimizerBlock;
  const float* data = x.const_data_ptr<float>();
  std::vector<double> sums(static_cast<size_t>(blocks));
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block)
      sums[static_cast<size_t>(block)] = kernels::SumOfSquares(
          data + block * kOptimizerBlock, std::min(kOptimizerBlock, count - block * kOptimizerBlock));
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  const double norm = std::sqrt(total);
  const double scale = max_norm > 0 && norm > max_norm ? max_norm / (norm + 1e-6) : 1.0;
  return {at::scalar_tensor(norm, at::kDouble), at::scalar_tensor(std::isfinite(norm) ? scale : 0.0, at::kFloat)};
}

void BiasActivation(kernels::BiasActivation activation, const at::Tensor& bias_F, const at::Tensor& x) {
  const float* bias = bias_F.defined() ? bias_F.const_data_ptr<float>() : nullptr;
  float* rows = x.mutable_data_ptr<float>();
  const int64_t width = x.size(1);
  ForRows(x.size(0), width, [&](int64_t first, int64_t last) {
    kernels::AddBiasAndActivate(activation, bias, last - first, width, rows + first * width);
  });
}

void AddToLogSum(const at::Tensor& x, const at::Tensor& log_sum_N) {
  const float* rows = x.const_data_ptr<float>();
  float* log_sum = log_sum_N.mutable_data_ptr<float>();
  const int64_t width = x.size(1);
  ForRows(x.size(0), width, [&](int64_t first, int64_t last) {
    kernels::AddToLogSum(rows + first * width, last - first, width, log_sum + first);
  });
}

constexpr Kernels kCpu{.product = Product,
                       .add_product = AddProduct,
                       .embedding_backward = EmbeddingBackward,
                       .rms_norm = RmsNorm,
                       .rms_norm_backward = RmsNormBackward,
                       .add_rms_norm = AddRmsNorm,
                       .add_rms_norm_backward = AddRmsNormBackward,
                       .feed_forward = FeedForward,
                       .feed_forward_backward = FeedForwardBackward,
                       .rope = Rope,
                       .attention = AttentionForwardCpu,
                       .attention_backward = AttentionBackwardCpu,
                       .attention_weights = AttentionWeightsCpu,
                       .cross_entropy = CrossEntropy,
                       .adamw = AdamW,
                       .clipping = Clip,
                       .bias_activation = BiasActivation,
                       .add_to_log_sum = AddToLogSum,
                       .whole_blocks = true};

}  // namespace

const Kernels& CpuKernels() { return kCpu; }

}  // namespace sink
