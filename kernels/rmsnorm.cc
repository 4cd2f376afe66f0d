// RMSNorm on a CPU: one pass for the sum, one for the result, per row; a row stays in the first-level cache between
// them.
#include "kernels/rmsnorm.h"

#include <cmath>
#include <stdexcept>

#include "kernels/multiversion.h"

namespace sink::kernels {
namespace {

void Check(int64_t rows, int64_t columns, bool pointers) {
  if (rows < 0 || columns < 1) throw std::invalid_argument("RMSNorm: rows must be >= 0 and columns >= 1");
  if (rows > 0 && !pointers) throw std::invalid_argument("RMSNorm: null pointer");
}

// y of one row; returns 1 / its root mean square.
SINK_INLINE float NormRow(const float* x, const float* weight, float epsilon, int64_t columns, float* y) {
  float squares = 0;
  for (int64_t c = 0; c < columns; ++c) squares += x[c] * x[c];
  const float inverse_rms = 1.0f / std::sqrt(squares / static_cast<float>(columns) + epsilon);
  for (int64_t c = 0; c < columns; ++c) y[c] = x[c] * inverse_rms * weight[c];
  return inverse_rms;
}

SINK_MULTIVERSION void Forward(const float* x_RC, const float* weight_C, float epsilon, int64_t rows, int64_t columns,
                               float* y_RC, float* inverse_rms_R) {
  for (int64_t row = 0; row < rows; ++row)
    inverse_rms_R[row] = NormRow(x_RC + row * columns, weight_C, epsilon, columns, y_RC + row * columns);
}

SINK_MULTIVERSION void AddForward(const float* x_RC, const float* residual_RC, const float* weight_C, float epsilon,
                                  int64_t rows, int64_t columns, float* sum_RC, float* y_RC, float* inverse_rms_R) {
  for (int64_t row = 0; row < rows; ++row) {
    const float *x = x_RC + row * columns, *residual = residual_RC + row * columns;
    float* sum = sum_RC + row * columns;
#pragma GCC ivdep
    for (int64_t c = 0; c < columns; ++c) sum[c] = x[c] + residual[c];
    inverse_rms_R[row] = NormRow(sum, weight_C, epsilon, columns, y_RC + row * columns);
  }
}

SINK_MULTIVERSION void Backward(const float* dy_RC, const float* x_RC, const float* weight_C,
                                const float* inverse_rms_R, int64_t rows, int64_t columns, float* dx_RC,
                                float* dweight_C, const float* dother_RC) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* x = x_RC + row * columns;
    const float* dy = dy_RC + row * columns;
    float* dx = dx_RC + row * columns;
    const float inverse_rms = inverse_rms_R[row];
    float product = 0;  // sum of g * x
    for (int64_t c = 0; c < columns; ++c) product += dy[c] * weight_C[c] * x[c];
    const float along_x = product / static_cast<float>(columns) * inverse_rms * inverse_rms;
#pragma GCC ivdep
    for (int64_t c = 0; c < columns; ++c) {
      const float gradient = dy[c];
      dweight_C[c] += gradient * x[c] * inverse_rms;
      dx[c] = inverse_rms * (gradient * weight_C[c] - x[c] * along_x);
    }
    if (dother_RC == nullptr) continue;
    const float* dother = dother_RC + row * columns;
#pragma GCC ivdep
    for (int64_t c = 0; c < columns; ++c) dx[c] += dother[c];
  }
}

}  // namespace

void RmsNormForward(const float* x_RC, const float* weight_C, float epsilon, int64_t rows, int64_t columns, float* y_RC,
                    float* inverse_rms_R) {
  Check(rows, columns, x_RC && weight_C && y_RC && inverse_rms_R);
  Forward(x_RC, weight_C, epsilon, rows, columns, y_RC, inverse_rms_R);
}

void AddRmsNormForward(const float* x_RC, const float* residual_RC, const float* weight_C, float epsilon, int64_t rows,
                       int64_t columns, float* sum_RC, float* y_RC, float* inverse_rms_R) {
  Check(rows, columns, x_RC && residual_RC && weight_C && sum_RC && y_RC && inverse_rms_R);
  AddForward(x_RC, residual_RC, weight_C, epsilon, rows, columns, sum_RC, y_RC, inverse_rms_R);
}

void RmsNormBackward(const float* dy_RC, const float* x_RC, const float* weight_C, const float* inverse_rms_R,
                     int64_t rows, int64_t columns, float* dx_RC, float* dweight_C, const float* dother_RC) {
  Check(rows, columns, dy_RC && x_RC && weight_C && inverse_rms_R && dx_RC && dweight_C);
  Backward(dy_RC, x_RC, weight_C, inverse_rms_R, rows, columns, dx_RC, dweight_C, dother_RC);
}

}  // namespace sink::kernels
