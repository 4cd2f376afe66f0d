#include "model/backend/attention_types.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>

namespace sink {

QueryKeyValue Split(const at::Tensor& qkv_NW, const AttentionShape& shape) {
  const auto part = [&](int64_t first_head, int64_t heads) {
    return qkv_NW.narrow(1, first_head * shape.head_dim, heads * shape.head_dim)
        .view({shape.batch, shape.length, heads, shape.head_dim})
        .transpose(1, 2);
  };
  const int64_t h = shape.heads, k = shape.key_value_heads;
  return {part(0, h), part(h, k), part(h + k, k)};
}

at::Tensor AttentionMask(const AttentionRule& rule, int64_t length, int64_t first, int64_t rows, at::Device device) {
  const auto options = at::TensorOptions().dtype(at::kLong).device(device);
  const at::Tensor key = at::arange(length, options);
  const at::Tensor query = at::arange(first, first + rows, options).unsqueeze(1);
  at::Tensor seen = key.le(query);
  if (rule.window > 0) seen = seen.logical_and(key.gt(query - rule.window));
  return rule.prefix > 0 ? seen.logical_or(key.lt(rule.prefix)) : seen;
}

}  // namespace sink
