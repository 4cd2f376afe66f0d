#include "model/network/position.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace sink {
namespace {

constexpr int64_t kExactBuckets = kOffsetBuckets / 2, kFarthest = 128;

int64_t Bucket(int64_t distance) {
  if (distance < kExactBuckets) return std::max<int64_t>(distance, 0);
  const double octaves = std::log(static_cast<double>(distance) / kExactBuckets) /
                         std::log(static_cast<double>(kFarthest) / kExactBuckets);
  return std::min<int64_t>(kExactBuckets + static_cast<int64_t>(octaves * kExactBuckets), kOffsetBuckets - 1);
}

std::vector<double> AlibiSlopes(int64_t heads) {
  const int64_t power = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(heads)));
  std::vector<double> slopes;
  for (int64_t h = 1; h <= power; ++h) slopes.push_back(std::exp2(-8.0 * static_cast<double>(h) / power));
  for (int64_t h = 1; static_cast<int64_t>(slopes.size()) < heads; h += 2)
    slopes.push_back(std::exp2(-8.0 * static_cast<double>(h) / (2 * power)));
  return slopes;
}

}  // namespace

at::Tensor SinusoidTable(int64_t length, int64_t hidden, at::TensorOptions options) {
  const auto wide = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor exponent = at::arange(hidden / 2, wide) * (-2.0 / static_cast<double>(hidden));
  const at::Tensor angle = at::arange(length, wide).unsqueeze(1) * (exponent * std::log(1e4)).exp();
  return at::cat({angle.sin(), angle.cos()}, 1).to(options);
}

at::Tensor AlibiBias(int64_t length, int64_t heads, at::TensorOptions options) {
  const at::Tensor slopes = at::empty({heads, 1}, at::TensorOptions().dtype(at::kDouble));
  std::ranges::copy(AlibiSlopes(heads), slopes.mutable_data_ptr<double>());
  return (slopes * -at::arange(1 - length, length, slopes.options()).abs()).to(options);
}

at::Tensor BucketBias(int64_t length, int64_t heads, at::TensorOptions options) {
  return OffsetBuckets(length, options.device()).to(options).expand({heads, -1}).contiguous();
}

at::Tensor LearnedBias(const at::Tensor& table_BH, const at::Tensor& buckets_S) {
  return table_BH.index_select(0, buckets_S).t().contiguous();
}

at::Tensor OffsetBuckets(int64_t length, at::Device device) {
  const at::Tensor buckets = at::empty({2 * length - 1}, at::TensorOptions().dtype(at::kLong));
  int64_t* out = buckets.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < 2 * length - 1; ++i) out[i] = Bucket(length - 1 - i);
  return buckets.to(device);
}

}  // namespace sink
