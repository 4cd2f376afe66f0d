// Positions that are not RoPE: tables that are added to embeddings, and biases that are added to scores. Pure
// functions; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sink {

// T5's buckets (Raffel et al. 2020): one for each distance up to 15, the rest by its logarithm, up to 127.
inline constexpr int64_t kOffsetBuckets = 32;

// [length, hidden]: sin(t f) in the first half, cos(t f) in the second, f_i = 10000^(-2i / hidden) (Vaswani et al.
// 2017).
at::Tensor SinusoidTable(int64_t length, int64_t hidden, at::TensorOptions options);

// Biases by offset key - query, [H, 2 length - 1], offset -(length - 1) first. Keys after the query, which only a
// prefix makes visible, are as far away as keys before it for ALiBi, and in the bucket of distance 0 for the other two.
//
// ALiBi (Press et al. 2022): -slope_h |offset|, slopes 2^(-8h/H), h from 1; for H that is no power of two those of the
// next lower power, then every other one of twice that power.
at::Tensor AlibiBias(int64_t length, int64_t heads, at::TensorOptions options);
// The index of T5's bucket itself, as the seed study ran it: farther keys get more.
at::Tensor BucketBias(int64_t length, int64_t heads, at::TensorOptions options);
// T5's learned table [buckets, H] looked up at the buckets of the offsets. Differentiable in the table.
at::Tensor LearnedBias(const at::Tensor& table_BH, const at::Tensor& buckets_S);
// The bucket of each offset, int64 [2 length - 1].
at::Tensor OffsetBuckets(int64_t length, at::Device device);

}  // namespace sink
