// RMSNorm of rows, and of the sum with a residual.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "kernels/cuda/rmsnorm.h"
#include "model/backend/cuda/entries.h"
#include "model/backend/cuda/queue.h"

namespace sink::cuda {
namespace {

using kernels::cuda::Bfloat16;

at::Tensor OneARow(const at::Tensor& x) { return at::empty({x.size(0)}, x.options().dtype(at::kFloat)); }

// The residual and its sum may be undefined.
template <typename T>
void Forward(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, double epsilon,
             const at::Tensor& sum, const at::Tensor& y, const at::Tensor& inverse_rms) {
  const Queue queue(x);
  kernels::cuda::RmsNormForward<T>(queue.stream(), In<T>(x), In<T>(residual), In<float>(weight),
                                   static_cast<float>(epsilon), x.size(0), x.size(1), Out<T>(sum), Out<T>(y),
                                   Out<float>(inverse_rms));
}

}  // namespace

template <typename T>
RmsNormOutput RmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  const RmsNormOutput out{at::empty_like(x), OneARow(x)};
  Forward<T>(x, {}, weight, epsilon, {}, out.y_NC, out.inverse_rms_N);
  return out;
}

template <typename T>
AddedRmsNorm AddRmsNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, double epsilon) {
  const AddedRmsNorm out{at::empty_like(x), at::empty_like(x), OneARow(x)};
  Forward<T>(x, residual, weight, epsilon, out.sum_NC, out.y_NC, out.inverse_rms_N);
  return out;
}

template <typename T>
at::Tensor AddRmsNormBackward(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& sum,
                              const at::Tensor& weight, const at::Tensor& inverse_rms,
                              const at::Tensor& weight_gradient) {
  const Queue queue(sum);
  const int64_t rows = sum.size(0), columns = sum.size(1);
  const at::Tensor ds = at::empty_like(sum);
  const at::Tensor workspace = at::empty({kernels::cuda::RmsNormWorkspace(rows, columns)}, inverse_rms.options());
  kernels::cuda::RmsNormBackward<T>(queue.stream(), In<T>(dy), In<T>(dsum), In<T>(sum), In<float>(weight),
                                    In<float>(inverse_rms), rows, columns, Out<T>(ds), Out<float>(weight_gradient),
                                    Out<float>(workspace));
  return ds;
}

template <typename T>
at::Tensor RmsNormBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                           const at::Tensor& inverse_rms, const at::Tensor& weight_gradient) {
  return AddRmsNormBackward<T>(dy, {}, x, weight, inverse_rms, weight_gradient);
}

#define SINK_INSTANTIATE(T)                                                                                          \
  template RmsNormOutput RmsNorm<T>(const at::Tensor&, const at::Tensor&, double);                                   \
  template at::Tensor RmsNormBackward<T>(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&, \
                                         const at::Tensor&);                                                         \
  template AddedRmsNorm AddRmsNorm<T>(const at::Tensor&, const at::Tensor&, const at::Tensor&, double);              \
  template at::Tensor AddRmsNormBackward<T>(const at::Tensor&, const at::Tensor&, const at::Tensor&,                 \
                                            const at::Tensor&, const at::Tensor&, const at::Tensor&);
SINK_INSTANTIATE(float)
SINK_INSTANTIATE(Bfloat16)
#undef SINK_INSTANTIATE

}  // namespace sink::cuda
