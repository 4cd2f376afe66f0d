// The differentiable operations: fused Functions over kernels/, and the same formulas in ATen.
#include "model/network/operations.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "kernels/embedding.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"

namespace sink {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr int64_t kValuesPerTask = 1 << 14;  // below this a second thread costs more than it gives

bool Fused(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; }

// Calls body(first_row, last_row) on ATen's threads.
template <typename Body>
void ForRows(int64_t rows, int64_t width, const Body& body) {
  at::parallel_for(0, rows, std::max<int64_t>(1, kValuesPerTask / width), body);
}

struct EmbeddingFunction : Function<EmbeddingFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& table, const at::Tensor& ids) {
    ctx->save_for_backward({table, ids});
    return at::embedding(table, ids);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor dy = gradients[0].contiguous(), &ids = saved[1];
    float* table = saved[0].grad().mutable_data_ptr<float>();
    const int64_t columns = dy.size(1);
    at::parallel_for(0, columns, 16, [&](int64_t first, int64_t last) {
      kernels::EmbeddingBackward(dy.const_data_ptr<float>(), ids.const_data_ptr<int64_t>(), dy.size(0), columns, first,
                                 last, table);
    });
    return {at::Tensor(), at::Tensor()};
  }
};

// The weight's gradient goes straight into the buffer (beta = 1 of the matrix product) instead of through a temporary.
struct LinearFunction : Function<LinearFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight) {
    ctx->save_for_backward({x, weight});
    return at::mm(x, weight.t());
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &dy = gradients[0];
    if (weight.grad().defined()) weight.grad().addmm_(dy.t(), x);
    return {dy.mm(weight), at::Tensor()};
  }
};

struct RmsNormFunction : Function<RmsNormFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, double epsilon) {
    const int64_t rows = x.size(0), columns = x.size(1);
    const at::Tensor y = at::empty_like(x), inverse_rms = at::empty({rows}, x.options());
    const float *in = x.const_data_ptr<float>(), *w = weight.const_data_ptr<float>();
    float *out = y.mutable_data_ptr<float>(), *scale = inverse_rms.mutable_data_ptr<float>();
    ForRows(rows, columns, [&](int64_t first, int64_t last) {
      kernels::RmsNormForward({}, in + first * columns, w, static_cast<float>(epsilon), last - first, columns,
                              out + first * columns, scale + first);
    });
    ctx->save_for_backward({x, weight, inverse_rms});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], dy = gradients[0].contiguous(), dx = at::empty_like(x);
    const int64_t rows = x.size(0), columns = x.size(1);
    // Blocks of fixed size, summed in order: the weight's gradient does not depend on the number of threads.
    constexpr int64_t kBlock = 128;
    const int64_t blocks = (rows + kBlock - 1) / kBlock;
    const at::Tensor partial = at::zeros({blocks, columns}, x.options());
    const float *in = x.const_data_ptr<float>(), *w = weight.const_data_ptr<float>();
    const float *gradient = dy.const_data_ptr<float>(), *scale = saved[2].const_data_ptr<float>();
    float *out = dx.mutable_data_ptr<float>(), *sums = partial.mutable_data_ptr<float>();
    at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
      for (int64_t block = first; block < last; ++block) {
        const int64_t row = block * kBlock, count = std::min(kBlock, rows - row);
        kernels::RmsNormBackward({}, gradient + row * columns, in + row * columns, w, scale + row, count, columns,
                                 out + row * columns, sums + block * columns);
      }
    });
    float* total = weight.grad().mutable_data_ptr<float>();
    for (int64_t block = 0; block < blocks; ++block)
      for (int64_t c = 0; c < columns; ++c) total[c] += sums[block * columns + c];
    return {dx, at::Tensor(), at::Tensor()};
  }
};

struct FeedForwardFunction : Function<FeedForwardFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, kernels::Activation activation, bool gated) {
    const int64_t rows = x.size(0), columns = x.size(1), width = gated ? columns / 2 : columns;
    const at::Tensor y = at::empty({rows, width}, x.options());
    const float* in = x.const_data_ptr<float>();
    float* out = y.mutable_data_ptr<float>();
    const auto kernel = gated ? kernels::GatedForward : kernels::ActivationForward;
    ForRows(rows, width, [&](int64_t first, int64_t last) {
      kernel(activation, in + first * columns, last - first, width, out + first * width);
    });
    ctx->save_for_backward({x});
    ctx->saved_data["activation"] = static_cast<int64_t>(activation);
    return y;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const at::Tensor x = ctx->get_saved_variables()[0], dy = gradients[0].contiguous(), dx = at::empty_like(x);
    const int64_t rows = dy.size(0), width = dy.size(1), columns = x.size(1);
    const auto activation = static_cast<kernels::Activation>(ctx->saved_data["activation"].toInt());
    const float *in = x.const_data_ptr<float>(), *gradient = dy.const_data_ptr<float>();
    float* out = dx.mutable_data_ptr<float>();
    const auto kernel = columns == width ? kernels::ActivationBackward : kernels::GatedBackward;
    ForRows(rows, width, [&](int64_t first, int64_t last) {
      kernel(activation, gradient + first * width, in + first * columns, last - first, width, out + first * columns);
    });
    return {dx, at::Tensor(), at::Tensor()};
  }
};

at::Tensor Activate(const at::Tensor& x, kernels::Activation activation) {
  switch (activation) {
    case kernels::Activation::kSilu:
      return at::silu(x);
    case kernels::Activation::kGelu:
      return at::gelu(x, /*approximate=*/"none");
    case kernels::Activation::kRelu:
      return at::relu(x);
  }
  return {};
}

void RopeKernel(const at::Tensor& x, const at::Tensor& table, int64_t length, int64_t heads, bool inverse,
                const at::Tensor& y) {
  const float *in = x.const_data_ptr<float>(), *angles = table.const_data_ptr<float>();
  float* out = y.mutable_data_ptr<float>();
  ForRows(x.size(0), x.size(1), [&](int64_t first, int64_t last) {
    kernels::Rope(in, angles, first, last, length, x.size(1), heads, table.size(1), table.size(1), inverse, out);
  });
}

struct RopeFunction : Function<RopeFunction> {
  static at::Tensor forward(AutogradContext* ctx, at::Tensor x, const at::Tensor& table, int64_t length,
                            int64_t heads) {
    RopeKernel(x, table, length, heads, false, x);
    ctx->mark_dirty({x});
    ctx->save_for_backward({table});
    ctx->saved_data["length"] = length;
    ctx->saved_data["heads"] = heads;
    return x;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const at::Tensor dy = gradients[0].contiguous(), dx = at::empty_like(dy);
    RopeKernel(dy, ctx->get_saved_variables()[0], ctx->saved_data["length"].toInt(), ctx->saved_data["heads"].toInt(),
               true, dx);
    return {dx, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor Embedding(const at::Tensor& table_VC, const at::Tensor& ids_N) {
  return Fused(table_VC) ? EmbeddingFunction::apply(table_VC, ids_N) : at::embedding(table_VC, ids_N);
}

at::Tensor Linear(const at::Tensor& x_NC, const at::Tensor& weight_OC) {
  return LinearFunction::apply(x_NC, weight_OC);
}

at::Tensor RmsNorm(const at::Tensor& x_NC, const at::Tensor& weight_C, double epsilon) {
  if (Fused(x_NC)) return RmsNormFunction::apply(x_NC, weight_C, epsilon);
  return x_NC * at::rsqrt(x_NC.square().mean(-1, /*keepdim=*/true) + epsilon) * weight_C;
}

at::Tensor FeedForwardUnit(const at::Tensor& x, kernels::Activation activation, bool gated) {
  if (Fused(x)) return FeedForwardFunction::apply(x, activation, gated);
  if (!gated) return Activate(x, activation);
  const int64_t width = x.size(1) / 2;
  return Activate(x.narrow(1, 0, width), activation) * x.narrow(1, width, width);
}

at::Tensor RopeTable(int64_t length, int64_t head_dim, double theta, at::TensorOptions options) {
  const auto wide = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor exponent = at::arange(head_dim / 2, wide) * (-2.0 / static_cast<double>(head_dim));
  const at::Tensor angle = at::arange(length, wide).unsqueeze(1) * (exponent * std::log(theta)).exp();
  return at::cat({angle.cos(), angle.sin()}, 1).to(options);
}

at::Tensor Rope(const at::Tensor& x_NW, const at::Tensor& table_TD, int64_t length, int64_t rotated_heads) {
  if (Fused(x_NW)) return RopeFunction::apply(x_NW, table_TD, length, rotated_heads);
  const int64_t rows = x_NW.size(0), head_dim = table_TD.size(1), half = head_dim / 2;
  const int64_t rotated = rotated_heads * head_dim;
  const at::Tensor x = x_NW.narrow(1, 0, rotated).reshape({rows / length, length, rotated_heads, head_dim});
  const at::Tensor low = x.narrow(3, 0, half), high = x.narrow(3, half, half);
  const at::Tensor table = table_TD.narrow(0, 0, length).view({1, length, 1, head_dim});
  const at::Tensor cosine = table.narrow(3, 0, half), sine = table.narrow(3, half, half);
  const at::Tensor turned = at::cat({low * cosine - high * sine, high * cosine + low * sine}, 3);
  return at::cat({turned.reshape({rows, rotated}), x_NW.narrow(1, rotated, x_NW.size(1) - rotated)}, 1);
}

}  // namespace sink
