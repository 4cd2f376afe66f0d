// Entries that work a row at a time: feed-forward blocks, RoPE, the loss, the embedding's gradient.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "kernels/cuda/cross_entropy.h"
#include "kernels/cuda/embedding.h"
#include "kernels/cuda/feed_forward.h"
#include "kernels/cuda/rope.h"
#include "model/backend/cuda/entries.h"
#include "model/backend/cuda/queue.h"

namespace sink::cuda {

using kernels::cuda::Bfloat16;

template <typename T>
void EmbeddingBackward(const at::Tensor& dy, const at::Tensor& ids, const at::Tensor& table_gradient) {
  const Queue queue(dy);
  const int64_t rows = dy.size(0), columns = dy.size(1);
  const auto bytes = static_cast<int64_t>(kernels::cuda::EmbeddingWorkspace(rows, columns));
  const at::Tensor workspace = at::empty({bytes}, dy.options().dtype(at::kByte));
  kernels::cuda::EmbeddingBackward<T>(queue.stream(), In<T>(dy), In<int64_t>(ids), rows, columns,
                                      Out<float>(table_gradient), Out<uint8_t>(workspace));
}

template <typename T>
at::Tensor FeedForward(const at::Tensor& x, kernels::Activation activation, bool gated) {
  const Queue queue(x);
  const int64_t rows = x.size(0), width = gated ? x.size(1) / 2 : x.size(1);
  const at::Tensor y = at::empty({rows, width}, x.options());
  const auto kernel = gated ? kernels::cuda::GatedForward<T> : kernels::cuda::ActivationForward<T>;
  kernel(queue.stream(), activation, In<T>(x), rows, width, Out<T>(y));
  return y;
}

template <typename T>
at::Tensor FeedForwardBackward(const at::Tensor& dy, const at::Tensor& x, kernels::Activation activation, bool gated) {
  const Queue queue(x);
  const at::Tensor dx = at::empty_like(x);
  const auto kernel = gated ? kernels::cuda::GatedBackward<T> : kernels::cuda::ActivationBackward<T>;
  kernel(queue.stream(), activation, In<T>(dy), In<T>(x), dy.size(0), dy.size(1), Out<T>(dx));
  return dx;
}

template <typename T>
void Rope(const at::Tensor& x, const at::Tensor& table, int64_t length, int64_t heads, int64_t head_dim, bool inverse,
          const at::Tensor& y) {
  const Queue queue(x);
  kernels::cuda::Rope<T>(queue.stream(), In<T>(x), In<float>(table), x.size(0), length, x.size(1), heads, head_dim,
                         table.size(1), inverse, Out<T>(y));
}

template <typename T>
at::Tensor CrossEntropy(at::Tensor& logits, const at::Tensor& targets, double scale, bool want_gradient) {
  const Queue queue(logits);
  const int64_t rows = logits.size(0), vocabulary = logits.size(1);
  const at::Tensor losses = at::empty({rows}, logits.options().dtype(at::kFloat));
  if (want_gradient)
    kernels::cuda::CrossEntropyForwardBackward<T>(queue.stream(), Out<T>(logits), In<int64_t>(targets), rows,
                                                  vocabulary, static_cast<float>(scale), Out<float>(losses));
  else
    kernels::cuda::CrossEntropyForward<T>(queue.stream(), In<T>(logits), In<int64_t>(targets), rows, vocabulary,
                                          Out<float>(losses));
  return losses;
}

#define SINK_INSTANTIATE(T)                                                                                        \
  template void EmbeddingBackward<T>(const at::Tensor&, const at::Tensor&, const at::Tensor&);                     \
  template at::Tensor FeedForward<T>(const at::Tensor&, kernels::Activation, bool);                                \
  template at::Tensor FeedForwardBackward<T>(const at::Tensor&, const at::Tensor&, kernels::Activation, bool);     \
  template void Rope<T>(const at::Tensor&, const at::Tensor&, int64_t, int64_t, int64_t, bool, const at::Tensor&); \
  template at::Tensor CrossEntropy<T>(at::Tensor&, const at::Tensor&, double, bool);
SINK_INSTANTIATE(float)
SINK_INSTANTIATE(Bfloat16)
#undef SINK_INSTANTIATE

}  // namespace sink::cuda
