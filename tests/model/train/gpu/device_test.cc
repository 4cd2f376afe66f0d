// Training on a real device: batches that are read ahead, and steps that are recorded and repeated. Skipped where the
// machine has none.
#include "model/backend/device.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <vector>

#include "model/backend/device_queue.h"
#include "model/base/model_error.h"
#include "model/train/learning/learner.h"
#include "model/train/measure/batch.h"
#include "model/train/measure/batch_feeder.h"
#include "tests/model/train/helpers/tiny_job.h"

namespace sink::train {
namespace {

class OnAGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    ComputeTheSameEveryTime();
    try {
      device_ = OpenDevice("cuda:0");
    } catch (const DeviceError& error) {
      GTEST_SKIP() << error.what();
    }
  }

  at::Device device_ = at::kCPU;
};

TEST_F(OnAGpu, BatchesReadAheadAreThoseOfTheLoaderWhateverTheDeviceDoesMeanwhile) {
  const TinyJob job;
  const JobFile file = ReadJobFile(job.MakeRun("run"));
  BatchFeeder feeder(data::Loader(LoaderOptionsOf(file, "train")), 3, 64, device_, /*ahead=*/true);
  data::Loader loader(LoaderOptionsOf(file, "train"));
  std::vector<at::Tensor> batches, expected;
  at::Tensor product = at::randn({1024, 1024}, at::TensorOptions(device_));
  for (int i = 0; i < 20; ++i) {
    batches.push_back(feeder.Next());
    expected.push_back(ReadBatch(loader, 3, 64, at::kCPU));
    EXPECT_EQ(batches.back().device(), device_);
    EXPECT_EQ(feeder.cursor(), loader.cursor()) << i;
    for (int work = 0; work < 5; ++work) product = product.matmul(product) * 1e-3;
  }
  for (size_t i = 0; i < batches.size(); ++i) EXPECT_TRUE(batches[i].cpu().equal(expected[i])) << i;
  feeder.Seek({});
  EXPECT_TRUE(feeder.Next().cpu().equal(expected[0]));
}

TEST_F(OnAGpu, ARecordedRunIsTheUnrecordedRunToTheLastBit) {
  JobConfig config = TinyJob().config;
  config.train.micro_batch_size = 2;
  config.train.global_batch_size = 4;
  config.train.sequence_length = 32;
  at::manual_seed(1);
  const at::Tensor tokens = at::randint(config.model.vocab_size, {8, 2, 2, 33}, at::kLong).to(device_);
  const auto train = [&](std::vector<double>& losses) {
    Learner learner(config, device_);
    for (int64_t step = 0; step < tokens.size(0); ++step) {
      int64_t next = 0;
      losses.push_back(learner.Step(step, [&] { return std::optional(tokens[step][next++]); })->loss);
    }
    EXPECT_TRUE(learner.TakeWarnings().empty());
    return learner.model().values().cpu();
  };
  std::vector<double> recorded_losses, losses;
  const at::Tensor recorded = train(recorded_losses);
  UseCudaRecorder(nullptr);
  const at::Tensor values = train(losses);
  OpenDevice("cuda:0");  // with its recorder again
  EXPECT_EQ(recorded_losses, losses);
  EXPECT_TRUE(recorded.equal(values));
}

}  // namespace
}  // namespace sink::train
