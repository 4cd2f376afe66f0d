// Everything that ends a trainer before its time, and what it counts as: whether the same job is worth another try, and
// whose fault it was. One row a fault; the trainers are real processes.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/daemon_process.h"
#include "tests/worker/fake_coordinator.h"
#include "worker/daemon.h"
#include "worker/outcome.h"
#include "worker/process_tree.h"
#include "worker/trainer_supervisor.h"

namespace sink::worker {
namespace {

constexpr char kForEver[] = R"({"steps": 1000000, "ignore_stop": 1})";

// A trainer alone, or a daemon that is to run one.
class Scene {
 public:
  Scene() { BecomeSubreaper(); }

  // How a trainer of this configuration ends. After its first event `hit` is called with its process.
  Outcome Run(const std::string& config, const std::function<void(pid_t)>& hit = {}) {
    std::filesystem::create_directories(dir_.path() / "checkpoints");
    std::ofstream(dir_ / "job.json") << R"({"job":"j","config":)" << config << "}";
    const std::string marker = absl::StrCat("matrix-", getpid(), "-", absl::ToUnixNanos(absl::Now()));
    auto process = TrainerProcess::Start({"/proc/self/exe", dir_.path().string(), {"PATH=/bin"}, marker});
    if (!process.ok()) return Failure(v1::USER, std::string(process.status().message()));
    SupervisionHooks hooks;
    bool begun = false;
    hooks.handlers.on_event = [&](std::string_view, const pipe::Event&) {
      if (!begun && hit) hit((*process)->pid());
      begun = true;
    };
    hooks.handlers.on_log = [](std::string_view, std::string_view) {};
    hooks.on_tick = [&](absl::Duration) {
      if (begun && stop != StopReason::kNone) control_.Request(stop);
    };
    return JudgeTrainer(Supervise(**process, marker, limits, control_, std::move(hooks)));
  }

  // What the coordinator is told of a job of a daemon that was changed so.
  Outcome RunDaemon(const std::function<void(DaemonOptions&)>& change) {
    DaemonOptions options = FakeTrainerOptions(dir_.path().string());
    change(options);
    FakeCoordinator coordinator;
    Daemon daemon(&coordinator, *FindDevices("cpu:1", nullptr), std::move(options));
    const std::string lease = coordinator.AddJob("job1", R"({"steps": 3})");
    daemon.Start();
    if (!coordinator.WaitForFinish(lease)) return Failure(v1::USER, "it was never finished");
    const v1::FinishRequest finish = coordinator.attempt(lease).finishes.at(0);
    return {finish.outcome(), finish.failure_class(), finish.message()};
  }

  std::string path(const std::string& name) const { return dir_ / name; }

  SupervisionLimits limits{
      .grace = absl::Milliseconds(300), .lease_grace = absl::Milliseconds(300), .closed_pipe = absl::Milliseconds(300)};
  StopReason stop = StopReason::kNone;

 private:
  testing::TempDir dir_;
  StopControl control_;
};

struct Fault {
  const char* name;
  v1::JobState state;
  v1::FailureClass failure_class;
  const char* message;  // a part of what people are told
  std::function<Outcome(Scene&)> happen;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

Fault Failed(const char* name, v1::FailureClass failure_class, const char* message,
             std::function<Outcome(Scene&)> happen) {
  return {name, v1::FAILED, failure_class, message, std::move(happen)};
}

Fault Exit(const char* name, int code, v1::FailureClass failure_class, const char* message) {
  return Failed(name, failure_class, message,
                [code](Scene& scene) { return scene.Run(absl::StrCat(R"({"end": "exit", "code": )", code, "}")); });
}

Fault OwnSignal(const char* name, int number, const char* message) {
  return Failed(name, v1::INFRA, message, [number](Scene& scene) {
    return scene.Run(absl::StrCat(R"({"end": "signal", "code": )", number, "}"));
  });
}

Fault ForeignSignal(const char* name, int number, const char* message) {
  return Failed(name, v1::INFRA, message,
                [number](Scene& scene) { return scene.Run(kForEver, [number](pid_t pid) { kill(pid, number); }); });
}

Fault Said(const char* name, const char* word, v1::FailureClass failure_class) {
  return Failed(name, failure_class, "in its own words", [word](Scene& scene) {
    return scene.Run(absl::StrCat(R"({"end": "failed", "class": ")", word, R"(", "message": "in its own words"})"));
  });
}

Fault Stopped(const char* name, StopReason reason, v1::JobState state, const char* message) {
  return {name, state, state == v1::FAILED ? v1::INFRA : v1::FAILURE_CLASS_NONE, message, [reason](Scene& scene) {
            scene.stop = reason;
            return scene.Run(kForEver);
          }};
}

Fault Limit(const char* name, absl::Duration SupervisionLimits::*limit, const char* config, const char* message) {
  return Failed(name, v1::INFRA, message, [limit, config](Scene& scene) {
    scene.limits.*limit = absl::Milliseconds(300);
    return scene.Run(config);
  });
}

Fault OfTheMachine(const char* name, const char* message, void (*change)(Scene&, DaemonOptions&)) {
  return Failed(name, v1::INFRA, message, [change](Scene& scene) {
    return scene.RunDaemon([&](DaemonOptions& options) { change(scene, options); });
  });
}

// Of a report alone: what a test cannot make the kernel do.
Fault Reported(const char* name, v1::FailureClass failure_class, const char* message, TrainerReport report) {
  return Failed(name, failure_class, message, [report](Scene&) { return JudgeTrainer(report); });
}

class FaultMatrix : public ::testing::TestWithParam<Fault> {};

TEST_P(FaultMatrix, IsClassedRight) {
  Scene scene;
  const Outcome outcome = GetParam().happen(scene);
  EXPECT_EQ(outcome.state, GetParam().state) << outcome.message;
  EXPECT_EQ(outcome.failure_class, GetParam().failure_class) << outcome.message;
  EXPECT_NE(outcome.message.find(GetParam().message), std::string::npos) << outcome.message;
}

INSTANTIATE_TEST_SUITE_P(
    Worker, FaultMatrix,
    ::testing::Values(
        // The job's own fault: trying again changes nothing, or needs another budget.
        Exit("bad_configuration", pipe::kExitUser, v1::USER, "exit code 64"),
        Exit("diverged", pipe::kExitNan, v1::NON_FINITE, "exit code 65"),
        Exit("out_of_memory", pipe::kExitOutOfMemory, v1::OUT_OF_MEMORY, "exit code 66"),
        Said("says_that_the_user_is_wrong", "user", v1::USER), Said("says_that_it_diverged", "nan", v1::NON_FINITE),
        Said("says_that_memory_is_short", "out_of_memory", v1::OUT_OF_MEMORY),
        Reported("killed_for_want_of_memory", v1::OUT_OF_MEMORY, "while the kernel was out of memory",
                 {.exit = {.signal = SIGKILL}, .out_of_memory = true}),
        // The machine's, or nobody's: another try, elsewhere where that is possible.
        Said("says_that_the_machine_is_broken", "infra", v1::INFRA),
        Exit("disk_or_device", pipe::kExitInfra, v1::INFRA, "exit code 67"),
        Exit("unknown_exit_code", 1, v1::INFRA, "exit code 1"),
        Exit("library_missing", 127, v1::INFRA, "exit code 127"),
        Exit("stopped_by_nobody", pipe::kExitStopped, v1::INFRA, "not by this worker"),
        Failed("ended_without_a_word", v1::INFRA, "without the event \"finished\"",
               [](Scene& scene) { return scene.Run(R"({"end": "no_event"})"); }),
        OwnSignal("segmentation_fault", SIGSEGV, "SIGSEGV"), OwnSignal("abort", SIGABRT, "SIGABRT"),
        OwnSignal("bus_error", SIGBUS, "SIGBUS"), OwnSignal("arithmetic", SIGFPE, "SIGFPE"),
        OwnSignal("illegal_instruction", SIGILL, "SIGILL"), ForeignSignal("killed_by_somebody", SIGKILL, "SIGKILL"),
        ForeignSignal("hung_up", SIGHUP, "SIGHUP"),
        Reported("killed_here_while_memory_was_short_elsewhere", v1::INFRA, "SIGKILL",
                 {.exit = {.signal = SIGKILL}, .killed_here = true, .out_of_memory = true}),
        Reported("does_not_die", v1::INFRA, "the trainer (pid 7) does not die of SIGKILL",
                 {.pid = 7,
                  .exit = {.signal = SIGKILL},
                  .reason = StopReason::kRankLost,
                  .killed_here = true,
                  .trainer_gone = false}),
        Limit("hangs", &SupervisionLimits::hang, R"({"end": "hang", "ignore_stop": 1})", "no event for 300ms"),
        Failed("stopped_in_its_tracks", v1::INFRA, "is stopped",
               [](Scene& scene) {
                 scene.limits.hang = absl::Milliseconds(300);
                 return scene.Run(kForEver, [](pid_t pid) { kill(pid, SIGSTOP); });
               }),
        Limit("talks_without_a_step", &SupervisionLimits::stall, R"({"end": "chatter", "ignore_stop": 1})", "stalled"),
        Limit("talks_without_work", &SupervisionLimits::idle, R"({"end": "chatter", "ignore_stop": 1})",
              "--stall-timeout"),
        Limit("closes_its_pipe", &SupervisionLimits::closed_pipe, R"({"end": "close_pipe", "ignore_stop": 1})",
              "closed its event pipe"),
        Stopped("events_undelivered", StopReason::kRefused, v1::FAILED, "events could not be delivered"),
        OfTheMachine("no_trainer", "the trainer did not start",
                     [](Scene& scene, DaemonOptions& options) { options.runner.trainer = scene.path("none"); }),
        OfTheMachine("trainer_is_no_program", "the trainer did not start",
                     [](Scene& scene, DaemonOptions& options) {
                       std::ofstream(options.runner.trainer = scene.path("text")) << "no program";
                       chmod(options.runner.trainer.c_str(), 0700);
                     }),
        OfTheMachine("another_program", "exit code 1",
                     [](Scene&, DaemonOptions& options) { options.runner.trainer = "/bin/false"; }),
        OfTheMachine("no_place_for_the_run", "the worker cannot use its folder",
                     [](Scene& scene, DaemonOptions&) { std::ofstream(scene.path("jobs")) << "a file in the way"; }),
        // Asked for.
        Stopped("cancelled", StopReason::kCancel, v1::CANCELLED, "cancelled"),
        // Nobody's fault: given back.
        Stopped("lease_lost", StopReason::kLeaseLost, v1::CANCELLED, "no contact with the coordinator"),
        Stopped("drained", StopReason::kHandBack, v1::CANCELLED, "its worker was drained"),
        Stopped("daemon_ends", StopReason::kDrain, v1::CANCELLED, "worker stopped"),
        Stopped("daemon_killed", StopReason::kKill, v1::CANCELLED, "worker stopped")),
    [](const auto& param_info) { return std::string(param_info.param.name); });

}  // namespace
}  // namespace sink::worker
