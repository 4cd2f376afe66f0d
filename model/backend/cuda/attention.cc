// Attention on the tiled kernels of kernels/cuda/attention.h, every kind; or by a library where it is asked for and
// does not refuse, and the column then by itself.
#include "kernels/cuda/attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <type_traits>

#include "model/backend/cuda/attention_choice.h"
#include "model/backend/cuda/entries.h"
#include "model/backend/cuda/library_attention.h"
#include "model/backend/cuda/queue.h"

namespace sink::cuda {
namespace {

using kernels::cuda::Bfloat16;

kernels::cuda::AttentionShape ShapeOf(const AttentionShape& s) {
  return {s.batch, s.length, s.heads, s.key_value_heads, s.head_dim};
}
kernels::cuda::AttentionRule RuleOf(const AttentionRule& rule) { return {rule.weights, rule.prefix, rule.window}; }

kernels::cuda::AttentionTerms PointersOf(const AttentionTerms& terms) {
  return {In<float>(terms.offset_bias_HS), In<float>(terms.column_key_HD), In<float>(terms.column_value_HD),
          In<float>(terms.column_logit_H)};
}

at::Tensor ZerosLike(const at::Tensor& term) { return term.defined() ? at::zeros_like(term) : at::Tensor(); }

// The library to try, null where our own kernels are to do it.
template <typename T>
const LibraryAttention* LibraryFor(const AttentionShape& shape, const AttentionRule& rule,
                                   const kernels::cuda::AttentionTerms& terms) {
  if (!std::is_same_v<T, Bfloat16> || !WantsLibrary(ShapeOf(shape), RuleOf(rule), terms)) return nullptr;
  const LibraryAttention* library = FindLibraryAttention();
  if (library == nullptr) TellOnce("this build has no library, its own kernels run");
  return library;
}
void TellRefusal(const LibraryAttention* library, const char* pass) {
  if (library) TellOnce(library->name + " refuses the " + pass + " pass, our own kernels run");
}

}  // namespace

template <typename T>
bool TakesAttention(const AttentionShape& shape, const AttentionRule& rule, const AttentionTerms& terms) {
  return rule.soft_cap == 0 && kernels::cuda::IsSupported(ShapeOf(shape)) &&
         kernels::cuda::AttentionSharedBytes<T>(shape.head_dim) <= SharedMemoryLimit();
}

template <typename T>
AttentionOutput Attention(const at::Tensor& qkv, const AttentionShape& shape, const AttentionRule& rule,
                          const AttentionTerms& terms) {
  const Queue queue(qkv);
  const AttentionOutput out{at::empty({qkv.size(0), shape.heads * shape.head_dim}, qkv.options()),
                            at::empty({shape.batch, shape.heads, shape.length}, qkv.options().dtype(at::kFloat))};
  const auto pointers = PointersOf(terms);
  const LibraryAttention* library = LibraryFor<T>(shape, rule, pointers);
  if (library && library->forward(qkv, ShapeOf(shape), rule.window, out.output_NC, out.log_sum_BHT)) {
    TellOnce(library->name + ", forward");
    if (pointers.HasColumn())
      kernels::cuda::AttentionAddColumn<T>(queue.stream(), In<T>(qkv), ShapeOf(shape), pointers, Out<T>(out.output_NC),
                                           Out<float>(out.log_sum_BHT));
    return out;
  }
  TellRefusal(library, "forward");
  TellOnce("tiles");
  kernels::cuda::AttentionForward<T>(queue.stream(), In<T>(qkv), ShapeOf(shape), RuleOf(rule), pointers,
                                     Out<T>(out.output_NC), Out<float>(out.log_sum_BHT));
  return out;
}

// A bias that no parameter stands behind (ALiBi, buckets) gets no gradient: it would cost a pass of its own.
template <typename T>
AttentionGradients AttentionBackward(const at::Tensor& gradient, const at::Tensor& qkv, const AttentionOutput& forward,
                                     const AttentionShape& shape, const AttentionRule& rule,
                                     const AttentionTerms& terms) {
  const Queue queue(qkv);
  const bool learns_bias = terms.offset_bias_HS.defined() && terms.offset_bias_HS.requires_grad();
  const AttentionTerms d{learns_bias ? ZerosLike(terms.offset_bias_HS) : at::Tensor(), ZerosLike(terms.column_key_HD),
                         ZerosLike(terms.column_value_HD), ZerosLike(terms.column_logit_H)};
  const kernels::cuda::AttentionTermGradients gradients{Out<float>(d.offset_bias_HS), Out<float>(d.column_key_HD),
                                                        Out<float>(d.column_value_HD), Out<float>(d.column_logit_H)};
  const auto pointers = PointersOf(terms);
  const at::Tensor dqkv = at::empty_like(qkv);
  const int64_t size = kernels::cuda::AttentionWorkspace(ShapeOf(shape), pointers, learns_bias);
  const at::Tensor workspace = at::empty({size}, qkv.options().dtype(at::kFloat));
  const LibraryAttention* library = LibraryFor<T>(shape, rule, pointers);
  if (library &&
      library->backward(gradient, qkv, forward.output_NC, forward.log_sum_BHT, ShapeOf(shape), rule.window, dqkv)) {
    TellOnce(library->name + ", backward");
    if (pointers.HasColumn())
      kernels::cuda::AttentionTakeColumn<T>(queue.stream(), In<T>(gradient), In<T>(qkv), In<T>(forward.output_NC),
                                            In<float>(forward.log_sum_BHT), ShapeOf(shape), pointers, Out<T>(dqkv),
                                            gradients, Out<float>(workspace));
  } else {
    TellRefusal(library, "backward");
    kernels::cuda::AttentionBackward<T>(queue.stream(), In<T>(gradient), In<T>(qkv), In<T>(forward.output_NC),
                                        In<float>(forward.log_sum_BHT), ShapeOf(shape), RuleOf(rule), pointers,
                                        Out<T>(dqkv), gradients, Out<float>(workspace));
  }
  return {dqkv, d};
}

template <typename T>
AttentionSums SumAttention(const at::Tensor& qkv, const AttentionOutput& forward, const AttentionShape& shape,
                           const AttentionRule& rule, const AttentionTerms& terms) {
  const Queue queue(qkv);
  const auto floats = qkv.options().dtype(at::kFloat);
  const AttentionSums sums{at::empty({shape.batch, shape.heads, shape.length}, floats),
                           terms.HasColumn() ? at::empty({shape.batch, shape.heads}, floats) : at::Tensor()};
  kernels::cuda::AttentionColumnSums<T>(queue.stream(), In<T>(qkv), In<float>(forward.log_sum_BHT), ShapeOf(shape),
                                        RuleOf(rule), PointersOf(terms), Out<float>(sums.keys_BHT),
                                        Out<float>(sums.column_BH));
  return sums;
}

#define SINK_INSTANTIATE(T)                                                                                      \
  template bool TakesAttention<T>(const AttentionShape&, const AttentionRule&, const AttentionTerms&);           \
  template AttentionOutput Attention<T>(const at::Tensor&, const AttentionShape&, const AttentionRule&,          \
                                        const AttentionTerms&);                                                  \
  template AttentionGradients AttentionBackward<T>(const at::Tensor&, const at::Tensor&, const AttentionOutput&, \
                                                   const AttentionShape&, const AttentionRule&,                  \
                                                   const AttentionTerms&);                                       \
  template AttentionSums SumAttention<T>(const at::Tensor&, const AttentionOutput&, const AttentionShape&,       \
                                         const AttentionRule&, const AttentionTerms&);
SINK_INSTANTIATE(float)
SINK_INSTANTIATE(Bfloat16)
#undef SINK_INSTANTIATE

}  // namespace sink::cuda
