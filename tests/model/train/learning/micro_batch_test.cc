// Sizes of micro-batches, and passes that are recorded and repeated, with a recorder that runs its work at each repeat.
#include "model/train/learning/micro_batch.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <utility>

namespace sink::train {
namespace {

TEST(MicroBatchSizes, AreTheDivisors) { EXPECT_EQ(MicroBatchSizes(12), (std::vector<int64_t>{1, 2, 3, 4, 6, 12})); }

TEST(LargestThatFits, StopsAtTheFirstThatDoesNot) {
  std::vector<int64_t> asked;
  const auto fits_up_to = [&](int64_t limit) {
    return LargestThatFits({1, 2, 4, 8, 16}, [&](int64_t size) {
      asked.push_back(size);
      return size <= limit;
    });
  };
  EXPECT_EQ(fits_up_to(5), 4);
  EXPECT_EQ(asked, (std::vector<int64_t>{1, 2, 4, 8}));
  EXPECT_EQ(fits_up_to(0), 0);
  EXPECT_EQ(fits_up_to(100), 16);
}

TEST(PartsOf, AreTheFewestEqualOnes) {
  for (const auto& [sequences, parts] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {2, 2}, {8, 2}, {9, 3}, {5, 5}})
    EXPECT_EQ(PartsOf(sequences), parts) << sequences;
}

class FakeRecording : public Recording {
 public:
  explicit FakeRecording(std::function<void()> work) : work_(std::move(work)) {}
  void Repeat() override { work_(); }

 private:
  const std::function<void()> work_;
};

class PassesTest : public ::testing::Test {
 protected:
  PassesTest()
      : passes_(
            [this](const at::Tensor& batch, double scale, const GradientsReady&) {
              ++passes_run_;
              return batch.sum().to(at::kFloat) * scale;
            },
            [this](const std::function<void()>& work) { return record_(work); }) {}

  // The sum of one pass over `rows` rows of `value`.
  double Run(int64_t value, int64_t rows = 2, const GradientsReady& ready = nullptr) {
    sum_.zero_();
    passes_.Run(at::full({rows, 3}, value, at::kLong), /*scale=*/0.5, /*weight=*/2, sum_, ready);
    return sum_.item<double>();
  }

  int passes_run_ = 0, recordings_ = 0;
  std::function<std::unique_ptr<Recording>(const std::function<void()>&)> record_ =
      [this](const std::function<void()>& work) {
        ++recordings_;
        return std::make_unique<FakeRecording>(work);
      };
  const at::Tensor sum_ = at::zeros({});
  Passes passes_;
};

TEST_F(PassesTest, AreRecordedOnceAndRepeatedWithEachBatch) {
  for (int64_t value = 1; value <= 10; ++value) EXPECT_EQ(Run(value), 6 * value);
  EXPECT_EQ(recordings_, 1);
  EXPECT_EQ(passes_run_, 10);
  EXPECT_EQ(passes_.TakeWarning(), "");
}

TEST_F(PassesTest, OfAnotherShapeAreRecordedAnew) {
  for (int64_t value = 1; value <= 6; ++value) Run(value);
  for (int64_t value = 1; value <= 6; ++value) EXPECT_EQ(Run(value, 4), 12 * value);
  EXPECT_EQ(recordings_, 2);
}

TEST_F(PassesTest, ThatTellOfTheirGradientsAreNotRepeated) {
  for (int64_t value = 1; value <= 8; ++value) EXPECT_EQ(Run(value, 2, [](int64_t) {}), 6 * value);
  EXPECT_EQ(recordings_, 0);
}

TEST_F(PassesTest, ThatCannotBeRecordedGoOnAndSayWhyOnce) {
  record_ = [this](const std::function<void()>&) -> std::unique_ptr<Recording> {
    ++recordings_;
    throw std::runtime_error("operation not permitted");
  };
  for (int64_t value = 1; value <= 8; ++value) EXPECT_EQ(Run(value), 6 * value);
  EXPECT_EQ(recordings_, 1);
  EXPECT_NE(passes_.TakeWarning().find("operation not permitted"), std::string::npos);
  EXPECT_EQ(passes_.TakeWarning(), "");
}

TEST_F(PassesTest, OnADeviceWithoutRecordingsGoOnQuietly) {
  record_ = [](const std::function<void()>&) { return nullptr; };
  for (int64_t value = 1; value <= 8; ++value) EXPECT_EQ(Run(value), 6 * value);
  EXPECT_EQ(passes_.TakeWarning(), "");
}

// A size that fits as it is, but of which no recording does, is not one that a run should begin with.
TEST_F(PassesTest, FitWhereARecordingAndWhatIsBesideItDo) {
  const at::Tensor batch = at::zeros({2, 3}, at::kLong);
  bool had_room = true;
  const auto beside = [&] { TORCH_CHECK_WITH(OutOfMemoryError, had_room, "CUDA out of memory"); };
  EXPECT_TRUE(passes_.Fits(batch, sum_, beside));
  EXPECT_EQ(passes_run_, 3) << "as before a recording";
  EXPECT_EQ(recordings_, 1);
  had_room = false;
  EXPECT_FALSE(passes_.Fits(batch, sum_, beside)) << "what is beside it";
  had_room = true;
  record_ = [](const std::function<void()>&) -> std::unique_ptr<Recording> {
    TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory");
  };
  EXPECT_FALSE(passes_.Fits(batch, sum_, beside)) << "the recording";
  record_ = [](const std::function<void()>&) -> std::unique_ptr<Recording> {
    throw std::runtime_error("operation not permitted");
  };
  EXPECT_TRUE(passes_.Fits(batch, sum_, beside)) << "it goes on without one";
  record_ = [](const std::function<void()>&) { return nullptr; };
  EXPECT_TRUE(passes_.Fits(batch, sum_, beside));
  EXPECT_EQ(passes_.TakeWarning(), "");
}

}  // namespace
}  // namespace sink::train
