// The gradient of a learned bias for CUDA on the emulator, by itself: offsets that no pair has, and more sequences than
// one. attention_backward_test.cc compares it with the chain rule for every kind that has a bias.
#include "kernels/cuda/attention_bias.cu"

#include "tests/kernels/cuda/attention_cases.h"

namespace sink::kernels::cuda {
namespace {

// Gradients of rows of ones, no weights' worth of dot: sigmoid's raw weights are 1/2 at score 0, their slope 1/4.
TEST(CudaOffsetBiasGradient, CountsThePairsOfEachOffsetOnce) {
  const int64_t length = 150, window = 40, batch = 3;
  const AttentionShape shape{batch, length, 2, 1, 8};
  const auto rows = static_cast<size_t>(batch * length);
  std::vector<float> merged(rows * static_cast<size_t>(shape.width()));  // queries and keys of zeros, values of ones
  for (size_t i = 0; i < merged.size(); ++i) merged[i] = i % 32 >= 24 ? 1.0f : 0.0f;
  const Buffer<float> qkv(merged), gradient(std::vector<float>(rows * 16, 1.0f)),
      output(static_cast<int64_t>(rows) * 16);
  const Buffer<float> bias(std::vector<float>(2 * (2 * length - 1)));
  Buffer<float> row(std::vector<float>(rows * 2)), dot(std::vector<float>(rows * 2)), dbias(2 * (2 * length - 1));
  Buffer<float> workspace(OffsetBiasWorkspace(shape));
  const AttentionRule rule{{Similarity::kSigmoid, Normalizer::kNone}, 0, window};
  const auto layer = MakeLayer<float>(qkv.data(), shape, rule, {.offset_bias_HS = bias.data()});
  OffsetBiasGradient<float>(nullptr, layer, shape, {gradient.data(), output.data(), row.data(), dot.data()},
                            dbias.data(), workspace.data());
  const std::vector<double> found = dbias.Values();
  for (int64_t i = 0; i < 2 * (2 * length - 1); ++i) {
    const int64_t back = length - 1 - i % (2 * length - 1);
    const int64_t pairs = back >= 0 && back < window ? batch * (length - back) : 0;
    ASSERT_EQ(found[static_cast<size_t>(i)], static_cast<double>(pairs) * 8 / 4) << "query - key " << back;
  }
}

}  // namespace
}  // namespace sink::kernels::cuda
