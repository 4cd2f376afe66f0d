// The queues of a real device: what is recorded, copied to the host and run beside the rest. Skipped where the machine
// has no device.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "model/backend/device.h"
#include "model/backend/device_queue.h"
#include "model/base/model_error.h"

namespace sink {
namespace {

class CudaQueue : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      device_ = OpenDevice("cuda:0");
    } catch (const DeviceError& error) {
      GTEST_SKIP() << error.what();
    }
    x_ = at::ones({1024}, at::TensorOptions(device_));
    sum_ = at::zeros_like(x_);
  }

  // Adds twice x to the sum, through memory that is its own.
  void Add() { sum_.add_(x_ * 2); }
  // Of all values of the sum, which are one.
  double Sum() const { return (sum_.min().item<double>() + sum_.max().item<double>()) / 2; }
  std::unique_ptr<Recording> RecordAdd() {
    for (int i = 0; i < 3; ++i) Add();
    return Record(device_, [this] { Add(); });
  }
  // Keeps the current queue busy for some milliseconds.
  void Work() const {
    at::Tensor product = at::randn({2048, 2048}, x_.options());
    for (int i = 0; i < 20; ++i) product = product.matmul(product) * 1e-3;
  }
  c10::Stream Current() const { return c10::impl::VirtualGuardImpl(at::kCUDA).getStream(device_); }

  at::Device device_ = at::kCPU;
  at::Tensor x_, sum_;
};

TEST_F(CudaQueue, WhatIsRecordedIsNotDoneByThatAndReadsWhatIsThereWhenItIsRepeated) {
  const std::unique_ptr<Recording> recording = RecordAdd();
  ASSERT_NE(recording, nullptr);
  EXPECT_EQ(Sum(), 6);
  recording->Repeat();
  recording->Repeat();
  EXPECT_EQ(Sum(), 10);
  x_.fill_(5);
  recording->Repeat();
  EXPECT_EQ(Sum(), 20);
}

TEST_F(CudaQueue, RecordingsTakeTurns) {
  const std::unique_ptr<Recording> add = RecordAdd(), halve = Record(device_, [this] { sum_.mul_(0.5); });
  add->Repeat();
  halve->Repeat();
  Add();
  halve->Repeat();
  EXPECT_EQ(Sum(), 3);
}

TEST_F(CudaQueue, WhatCannotBeRecordedThrowsAndTheDeviceGoesOn) {
  Add();
  EXPECT_ANY_THROW(Record(device_, [this] {
    Add();
    sum_.sum().item<double>();  // waits for what is not done
  }));
  EXPECT_EQ(Sum(), 2) << "nothing of it was done";
  EXPECT_THROW(Record(device_,
                      [this] {
                        Add();
                        at::empty({int64_t{1} << 46}, x_.options());
                      }),
               c10::OutOfMemoryError);
  EXPECT_EQ(Sum(), 2);
  const std::unique_ptr<Recording> recording = RecordAdd();
  recording->Repeat();
  EXPECT_EQ(Sum(), 10);
}

TEST_F(CudaQueue, AHostCopyIsOfTheMomentItWasBegunAndDoesNotWait) {
  EXPECT_TRUE(HostBuffer({2}, at::kInt, device_).is_pinned());
  Work();
  sum_.fill_(2);
  const HostCopy copy(sum_);
  sum_.fill_(5);
  EXPECT_TRUE(copy.Await().equal(at::full({1024}, 2.0, at::kFloat)));
  EXPECT_TRUE(copy.Await().is_pinned());
}

TEST_F(CudaQueue, ASideQueueIsAnotherWhichWaitsForMilestonesAlone) {
  const SideQueue side(device_);
  const c10::Stream outside = Current();
  at::Tensor seen = at::zeros_like(sum_);
  Milestone written(device_), copied(device_);
  Work();
  sum_.fill_(7);
  written.Set();
  side.Run([&] {
    EXPECT_NE(Current(), outside);
    written.Block();
    seen.copy_(sum_, /*non_blocking=*/true);
    copied.Set();
  });
  EXPECT_EQ(Current(), outside);
  copied.Block();
  EXPECT_TRUE(seen.equal(at::full_like(seen, 7)));
  EXPECT_NO_THROW(copied.Await());
}

}  // namespace
}  // namespace sink
