// RMSNorm: checks, then the body for the place.
#include "kernels/rmsnorm.h"

#include <stdexcept>

namespace sink::kernels {
namespace {

void Check(int64_t rows, int64_t columns, bool pointers) {
  if (rows < 0 || columns < 1) throw std::invalid_argument("RMSNorm: rows must be >= 0 and columns >= 1");
  if (rows > 0 && !pointers) throw std::invalid_argument("RMSNorm: null pointer");
}

}  // namespace

bool HaveCudaKernels() {
#ifdef SINK_HAVE_CUDA
  return true;
#else
  return false;
#endif
}

void RmsNormForward(const Place& place, const float* x_RC, const float* weight_C, float epsilon, int64_t rows,
                    int64_t columns, float* y_RC, float* inverse_rms_R) {
  Check(rows, columns, x_RC && weight_C && y_RC && inverse_rms_R);
  if (rows == 0) return;
  if (place.kind == Place::Kind::kCpu)
    return cpu::RmsNormForward(x_RC, weight_C, epsilon, rows, columns, y_RC, inverse_rms_R);
#ifdef SINK_HAVE_CUDA
  return cuda::RmsNormForward(place.stream, x_RC, weight_C, epsilon, rows, columns, y_RC, inverse_rms_R);
#else
  throw std::invalid_argument("RMSNorm: this build has no CUDA kernels");
#endif
}

void RmsNormBackward(const Place& place, const float* dy_RC, const float* x_RC, const float* weight_C,
                     const float* inverse_rms_R, int64_t rows, int64_t columns, float* dx_RC, float* dweight_C) {
  Check(rows, columns, dy_RC && x_RC && weight_C && inverse_rms_R && dx_RC && dweight_C);
  if (rows == 0) return;
  if (place.kind == Place::Kind::kCpu)
    return cpu::RmsNormBackward(dy_RC, x_RC, weight_C, inverse_rms_R, rows, columns, dx_RC, dweight_C);
#ifdef SINK_HAVE_CUDA
  return cuda::RmsNormBackward(place.stream, dy_RC, x_RC, weight_C, inverse_rms_R, rows, columns, dx_RC, dweight_C);
#else
  throw std::invalid_argument("RMSNorm: this build has no CUDA kernels");
#endif
}

}  // namespace sink::kernels
