// Devices whose processes do not die: taken until those are gone, and nobody waits for that.
#include "worker/occupied_devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/worker/undead_process.h"
#include "worker/process_tree.h"

namespace sink::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A process as a trainer is one: in a session of its own. It lives until it is killed.
pid_t StartTrainer() {
  const pid_t pid = ForkTrainer();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    setsid();
    while (true) pause();
  }
  while (getsid(pid) != pid) absl::SleepFor(absl::Milliseconds(1));
  return pid;
}

// Until the kernel has ended a process that was killed. It is a zombie then.
void WaitForEnd(pid_t child) {
  siginfo_t ended{};
  waitid(P_PID, child, &ended, WEXITED | WNOWAIT);
}

bool IsZombie(pid_t child) {
  siginfo_t ended{};
  return waitid(P_PID, child, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == child;
}

class OccupiedDevicesTest : public ::testing::Test {
 protected:
  OccupiedDevicesTest() : before_(spdlog::default_logger()) {
    auto logger =
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines_, true));
    logger->set_pattern("%l: %v");
    spdlog::set_default_logger(logger);
  }
  ~OccupiedDevicesTest() override { spdlog::set_default_logger(before_); }

  void Hold(pid_t trainer, bool reaped, int devices) {
    Remains remains;
    remains.lease.set_job_id("job1");
    remains.lease.set_attempt(3);
    remains.marker = absl::StrCat("test-", getpid(), "-", absl::ToUnixNanos(absl::Now()));
    remains.trainers.push_back({trainer, reaped});
    occupied_.Hold(std::move(remains), pool_.Take(devices));
  }
  // What the log says since the last call.
  std::string Log() {
    const std::string said = lines_.str();
    lines_.str("");
    return said;
  }

  DevicePool pool_{{.kind = "cpu", .ids = {"", "", ""}, .gpu = false}};
  OccupiedDevices occupied_;

 private:
  std::shared_ptr<spdlog::logger> before_;
  std::ostringstream lines_;
};

TEST_F(OccupiedDevicesTest, AreFreeOnceTheTrainerCanBeReaped) {
  const pid_t trainer = StartTrainer();
  UndeadProcess undead(trainer);
  if (!undead.traced()) GTEST_SKIP() << "no process may trace another here";
  kill(trainer, SIGKILL);
  Hold(trainer, /*reaped=*/false, 2);
  EXPECT_EQ(Log(), absl::StrCat("error: job job1: attempt 3 has left processes that do not die of SIGKILL (pid ",
                                trainer, "): 2 devices are kept from other jobs until they are gone\n"));
  absl::Duration now = absl::Hours(1);
  for (int look = 0; look < 3; ++look, now += absl::Seconds(2)) occupied_.Check(now);
  EXPECT_EQ(pool_.free(), 1);
  EXPECT_THAT(Log(), IsEmpty());
  undead.Release();
  WaitForEnd(trainer);
  ReapStrays();
  EXPECT_TRUE(IsZombie(trainer)) << "no stray while its devices are held";
  occupied_.Check(now);
  EXPECT_EQ(pool_.free(), 3);
  EXPECT_EQ(Log(), "info: job job1: what attempt 3 had left is gone: 2 devices are free again\n");
  EXPECT_EQ(waitpid(trainer, nullptr, WNOHANG), -1) << "it is reaped";
}

TEST_F(OccupiedDevicesTest, StayTakenForWhatATrainerThatIsGoneHasLeft) {
  const pid_t left = StartTrainer();  // stands for a process of the trainer's session
  Hold(left, /*reaped=*/true, 1);
  absl::Duration now = absl::Hours(1);
  occupied_.Check(now);
  EXPECT_EQ(pool_.free(), 2);
  kill(left, SIGKILL);
  WaitForEnd(left);
  occupied_.Check(now + absl::Milliseconds(900));
  EXPECT_EQ(pool_.free(), 2) << "it looks once a second";
  occupied_.Check(now + absl::Milliseconds(1100));
  EXPECT_EQ(pool_.free(), 3);
  EXPECT_THAT(Log(), HasSubstr("1 device is free again"));
  EXPECT_TRUE(ReapTrainer(left));
}

TEST_F(OccupiedDevicesTest, AreNotHeldForWhatHasDiedMeanwhile) {
  const pid_t trainer = StartTrainer();
  kill(trainer, SIGKILL);
  WaitForEnd(trainer);
  Hold(trainer, /*reaped=*/false, 1);
  EXPECT_EQ(pool_.free(), 3);
  EXPECT_THAT(Log(), IsEmpty());
}

TEST_F(OccupiedDevicesTest, DoNotKeepADaemonFromItsEnd) {
  const pid_t trainer = StartTrainer();
  UndeadProcess undead(trainer);
  if (!undead.traced()) GTEST_SKIP() << "no process may trace another here";
  kill(trainer, SIGKILL);
  {
    OccupiedDevices of_a_daemon;
    of_a_daemon.Hold({.lease = {}, .marker = "none", .trainers = {{trainer, false}}}, pool_.Take(1));
    EXPECT_EQ(pool_.free(), 2);
  }
  EXPECT_EQ(pool_.free(), 3);
  undead.Release();
  WaitForEnd(trainer);
  ReapStrays();
  EXPECT_EQ(waitpid(trainer, nullptr, WNOHANG), -1) << "a stray, since nobody holds its devices";
}

}  // namespace
}  // namespace sink::worker
