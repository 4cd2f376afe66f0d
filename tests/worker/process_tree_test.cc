// Children that trainers have left behind: found when they end, and cheap to look for while they live.
#include "worker/process_tree.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/time/clock.h"

namespace sink::worker {
namespace {

absl::Duration CpuTime() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

TEST(ReapStrays, CostsNextToNothingWhileNoChildHasEnded) {
  const pid_t child = fork();
  if (child == 0) {
    while (true) pause();
  }
  constexpr int kCalls = 2000;  // of a daemon that waits for 100 s
  const absl::Duration before = CpuTime();
  for (int i = 0; i < kCalls; ++i) ReapStrays();
  EXPECT_LT(CpuTime() - before, absl::Milliseconds(100));
  EXPECT_EQ(kill(child, 0), 0);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST(ReapStrays, ReapsAStrayAndLeavesATrainer) {
  const pid_t stray = fork();
  if (stray == 0) _exit(0);
  const pid_t trainer = ForkTrainer();
  if (trainer == 0) _exit(0);
  siginfo_t ended{};
  for (const pid_t pid : {stray, trainer}) ASSERT_EQ(waitid(P_PID, pid, &ended, WEXITED | WNOWAIT), 0);
  ReapStrays();
  EXPECT_EQ(waitpid(stray, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  EXPECT_EQ(waitpid(trainer, nullptr, 0), trainer);
  ForgetTrainer(trainer);
}

// Whether the child ends by itself within some seconds.
bool Ends(pid_t child) {
  for (int i = 0; i < 500; ++i) {
    if (ReapTrainer(child)) return true;
    absl::SleepFor(absl::Milliseconds(10));
  }
  kill(child, SIGKILL);
  while (!ReapTrainer(child)) absl::SleepFor(absl::Milliseconds(10));
  return false;
}

TEST(ForkTrainer, TheChildWaitsForNoLockThatAnotherThreadHad) {
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&stop] {
      while (!stop) ForgetTrainer(-1);
    });
  }
  int stuck = 0;
  for (int i = 0; i < 300 && stuck == 0; ++i) {
    const pid_t child = ForkTrainer();
    if (child == 0) _exit(0);
    stuck += !Ends(child);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stuck, 0);
}

TEST(ReapTrainer, WaitsForNobody) {
  const pid_t trainer = ForkTrainer();
  if (trainer == 0) {
    while (true) pause();
  }
  EXPECT_FALSE(ReapTrainer(trainer));
  kill(trainer, SIGKILL);
  siginfo_t ended{};
  ASSERT_EQ(waitid(P_PID, trainer, &ended, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(ReapTrainer(trainer));
  EXPECT_EQ(waitpid(trainer, nullptr, WNOHANG), -1);
  EXPECT_TRUE(ReapTrainer(trainer)) << "it is gone";
}

}  // namespace
}  // namespace sink::worker
