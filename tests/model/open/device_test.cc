// Open models on a device whose memory the CPU cannot touch give what they give on the CPU.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <gtest/gtest.h>

#include "model/open/open_model.h"
#include "tests/model/helpers/open_folder.h"
#include "tests/testing/far_device.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

// Keeps what it is shown, on the CPU: a copy, as the pass goes on in the same memory.
struct Recorder : Observer {
  void OnHidden(int64_t, const at::Tensor& x) override { seen.push_back(x.cpu().clone()); }
  void OnAttention(int64_t, const AttentionView& x) override {
    for (const at::Tensor& part : {x.query_BHTD, x.key_BKTD, x.value_BKTD, x.output_BHTD, x.Weights(0, 3)})
      seen.push_back(part.cpu().clone());
  }
  void OnNormed(const at::Tensor& x) override { seen.push_back(x.cpu().clone()); }
  std::vector<at::Tensor> seen;
};

struct Pass {
  Recorder recorder;
  double loss = 0;
  at::Tensor logits;
};

Pass Measure(const std::filesystem::path& folder, const at::Tensor& ids, at::Device device,
             at::ScalarType products = at::kFloat) {
  OpenModel model(folder, device, /*head=*/true, products);
  Pass pass;
  const int64_t tokens = ids.size(1) - 1;
  const at::Tensor states = model.Stream(ids.narrow(1, 0, tokens), pass.recorder);
  EXPECT_EQ(states.device(), device);
  pass.loss = model.Loss(states, ids.narrow(1, 1, tokens), &pass.logits);
  return pass;
}

class OnADeviceApart : public ::testing::TestWithParam<std::tuple<std::string, at::ScalarType>> {};

TEST_P(OnADeviceApart, OpenModelsGiveTheSame) {
  const auto [name, type] = GetParam();
  const std::filesystem::path golden = testing::GoldenOpenModels() / name;
  testing::Tensors tensors = testing::ReadAll(golden / "model.safetensors");
  for (auto& [tensor, values] : tensors)
    if (values.is_floating_point()) values = values.to(type);  // MXFP4 stays the bytes that it is
  testing::TempDir folder;
  testing::WriteFolder(folder.path(), testing::ReadBytes(golden / "config.json"), tensors, /*shards=*/2);
  const int64_t vocabulary = OpenModel(folder.path()).config().vocab_size;
  at::manual_seed(1);
  const at::Tensor ids = at::randint(vocabulary, {3, 17}, at::TensorOptions().dtype(at::kLong));
  const Pass near = Measure(folder.path(), ids, at::kCPU), far = Measure(folder.path(), ids, testing::FarDevice());
  ASSERT_EQ(near.recorder.seen.size(), far.recorder.seen.size());
  for (size_t i = 0; i < near.recorder.seen.size(); ++i)
    EXPECT_TRUE(near.recorder.seen[i].allclose(far.recorder.seen[i], 1e-3, 1e-4)) << i;
  EXPECT_TRUE(near.logits.allclose(far.logits, 1e-3, 1e-4));
  EXPECT_NEAR(near.loss, far.loss, 1e-6);
}

std::string NameOf(const ::testing::TestParamInfo<OnADeviceApart::ParamType>& info) {
  return std::get<0>(info.param) + "_" + at::toString(std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(All, OnADeviceApart,
                         ::testing::Combine(::testing::ValuesIn(testing::GoldenOpenNames()),
                                            ::testing::Values(at::kFloat, at::kHalf)),
                         NameOf);

// Operands of 8 bits; activations, norms and the sums of products are as they were.
TEST(ProductsInBfloat16, GiveNearlyTheSameOnEveryDevice) {
  for (const std::string& name : testing::GoldenOpenNames()) {
    SCOPED_TRACE(name);
    const std::filesystem::path golden = testing::GoldenOpenModels() / name;
    const int64_t vocabulary = OpenModel(golden).config().vocab_size;
    at::manual_seed(1);
    const at::Tensor ids = at::randint(vocabulary, {3, 17}, at::TensorOptions().dtype(at::kLong));
    const Pass exact = Measure(golden, ids, at::kCPU), near = Measure(golden, ids, at::kCPU, at::kBFloat16);
    const Pass far = Measure(golden, ids, testing::FarDevice(), at::kBFloat16);
    const auto apart = [](const at::Tensor& x, const at::Tensor& y) {
      return ((x - y).norm() / y.norm()).item<double>();
    };
    // Experts of MXFP4 have weights of up to six times their scale, on which a sum of 8-bit operands loses more.
    EXPECT_LT(apart(near.logits, exact.logits), name == "gpt_oss_mxfp4" ? 0.1 : 0.06);
    EXPECT_GT(apart(near.logits, exact.logits), 1e-5);
    EXPECT_LT(apart(far.logits, near.logits), 0.01);
    EXPECT_NEAR(near.loss, exact.loss, 0.01 * exact.loss);
  }
}

TEST(FarDeviceDeathTest, ARawPointerToItsMemoryCrashes) {
  const at::Tensor x = at::ones({4}).to(testing::FarDevice());
  EXPECT_EQ(x.add(1).sum().item<float>(), 8);
  EXPECT_DEATH(std::printf("%f", static_cast<double>(*x.const_data_ptr<float>())), "");
}

}  // namespace
}  // namespace sink
