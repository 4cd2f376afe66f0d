// Programs that a command runs.
#include "coordinator/cli/files/program.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace sink::cli {
namespace {

TEST(RunProgram, CtrlCReachesTheProgramThoughItIsBlockedHere) {
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto end = RunProgram({"grep", "SigBlk", "/proc/self/status"}, ProgramOutput::kCaptured);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->output, "SigBlk:\t0000000000000000\n");
}

TEST(RunProgram, TellsHowItEnded) {
  EXPECT_EQ(RunProgram({"sh", "-c", "exit 3"}, ProgramOutput::kToStderr)->code, 3);
  EXPECT_EQ(RunProgram({"sh", "-c", "kill -INT $$"}, ProgramOutput::kToStderr)->code, 128 + SIGINT);
  const auto end = RunProgram({"sh", "-c", "echo $WORD"}, ProgramOutput::kCaptured, {"WORD=said"});
  EXPECT_EQ(end->code, 0);
  EXPECT_EQ(end->output, "said\n");
  EXPECT_EQ(RunProgram({"there-is-no-such-program"}, ProgramOutput::kCaptured).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace sink::cli
