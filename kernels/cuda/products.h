// Products of small matrices in shared memory by one warp, in float or, with bf16, on tensor cores. Device code on the
// names of device.h. A warp holds results of 16 kM x 8 kN as c[kM][kN][4]: with g = lane / 4 and t = 2 (lane % 4),
// c[m][n] are the cells [16m + g][8n + t], [..][8n + t + 1], [16m + g + 8][8n + t], [..][8n + t + 1].
#pragma once

#include "kernels/cuda/values.h"

namespace sink::kernels::cuda {

// A matrix of kColumns in shared memory. 16 bytes between the rows send neighbouring rows to different banks.
template <typename T, int kColumns>
struct Tile {
  static constexpr int kStride = kColumns + kVectorWidth<T>;
  static constexpr size_t Bytes(int rows) { return static_cast<size_t>(rows) * kStride * sizeof(T); }
};

SINK_DEVICE int LaneRow() { return Lane() / 4; }
SINK_DEVICE int LaneColumn() { return Lane() % 4 * 2; }

// Calls body(value, m, half, row, column) for each cell that the lane holds; row 16m + g + 8 half.
template <int kM, int kN, typename Body>
SINK_DEVICE void ForCells(float (&c)[kM][kN][4], const Body& body) {
  SINK_UNROLL for (int m = 0; m < kM; ++m) {
    SINK_UNROLL for (int n = 0; n < kN; ++n) {
      SINK_UNROLL for (int i = 0; i < 4; ++i)
          body(c[m][n][i], m, i / 2, 16 * m + LaneRow() + i / 2 * 8, 8 * n + LaneColumn() + i % 2);
    }
  }
}

// c += a b^T: a has 16 kM rows, b 8 kN, both of kInner columns.
template <int kInner, int kM, int kN>
SINK_DEVICE void AddTransposedProduct(const Bfloat16* a, const Bfloat16* b, float (&c)[kM][kN][4]) {
  constexpr int kStride = Tile<Bfloat16, kInner>::kStride;
  a += Lane() % 16 * kStride + Lane() / 16 * 8;
  b += (Lane() % 8 + Lane() / 16 * 8) * kStride + Lane() / 8 % 2 * 8;
  SINK_UNROLL for (int k = 0; k < kInner; k += 16) {
    Matrices left[kM];
    SINK_UNROLL for (int m = 0; m < kM; ++m) left[m] = LoadMatrices(a + 16 * m * kStride + k);
    SINK_UNROLL for (int n = 0; n < kN; n += 2) {
      const Matrices right = LoadMatrices(b + 8 * n * kStride + k);
      SINK_UNROLL for (int m = 0; m < kM; ++m) {
        Mma(c[m][n], left[m], right.m0, right.m1);
        Mma(c[m][n + 1], left[m], right.m2, right.m3);
      }
    }
  }
}
template <int kInner, int kM, int kN>
SINK_DEVICE void AddTransposedProduct(const float* a, const float* b, float (&c)[kM][kN][4]) {
  constexpr int kStride = Tile<float, kInner>::kStride;
  a += LaneRow() * kStride;
  b += LaneColumn() * kStride;
  SINK_ROLLED for (int k = 0; k < kInner; k += 4) {
    SINK_UNROLL for (int m = 0; m < kM; ++m) {
      float left[2][4];
      Load(a + 16 * m * kStride + k, left[0]);
      Load(a + (16 * m + 8) * kStride + k, left[1]);
      SINK_UNROLL for (int n = 0; n < kN; ++n) {
        float right[2][4];
        Load(b + 8 * n * kStride + k, right[0]);
        Load(b + (8 * n + 1) * kStride + k, right[1]);
        SINK_UNROLL for (int i = 0; i < 4; ++i) {
          SINK_UNROLL for (int inner = 0; inner < 4; ++inner) c[m][n][i] += left[i / 2][inner] * right[i % 2][inner];
        }
      }
    }
  }
}

// c += p b: p as the warp holds it, 16 kM x 8 kInner8 (rounded to bf16 for the tensor cores), b of 8 kInner8 rows of 8
// kN columns.
template <int kM, int kInner8, int kN>
SINK_DEVICE void AddProduct(const float (&p)[kM][kInner8][4], const Bfloat16* b, float (&c)[kM][kN][4]) {
  constexpr int kStride = Tile<Bfloat16, 8 * kN>::kStride;
  b += Lane() % 16 * kStride + Lane() / 16 * 8;
  SINK_UNROLL for (int k = 0; k < kInner8; k += 2) {
    Matrices left[kM];
    SINK_UNROLL for (int m = 0; m < kM; ++m)
        left[m] = {PackBfloat16(p[m][k][0], p[m][k][1]), PackBfloat16(p[m][k][2], p[m][k][3]),
                   PackBfloat16(p[m][k + 1][0], p[m][k + 1][1]), PackBfloat16(p[m][k + 1][2], p[m][k + 1][3])};
    SINK_UNROLL for (int n = 0; n < kN; n += 2) {
      const Matrices right = LoadMatricesTransposed(b + 8 * k * kStride + 8 * n);
      SINK_UNROLL for (int m = 0; m < kM; ++m) {
        Mma(c[m][n], left[m], right.m0, right.m1);
        Mma(c[m][n + 1], left[m], right.m2, right.m3);
      }
    }
  }
}
template <int kM, int kInner8, int kN>
SINK_DEVICE void AddProduct(const float (&p)[kM][kInner8][4], const float* b, float (&c)[kM][kN][4]) {
  constexpr int kStride = Tile<float, 8 * kN>::kStride;
  b += LaneColumn();
  SINK_UNROLL for (int k = 0; k < kInner8; ++k) {
    SINK_UNROLL for (int r = 0; r < 8; ++r) {
      float left[kM][2];
      SINK_UNROLL for (int m = 0; m < kM;
                       ++m) {  // row r of b meets column r of p, which another lane of the four holds
        left[m][0] = ShuffleFrom(p[m][k][r % 2], Lane() / 4 * 4 + r / 2);
        left[m][1] = ShuffleFrom(p[m][k][2 + r % 2], Lane() / 4 * 4 + r / 2);
      }
      SINK_UNROLL for (int n = 0; n < kN; ++n) {
        float right[2];
        Load(b + (8 * k + r) * kStride + 8 * n, right);
        SINK_UNROLL for (int m = 0; m < kM; ++m) {
          SINK_UNROLL for (int i = 0; i < 4; ++i) c[m][n][i] += left[m][i / 2] * right[i % 2];
        }
      }
    }
  }
}

// Over the four lanes that share a row.
SINK_DEVICE float RowSum(float x) {
  x += ShuffleXor(x, 1);
  return x + ShuffleXor(x, 2);
}
SINK_DEVICE float RowMax(float x) {
  x = fmaxf(x, ShuffleXor(x, 1));
  return fmaxf(x, ShuffleXor(x, 2));
}

}  // namespace sink::kernels::cuda
