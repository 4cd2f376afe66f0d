// The gradient of an embedding table on a CPU.
#include "kernels/embedding.h"

#include "kernels/multiversion.h"

namespace sink::kernels {

SINK_MULTIVERSION void EmbeddingBackward(const float* dy_RC, const int64_t* id_R, int64_t rows, int64_t columns,
                                         int64_t first_column, int64_t last_column, float* dtable_VC) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* dy = dy_RC + row * columns;
    float* target = dtable_VC + id_R[row] * columns;
#pragma GCC ivdep
    for (int64_t c = first_column; c < last_column; ++c) target[c] += dy[c];
  }
}

}  // namespace sink::kernels
