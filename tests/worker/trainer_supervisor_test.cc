// A trainer's life and, above all, its end: whatever it does, nothing of it is left afterwards.
#include "worker/trainer_supervisor.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/undead_process.h"
#include "worker/outcome.h"
#include "worker/process_tree.h"

namespace sink::worker {
namespace {

class TrainerSupervisor : public ::testing::Test {
 protected:
  void SetUp() override { BecomeSubreaper(); }

  // Starts a fake trainer with the configuration and watches it to its end.
  TrainerReport Run(const std::string& config) {
    std::filesystem::create_directories(dir_.path() / "checkpoints");
    std::ofstream(dir_ / "job.json") << R"({"job":"j","config":)" << config << "}";
    auto process = TrainerProcess::Start({"/proc/self/exe", dir_.path().string(), environment_, marker_});
    EXPECT_TRUE(process.ok()) << process.status();
    pid_ = (*process)->pid();
    SupervisionHooks hooks;
    hooks.handlers.on_event = [this](std::string_view, const pipe::Event&) {
      if (++events_ == 1 && on_first_event_) on_first_event_();
    };
    hooks.handlers.on_log = [this](std::string_view level, std::string_view text) {
      logs_.push_back(absl::StrCat(std::string(level), ": ", std::string(text)));
    };
    hooks.on_tick = [this](absl::Duration) {
      if (stop_ != StopReason::kNone && events_ > 0) control_.Request(stop_);
    };
    return Supervise(**process, marker_, limits_, control_, std::move(hooks));
  }

  void ExpectNothingLeft() { EXPECT_TRUE(ProcessesOfRun(marker_, pid_).empty()); }

  testing::TempDir dir_;
  std::string marker_ = absl::StrCat("test-", getpid(), "-", absl::ToUnixNanos(absl::Now()));
  std::vector<std::string> environment_ = {"PATH=/bin"};
  SupervisionLimits limits_{.grace = absl::Milliseconds(300)};
  StopControl control_;
  StopReason stop_ = StopReason::kNone;
  pid_t pid_ = 0;
  int events_ = 0;
  std::function<void()> on_first_event_;
  std::vector<std::string> logs_;
};

TEST_F(TrainerSupervisor, FinishedTrainingSucceeds) {
  const TrainerReport report = Run(R"({"steps": 3})");
  EXPECT_TRUE(report.finished);
  EXPECT_EQ(events_, 5);  // hello, three steps, finished
  EXPECT_EQ(JudgeTrainer(report).state, v1::SUCCEEDED);
}

TEST_F(TrainerSupervisor, StopCommandLetsTheTrainerSave) {
  stop_ = StopReason::kCancel;
  limits_.grace = absl::Seconds(20);
  const TrainerReport report = Run(R"({"steps": 1000000})");
  EXPECT_EQ(report.exit.code, pipe::kExitStopped);
  EXPECT_FALSE(report.killed_here);
  EXPECT_EQ(JudgeTrainer(report).state, v1::CANCELLED);
}

TEST_F(TrainerSupervisor, TrainerThatIgnoresSigtermIsKilledAfterTheGrace) {
  stop_ = StopReason::kDrain;
  const absl::Time before = absl::Now();
  const TrainerReport report = Run(R"({"steps": 1000000, "ignore_stop": 1})");
  EXPECT_EQ(report.exit.signal, SIGKILL);
  EXPECT_TRUE(report.killed_here);
  EXPECT_GE(absl::Now() - before, limits_.grace);
  EXPECT_EQ(JudgeTrainer(report).state, v1::CANCELLED) << "given back: the drain is no fault of the job";
  ExpectNothingLeft();
}

TEST_F(TrainerSupervisor, NoDescendantSurvivesHoweverItHides) {
  for (int round = 0; round < 50; ++round) {
    stop_ = round % 2 == 0 ? StopReason::kNone : StopReason::kStale;
    const TrainerReport report =
        Run(absl::StrCat(R"({"steps": )", round % 2 == 0 ? 1 : 1000000,
                         R"(, "ignore_stop": 1, "grandchildren": 3, "setsid": )", round % 3 == 0 ? 1 : 0, "}"));
    EXPECT_TRUE(report.descendants_gone);
    ExpectNothingLeft();
  }
}

TEST_F(TrainerSupervisor, GarbageOnTheEventPipeIsReportedAndTrainingGoesOn) {
  const TrainerReport report = Run(R"({"garbage": 30})");
  EXPECT_TRUE(report.finished);
  EXPECT_EQ(logs_.size(), 21u);  // the first twenty, then the count
  EXPECT_NE(logs_.back().find("30 lines"), std::string::npos) << logs_.back();
}

TEST_F(TrainerSupervisor, FloodOfOutputNeitherBlocksTheTrainerNorTheLog) {
  const TrainerReport report = Run(R"({"flood_bytes": 3000000})");
  EXPECT_TRUE(report.finished);
  EXPECT_LT(logs_.size(), 1500u);
  EXPECT_GE(logs_.size(), 1000u);
}

TEST_F(TrainerSupervisor, CrashIsNamedWithTheEndOfStderr) {
  const Outcome outcome = JudgeTrainer(Run(R"({"end": "signal", "code": 11, "stderr": "it hurts\n"})"));
  EXPECT_EQ(outcome.failure_class, v1::INFRA);
  EXPECT_NE(outcome.message.find("SIGSEGV"), std::string::npos) << outcome.message;
  EXPECT_NE(outcome.message.find("it hurts"), std::string::npos) << outcome.message;
}

TEST_F(TrainerSupervisor, ExitCodesGiveTheClass) {
  const std::pair<int, v1::FailureClass> cases[] = {{pipe::kExitUser, v1::USER},
                                                    {pipe::kExitNan, v1::NON_FINITE},
                                                    {pipe::kExitOutOfMemory, v1::OUT_OF_MEMORY},
                                                    {pipe::kExitInfra, v1::INFRA},
                                                    {1, v1::INFRA}};
  for (const auto& [code, expected] : cases) {
    const Outcome outcome = JudgeTrainer(Run(absl::StrCat(R"({"end": "exit", "code": )", code, "}")));
    EXPECT_EQ(outcome.failure_class, expected) << code;
    EXPECT_NE(outcome.message.find(absl::StrCat("exit code ", code)), std::string::npos) << outcome.message;
  }
}

TEST_F(TrainerSupervisor, FailedEventWinsOverTheExitCode) {
  const Outcome outcome = JudgeTrainer(Run(R"({"end": "failed", "class": "nan", "message": "loss is NaN"})"));
  EXPECT_EQ(outcome.failure_class, v1::NON_FINITE);
  EXPECT_EQ(outcome.message, "loss is NaN");
}

TEST_F(TrainerSupervisor, ExitWithoutFinishedEventIsAFailure) {
  EXPECT_EQ(JudgeTrainer(Run(R"({"end": "no_event"})")).failure_class, v1::INFRA);
}

TEST_F(TrainerSupervisor, SilentTrainerIsTakenForHanging) {
  limits_.hang = absl::Milliseconds(300);
  const TrainerReport report = Run(R"({"end": "hang", "ignore_stop": 1})");
  EXPECT_EQ(report.reason, StopReason::kHang);
  EXPECT_NE(JudgeTrainer(report).message.find("no progress"), std::string::npos);
}

TEST_F(TrainerSupervisor, WhereItHangsIsInTheLogAndInTheReason) {
  limits_.hang = absl::Milliseconds(300);
  const TrainerReport report = Run(R"({"end": "hang", "ignore_stop": 1, "tells_place": 1})");
  EXPECT_EQ(report.reason, StopReason::kHang);
  const std::string thread = absl::StrCat("thread ", pid_, " (");
  const std::string message = JudgeTrainer(report).message;
  EXPECT_NE(message.find(thread), std::string::npos) << message;
  EXPECT_NE(message.find("in the middle of nowhere"), std::string::npos) << message;
  const auto is_logged = [this](const std::string& begin) {
    return std::any_of(logs_.begin(), logs_.end(), [&](const std::string& line) { return line.starts_with(begin); });
  };
  EXPECT_TRUE(is_logged("error: " + thread));
  EXPECT_TRUE(is_logged("stderr: in the middle of nowhere"));
}

TEST_F(TrainerSupervisor, ATrainerThatIsStoppedForGoodIsFoundAndDescribedAsStopped) {
  limits_.hang = absl::Milliseconds(500);
  on_first_event_ = [this] { kill(pid_, SIGSTOP); };
  const TrainerReport report = Run(R"({"steps": 1000000, "step_ms": 1})");
  EXPECT_EQ(report.reason, StopReason::kHang);
  EXPECT_NE(JudgeTrainer(report).message.find("is stopped"), std::string::npos) << JudgeTrainer(report).message;
  ExpectNothingLeft();
}

TEST_F(TrainerSupervisor, ATrainerThatTalksButMakesNoStepIsStalled) {
  limits_.stall = absl::Milliseconds(300);
  const TrainerReport report = Run(R"({"end": "chatter", "ignore_stop": 1})");
  EXPECT_EQ(report.reason, StopReason::kStall);
  EXPECT_EQ(JudgeTrainer(report).failure_class, v1::INFRA);
  EXPECT_NE(JudgeTrainer(report).message.find("no training step for 300ms, the sweep's stall.no_step_for"),
            std::string::npos)
      << JudgeTrainer(report).message;
}

TEST_F(TrainerSupervisor, ATrainerThatMakesStepsIsNotStalled) {
  limits_.stall = absl::Milliseconds(500);
  EXPECT_EQ(Run(R"({"steps": 40, "step_ms": 25})").reason, StopReason::kNone);
}

TEST_F(TrainerSupervisor, ATrainerThatMakesItsStepsAgainAfterARollBackIsNotStalled) {
  limits_.stall = absl::Milliseconds(500);  // the way back takes 950
  const TrainerReport report = Run(R"({"steps": 42, "step_ms": 25, "roll_back_at": 40, "roll_back_to": 2})");
  EXPECT_EQ(report.reason, StopReason::kNone);
  EXPECT_TRUE(report.finished);
}

TEST_F(TrainerSupervisor, ATrainerThatSaysOnlyThatItIsWhereItWasIsIdle) {
  limits_.idle = absl::Milliseconds(300);
  const TrainerReport report = Run(R"({"repeats": 1000000, "ignore_stop": 1})");
  EXPECT_EQ(report.reason, StopReason::kIdle);
  EXPECT_EQ(JudgeTrainer(report).failure_class, v1::INFRA);
  EXPECT_NE(JudgeTrainer(report).message.find("for 300ms, the worker's --stall-timeout"), std::string::npos)
      << JudgeTrainer(report).message;
}

TEST_F(TrainerSupervisor, TokensValuesAndCheckpointsBetweenStepsAreWork) {
  limits_.idle = absl::Milliseconds(500);
  for (const char* what : {"tokens", "metrics", "checkpoint"}) {
    const TrainerReport report = Run(absl::StrCat(R"({"repeats": 60, "repeat": ")", what, R"("})"));
    EXPECT_EQ(report.reason, StopReason::kNone) << what;
    EXPECT_TRUE(report.finished) << what;
  }
}

TEST_F(TrainerSupervisor, ValuesAreNoStepsWhereASweepAsksForSteps) {
  limits_.stall = absl::Milliseconds(300);
  EXPECT_EQ(Run(R"({"repeats": 1000000, "repeat": "metrics", "ignore_stop": 1})").reason, StopReason::kStall);
}

TEST_F(TrainerSupervisor, ATrainerThatDoesNotDieIsLeftAndSaidToBeThere) {
  limits_.hang = absl::Milliseconds(500);
  limits_.cleanup = absl::Milliseconds(300);
  std::optional<UndeadProcess> undead;
  on_first_event_ = [&] {
    undead.emplace(pid_);
    kill(pid_, SIGSTOP);
  };
  const TrainerReport report = Run(R"({"steps": 1000000, "step_ms": 1})");
  if (!undead || !undead->traced()) GTEST_SKIP() << "no process may trace another here";
  EXPECT_FALSE(report.trainer_gone);
  EXPECT_TRUE(report.killed_here);
  EXPECT_EQ(report.pid, pid_);
  const Outcome outcome = JudgeTrainer(report);
  EXPECT_EQ(outcome.state, v1::FAILED);
  EXPECT_EQ(outcome.failure_class, v1::INFRA);
  EXPECT_TRUE(outcome.message.starts_with(absl::StrCat(
      "the trainer (pid ", pid_, ") does not die of SIGKILL, as one does that waits for a disk or a driver; ",
      "its devices stay out of use until it is gone; no progress: ")))
      << outcome.message;
  ReapStrays();
  EXPECT_FALSE(ReapTrainer(pid_));
  undead->Release();
  EXPECT_TRUE(ReapTrainer(pid_));
}

TEST_F(TrainerSupervisor, ClosedEventPipeIsNotTolerated) {
  limits_.closed_pipe = absl::Milliseconds(300);
  EXPECT_EQ(Run(R"({"end": "close_pipe", "ignore_stop": 1})").reason, StopReason::kPipeClosed);
}

TEST_F(TrainerSupervisor, TrainerSeesOnlyItsOwnEnvironment) {
  const char* const daemon_environment[] = {"PATH=/bin",
                                            "HOME=/root",
                                            "AWS_SECRET=x",
                                            "LD_PRELOAD=evil.so",
                                            "OMP_PROC=1",
                                            "SINK_TOKEN_DIR=y",
                                            "SINK_COLLECTIVE_TIMEOUT_S=9",
                                            "GLOO_SOCKET_IFNAME=eth0",
                                            "TP_SOCKET_IFNAME=eth0",
                                            "TORCH_NCCL_BLOCKING_WAIT=1",
                                            "PYTORCH_CUDA_ALLOC_CONF=x",
                                            "KMP_AFFINITY=compact",
                                            "MALLOC_ARENA_MAX=2",
                                            "LC_ALL=C",
                                            "TZ=UTC",
                                            "TZDIR=/x",
                                            "HF_HOME=/hf",
                                            "HF_TOKEN=secret",
                                            "HOST_A=1",
                                            "PATHOLOGICAL=1",
                                            "CUDA_CACHE=z",
                                            "SINK_RUN=old",
                                            "SINK_COORDINATOR=c",
                                            "CUDA_VISIBLE_DEVICES=7",
                                            "CUDA_DEVICE_ORDER=FASTEST_FIRST",
                                            "SINK_RANK=1",
                                            "SINK_WORLD_SIZE=2",
                                            "SINK_RENDEZVOUS=h:1",
                                            "SINK_RENDEZVOUS_TOKEN=t",
                                            "SINK_RENDEZVOUS_TOKEN_FILE=/t",
                                            nullptr};
  environment_ = TrainerEnvironment(daemon_environment, {"HF_HOME", "HOST_*", "SINK_RANK"});
  Run("{}");
  std::ifstream in(dir_ / "environment.txt");
  std::stringstream seen;
  seen << in.rdbuf();
  EXPECT_EQ(seen.str(), absl::StrCat("PATH=/bin\nHOME=/root\nOMP_PROC=1\nSINK_COLLECTIVE_TIMEOUT_S=9\n"
                                     "GLOO_SOCKET_IFNAME=eth0\nTP_SOCKET_IFNAME=eth0\nTORCH_NCCL_BLOCKING_WAIT=1\n"
                                     "PYTORCH_CUDA_ALLOC_CONF=x\nKMP_AFFINITY=compact\nMALLOC_ARENA_MAX=2\n"
                                     "LC_ALL=C\nTZ=UTC\nHF_HOME=/hf\nHOST_A=1\nCUDA_CACHE=z\nSINK_RUN=",
                                     marker_, "\nSINK_EVENTS_FD=3\nSINK_COMMANDS_FD=4\n"));
}

TEST(TrainerProcess, MissingProgramIsAnErrorThatNamesIt) {
  testing::TempDir dir;
  const auto process = TrainerProcess::Start({"/nowhere/sink-trainer", dir.path().string(), {}, "none"});
  EXPECT_TRUE(absl::IsNotFound(process.status())) << process.status();
  EXPECT_NE(process.status().message().find("/nowhere/sink-trainer"), absl::string_view::npos);
}

}  // namespace
}  // namespace sink::worker
