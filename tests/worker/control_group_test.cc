// Control groups of trainers, on a machine where this user may make them; elsewhere these tests are skipped.
#include "worker/control_group.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/files/control_group.h"

namespace sink::worker {
namespace {

namespace fs = std::filesystem;

class ControlGroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    place_ = files::FindControlGroup();
    if (place_.folder.empty()) GTEST_SKIP() << place_.why_not;
    groups_ = Open();
    if (groups_ == nullptr) GTEST_SKIP() << "this kernel has no cgroup.kill";
  }
  std::shared_ptr<ControlGroups> Open() {
    auto opened = ControlGroups::Open(place_.folder, prefix_, {});
    return opened.ok() ? *std::move(opened) : nullptr;
  }
  std::vector<fs::path> Folders() const {
    std::vector<fs::path> folders;
    for (const auto& entry : fs::directory_iterator(place_.folder)) {
      if (entry.path().filename().string().starts_with(prefix_)) folders.push_back(entry.path());
    }
    return folders;
  }
  int Members() const {
    int members = 0;
    for (const fs::path& folder : Folders()) {
      std::ifstream file(folder / "cgroup.procs");
      for (std::string line; std::getline(file, line);) ++members;
    }
    return members;
  }
  static pid_t ForkInto(const ControlGroup& group) {
    const pid_t child = fork();
    if (child == 0 && write(group.join_fd(), "0", 1) != 1) _exit(1);
    return child;
  }

  const std::string prefix_ = absl::StrCat("sink-test-", getpid(), "-", absl::ToUnixNanos(absl::Now()), "-");
  files::ControlGroupPlace place_;
  std::shared_ptr<ControlGroups> groups_;
};

TEST_F(ControlGroupTest, WhatForksFasterThanAnybodyLooksEndsAtOnce) {
  auto group = groups_->Make();
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_TRUE((*group)->Kill(absl::ZeroDuration())) << "nobody is in it";
  const pid_t child = ForkInto(**group);
  if (child == 0) {
    setsid();
    const time_t end = time(nullptr) + 30;                // should the test fail
    while (time(nullptr) < end && fork() == 0) continue;  // always another process, without father or name
    _exit(0);
  }
  const absl::Time begin = absl::Now();
  int members = 0;
  while ((members = Members()) == 0 && absl::Now() < begin + absl::Seconds(10)) absl::SleepFor(absl::Milliseconds(1));
  ASSERT_GT(members, 0);
  EXPECT_TRUE((*group)->Kill(absl::Seconds(10)));
  EXPECT_EQ(Members(), 0);
  waitpid(child, nullptr, 0);
  EXPECT_EQ((*group)->OutOfMemoryKills(), 0);
  *group = nullptr;
  EXPECT_TRUE(Folders().empty());
}

TEST_F(ControlGroupTest, WhatAFormerDaemonHasLeftIsEndedAndRemoved) {
  auto group = groups_->Make();
  ASSERT_TRUE(group.ok()) << group.status();
  const pid_t child = ForkInto(**group);
  if (child == 0) {
    while (true) pause();
  }
  while (Members() == 0) absl::SleepFor(absl::Milliseconds(1));
  ASSERT_NE(Open(), nullptr);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_TRUE(Folders().empty());
}

TEST_F(ControlGroupTest, LimitsAreRefusedWhereOthersAreInTheGroup) {
  const pid_t other = fork();
  if (other == 0) {
    while (true) pause();
  }
  const auto limited = ControlGroups::Open(place_.folder, prefix_, {.memory_bytes = 1 << 30});
  EXPECT_TRUE(absl::IsFailedPrecondition(limited.status())) << limited.status();
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
}

}  // namespace
}  // namespace sink::worker
