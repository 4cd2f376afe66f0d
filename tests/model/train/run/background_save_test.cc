// A save on a thread of its own: its result comes once, and its failure where the result is asked for.
#include "model/train/run/background_save.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "model/train/link/train_error.h"

namespace sink::train {
namespace {

constexpr std::chrono::minutes kLong{1};

TEST(BackgroundSave, GivesItsResultOnceWhenItIsThere) {
  BackgroundSave save;
  EXPECT_FALSE(save.TakeIfDone());
  std::promise<void> disk;
  save.Begin([&] {
    disk.get_future().wait();
    return CheckpointRef{.step = 7};
  });
  EXPECT_TRUE(save.pending());
  EXPECT_FALSE(save.TakeIfDone());
  EXPECT_FALSE(save.TakeIfDone(std::chrono::milliseconds(1)));
  disk.set_value();
  EXPECT_EQ(save.TakeIfDone(kLong)->step, 7);
  EXPECT_FALSE(save.pending());
  EXPECT_FALSE(save.TakeIfDone(kLong));
}

TEST(BackgroundSave, FailureReachesWhoAsks) {
  BackgroundSave save;
  save.Begin([]() -> CheckpointRef { throw InfraError("the disk is full"); });
  EXPECT_THROW(save.TakeIfDone(kLong), InfraError);
  EXPECT_FALSE(save.pending());
}

}  // namespace
}  // namespace sink::train
