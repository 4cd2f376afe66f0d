// Waits with a timeout: when they end, what they say then, and which clock they ask the kernel to wait by.
#include "coordinator/job/timed_wait.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <thread>

namespace sink {
namespace {

constexpr absl::Duration kLong = absl::Minutes(1);
constexpr absl::Duration kShort = absl::Milliseconds(20);

absl::Duration Took(const std::function<void()>& what) {
  const auto start = std::chrono::steady_clock::now();
  what();
  return absl::FromChrono(std::chrono::steady_clock::now() - start);
}

TEST(WaitFor, LooksAtTheConditionBeforeItWaits) {
  Mutex mutex;
  CondVar changed;
  MutexLock lock(&mutex);
  EXPECT_TRUE(WaitFor(&changed, &mutex, absl::ZeroDuration(), [] { return true; }));
  EXPECT_FALSE(WaitFor(&changed, &mutex, absl::ZeroDuration(), [] { return false; }));
  EXPECT_FALSE(WaitFor(&changed, &mutex, -absl::InfiniteDuration(), [] { return false; }));
}

TEST(WaitFor, EndsAfterTheTimeoutAndNotBefore) {
  Mutex mutex;
  CondVar changed;
  const absl::Duration took = Took([&] {
    MutexLock lock(&mutex);
    EXPECT_FALSE(WaitFor(&changed, &mutex, kShort, [] { return false; }));
  });
  EXPECT_GE(took, kShort);
  EXPECT_LT(took, kLong);
}

TEST(WaitFor, GoesOnAfterASignalThatChangesNothing) {
  Mutex mutex;
  CondVar changed;
  bool holds = false;
  std::thread other([&] {
    for (int i = 0; i < 3; ++i) {
      MutexLock lock(&mutex);
      changed.SignalAll();
    }
    MutexLock lock(&mutex);
    holds = true;
    changed.SignalAll();
  });
  {
    MutexLock lock(&mutex);
    EXPECT_TRUE(WaitFor(&changed, &mutex, absl::InfiniteDuration(), [&] { return holds; }));
  }
  other.join();
}

TEST(NotificationTest, EndsTheWaitOfEverybody) {
  Notification happened;
  EXPECT_FALSE(happened.HasBeenNotified());
  EXPECT_FALSE(happened.WaitFor(kShort));
  const absl::Duration took = Took([&] {
    std::thread first([&] { EXPECT_TRUE(happened.WaitFor(absl::InfiniteDuration())); });
    std::thread second([&] { EXPECT_TRUE(happened.WaitFor(kLong)); });
    happened.Notify();
    first.join();
    second.join();
  });
  EXPECT_LT(took, kLong);
  EXPECT_TRUE(happened.HasBeenNotified());
  EXPECT_TRUE(happened.WaitFor(absl::ZeroDuration()));
}

// From now on the kernel kills this process when it waits until a moment of the wall clock. False where it cannot.
bool ForbidWaitsOfTheWallClock() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FUTEX_CLOCK_REALTIME, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = std::size(filter), .filter = filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(NotificationTest, WaitsByAClockThatNobodySets) {
  constexpr int kUnable = 77;
  const auto wait = [] {
    if (!ForbidWaitsOfTheWallClock()) std::_Exit(kUnable);
    const Notification never;
    std::_Exit(never.WaitFor(kShort) ? 1 : 0);
  };
  const auto waited_or_unable = [](int status) {
    return WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == kUnable);
  };
  EXPECT_EXIT(wait(), waited_or_unable, "");
}

}  // namespace
}  // namespace sink
