// The gradient of an embedding table on CUDA, deterministic and without atomics: rows are sorted by id and each id's
// rows added up in their order. Launchers: device pointers, dense and row-major; T is float or Bfloat16, sums in float;
// the call returns when the work is queued on `stream` (a cudaStream_t); std::invalid_argument on other shapes,
// std::runtime_error where CUDA refuses. The same bits from run to run and device to device. Any thread that owns the
// stream.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/types.h"

namespace sink::kernels::cuda {

// Bytes that EmbeddingBackward needs to work in, aligned to 16.
size_t EmbeddingWorkspace(int64_t rows, int64_t columns);

// dtable_VC[id_R[r]][c] += dy_RC[r][c]. Ids must be in [0, V), V below 2^31; rows at most 2^30.
template <typename T>
void EmbeddingBackward(void* stream, const T* dy_RC, const int64_t* id_R, int64_t rows, int64_t columns,
                       float* dtable_VC, void* workspace);

}  // namespace sink::kernels::cuda
