// The gradient of an embedding table: rows of dy are added to the table's rows that the ids name. CPU, dense floats. No
// state: any thread; the caller divides the columns among threads, which changes no result because each cell's sum is
// made in the order of the rows.
#pragma once

#include <cstdint>

namespace sink::kernels {

// dtable_VC[ids[r]][c] += dy_RC[r][c] for c in [first_column, last_column). Ids must be in [0, V).
void EmbeddingBackward(const float* dy_RC, const int64_t* id_R, int64_t rows, int64_t columns, int64_t first_column,
                       int64_t last_column, float* dtable_VC);

}  // namespace sink::kernels
