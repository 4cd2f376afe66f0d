// On a CPU everything is done when a call returns; a GPU's recordings come from the library that was opened.
#include "model/backend/device_queue.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

namespace sink {
namespace {

TEST(DeviceQueue, OnACpuThereIsNothingToOverlap) {
  EXPECT_FALSE(HasQueue(at::kCPU));
  EXPECT_TRUE(HasQueue(at::Device(at::kCUDA, 0)));
  Milestone milestone(at::kCPU);
  milestone.Block();
  milestone.Set();
  milestone.Await();
  bool ran = false;
  SideQueue(at::kCPU).Run([&] { ran = true; });
  EXPECT_TRUE(ran);
  EXPECT_FALSE(HostBuffer({2}, at::kInt, at::kCPU).is_pinned());
}

TEST(DeviceQueue, HostCopyIsOfTheMomentItWasBegun) {
  const at::Tensor x = at::full({3}, 2.0, at::kDouble);
  const HostCopy copy(x);
  x.fill_(5);
  EXPECT_TRUE(copy.Await().equal(at::full({3}, 2.0, at::kDouble)));
}

TEST(DeviceQueue, RecordingsAreOfTheOpenedLibrary) {
  const at::Device gpu(at::kCUDA, 1);
  EXPECT_EQ(Record(gpu, [] {}), nullptr);
  UseCudaRecorder([](at::DeviceIndex device, const std::function<void()>& work) -> Recording* {
    EXPECT_EQ(device, 1);
    struct Again : Recording {
      explicit Again(const std::function<void()>& work) : work(work) {}
      void Repeat() override { work(); }
      const std::function<void()> work;
    };
    return new Again(work);
  });
  int runs = 0;
  const std::unique_ptr<Recording> recording = Record(gpu, [&] { ++runs; });
  ASSERT_NE(recording, nullptr);
  recording->Repeat();
  recording->Repeat();
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(Record(at::kCPU, [] {}), nullptr);
  UseCudaRecorder(nullptr);
}

}  // namespace
}  // namespace sink
