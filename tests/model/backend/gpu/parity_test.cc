// Every kernel of the CUDA tables against the reference's formula in double, at sizes around those of blocks and tiles
// and at the models'. Skipped where the machine has no device.
#include "tests/model/backend/parity/parity.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "model/backend/backend.h"
#include "model/backend/device.h"
#include "model/base/model_error.h"

namespace sink {
namespace {

using testing::AttentionKind;
using testing::Parity;

class CudaKernels : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    try {
      device_ = OpenDevice("cuda:0");
    } catch (const DeviceError& error) {
      GTEST_SKIP() << error.what();
    }
  }
  Parity OfType(at::ScalarType type) const { return {KernelsFor(device_, type), device_, type}; }

  at::Device device_ = at::kCPU;
};

INSTANTIATE_TEST_SUITE_P(Types, CudaKernels, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

TEST_P(CudaKernels, RmsNorm) {
  Parity parity = OfType(GetParam());
  for (const int64_t rows : {1, 33, 4099})
    for (const int64_t columns : {1, 31, 256, 768, 2048, 5120}) parity.RmsNorm(rows, columns);
}

TEST_P(CudaKernels, RmsNormOfASum) {
  Parity parity = OfType(GetParam());
  for (const int64_t columns : {31, 768, 2048, 5120}) parity.AddRmsNorm(4099, columns);
}

TEST_P(CudaKernels, ProductsThatAddUpInFloat) {
  Parity parity = OfType(GetParam());
  parity.AddProduct(33, 17, 9);
  parity.AddProduct(4096, 2304, 768);
}

TEST_P(CudaKernels, FeedForward) {
  Parity parity = OfType(GetParam());
  parity.FeedForward(33, 37);
  parity.FeedForward(2048, 1536);
}

TEST_P(CudaKernels, Rope) {
  Parity parity = OfType(GetParam());
  parity.Rope(2, 5, 3, 8, 5);
  parity.Rope(2, 2048, 16, 96, 768);
}

TEST_P(CudaKernels, EmbeddingBackward) {
  Parity parity = OfType(GetParam());
  parity.EmbeddingBackward(300, 37, 11);
  parity.EmbeddingBackward(16384, 768, 50432);
}

TEST_P(CudaKernels, CrossEntropy) {
  Parity parity = OfType(GetParam());
  parity.CrossEntropy(33, 37);
  parity.CrossEntropy(512, 50432);
}

TEST_P(CudaKernels, AttentionOfEveryKind) {
  Parity parity = OfType(GetParam());
  for (const AttentionKind& kind : testing::AttentionKinds())
    for (const int64_t head_dim : {9, 16, 32, 64, 96, 128}) parity.Attention(kind, {2, 300, 4, 2, head_dim});
}

TEST_P(CudaKernels, AttentionOfTheStudysLength) {
  Parity parity = OfType(GetParam());
  for (const AttentionKind& kind : testing::AttentionKinds()) parity.Attention(kind, {1, 2048, 8, 8, 96});
}

// What the library refuses, our own kernels do; standard error says which ran, once in a process. Plain softmax of the
// study's heads must not be refused: all the rest would then be a comparison of our kernels with themselves.
TEST_P(CudaKernels, AttentionByALibrary) {
  setenv("SINK_ATTENTION", "library", 1);
  Parity parity = OfType(GetParam());
  static bool asked = false;
  if (GetParam() == at::kBFloat16 && !std::exchange(asked, true)) {
    ::testing::internal::CaptureStderr();
    parity.Attention(testing::AttentionKinds()[0], {2, 512, 8, 8, 96});
    const std::string told = ::testing::internal::GetCapturedStderr();
    for (const char* pass : {"forward", "backward"}) {
      const bool ran = told.find(std::string(", ") + pass + "\n") != std::string::npos;
      EXPECT_TRUE(ran || told.find("this build has no library") != std::string::npos) << told;
    }
    EXPECT_EQ(told.find("refuses"), std::string::npos) << told;
  }
  for (const AttentionKind& kind : testing::AttentionKinds())
    for (const int64_t head_dim : {64, 96, 128}) parity.Attention(kind, {2, 512, 4, 4, head_dim});
  parity.Attention(testing::AttentionKinds()[0], {2, 512, 4, 2, 96});
  unsetenv("SINK_ATTENTION");
}

TEST_P(CudaKernels, TheOptimizerWorksInFloat) {
  Parity parity = OfType(at::kFloat);
  for (const int64_t count : {1, 4099, 1 << 22}) {
    parity.AdamW(count);
    parity.Clipping(count);
  }
}

}  // namespace
}  // namespace sink
