// The tables of CUDA kernels, which OpenDevice (model/backend/device.cc) looks up in this library and hands to the
// backend. The library needs LibTorch's CUDA half, which only a program that was given a GPU loads. Any thread.
#include <type_traits>

#include "kernels/cuda/types.h"
#include "model/backend/backend.h"
#include "model/backend/cuda/entries.h"

namespace sink::cuda {
namespace {

// Of logits that exist at once: at most a gigabyte with the study's vocabulary.
constexpr int64_t kVocabulary = 50432, kMaxLogitBytes = 1 << 30;
template <typename T>
constexpr int64_t LossRows() {
  int64_t rows = 1024;
  while (2 * rows * kVocabulary * static_cast<int64_t>(sizeof(T)) <= kMaxLogitBytes) rows *= 2;
  return rows;
}

// bias_activation, add_to_log_sum and attention_weights are ATen's: they measure models and take no part in training.
template <typename T>
constexpr Kernels TableOf() {
  return {.add_product = AddProduct<T>,
          .embedding_backward = EmbeddingBackward<T>,
          .rms_norm = RmsNorm<T>,
          .rms_norm_backward = RmsNormBackward<T>,
          .add_rms_norm = AddRmsNorm<T>,
          .add_rms_norm_backward = AddRmsNormBackward<T>,
          .feed_forward = FeedForward<T>,
          .feed_forward_backward = FeedForwardBackward<T>,
          .rope = Rope<T>,
          .takes_attention = TakesAttention<T>,
          .attention = Attention<T>,
          .attention_backward = AttentionBackward<T>,
          .attention_sums = SumAttention<T>,
          .cross_entropy = CrossEntropy<T>,
          .loss_rows = LossRows<T>()};
}

constexpr Kernels FloatTable() {
  Kernels table = TableOf<float>();
  table.adamw = AdamW;
  table.clipping = Clip;
  return table;
}

constexpr Kernels kFloat = FloatTable();
constexpr Kernels kBfloat16 = TableOf<kernels::cuda::Bfloat16>();

}  // namespace
}  // namespace sink::cuda

extern "C" const sink::Kernels* SinkCudaKernels(at::ScalarType dtype) {
  if (dtype == at::kFloat) return &sink::cuda::kFloat;
  return dtype == at::kBFloat16 ? &sink::cuda::kBfloat16 : nullptr;
}

static_assert(std::is_same_v<decltype(&SinkCudaKernels), sink::CudaKernelsFunction>);
