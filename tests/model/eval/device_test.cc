// The study's own models, on a device whose memory the CPU cannot touch: losses, gradients and every metric are those
// of the CPU, for every variant.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "model/eval/sink_metric.h"
#include "model/network/transformer.h"
#include "model/storage/model_directory.h"
#include "tests/model/helpers/variants.h"
#include "tests/testing/far_device.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

class OnADeviceApart : public ::testing::TestWithParam<Variant> {};

TEST_P(OnADeviceApart, StudyModelsGiveTheSame) {
  at::manual_seed(1);
  Transformer near(SmallModel(GetParam().config), at::kCPU);
  near.Initialize(2);
  near.values().add_(at::randn(near.values().sizes()), 0.05);
  testing::TempDir folder;
  SaveModel(folder.path(), near);
  Transformer far = LoadModel(folder.path(), testing::FarDevice());
  const at::Tensor ids = at::randint(30, {3, 13}, at::TensorOptions().dtype(at::kLong));
  const at::Tensor tokens = ids.narrow(1, 0, 12), targets = ids.narrow(1, 1, 12);
  const at::Tensor there = ids.to(testing::FarDevice());

  const double loss = near.LossAndGradients(tokens, targets).item<double>();
  EXPECT_NEAR(far.LossAndGradients(there.narrow(1, 0, 12), there.narrow(1, 1, 12)).item<double>(), loss, 1e-5);
  EXPECT_TRUE(far.gradients().cpu().allclose(near.gradients(), 1e-3, 1e-5))
      << (far.gradients().cpu() - near.gradients()).abs().max().item<float>();

  const SinkOptions options{.positions = 3, .batch = 2, .metrics = EvalMetrics()};
  const SinkReport a = MeasureSinks(near, tokens, options), b = MeasureSinks(far, there.narrow(1, 0, 12), options);
  EXPECT_TRUE(a.importance.allclose(b.importance, 1e-3, 1e-5));
  EXPECT_TRUE(a.hidden_norm.allclose(b.hidden_norm, 1e-4, 1e-5));
  ASSERT_EQ(a.metrics.size(), b.metrics.size());
  for (size_t i = 0; i < a.metrics.size(); ++i)
    EXPECT_NEAR(a.metrics[i].all, b.metrics[i].all, 1e-3 * (1 + std::abs(a.metrics[i].all))) << a.metrics[i].name;
}

INSTANTIATE_TEST_SUITE_P(Every, OnADeviceApart, ::testing::ValuesIn(Variants()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sink
