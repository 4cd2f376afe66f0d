// See trainer_supervisor.h.
#include "worker/trainer_supervisor.h"

#include <signal.h>
#include <string.h>

#include <algorithm>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "worker/out_of_memory.h"
#include "worker/process_tree.h"
#include "worker/thread_report.h"
#include "worker/timing.h"

namespace sink::worker {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr absl::Duration kTimeForStacks = absl::Seconds(2);
constexpr absl::Duration kExitTick = absl::Milliseconds(2);  // its pipes are closed: nothing but its exit can follow

// The training step that an event proves to be done; -1 where it proves none.
int64_t StepOf(const pipe::Event& event) {
  if (const auto* hello = std::get_if<pipe::Hello>(&event)) return hello->start_step;
  if (const auto* progress = std::get_if<pipe::Progress>(&event)) return progress->step;
  if (const auto* metrics = std::get_if<pipe::Metrics>(&event)) return metrics->step;
  if (const auto* finished = std::get_if<pipe::Finished>(&event)) return finished->step;
  return -1;
}

// When the trainer last showed that it works; never, before its first event.
struct Work {
  int64_t step = -1, tokens = -1;  // that it reached last
  absl::Duration stepped_at = absl::InfiniteDuration();
  absl::Duration worked_at = absl::InfiniteDuration();

  void Note(const pipe::Event& event, absl::Duration now) {
    const auto* progress = std::get_if<pipe::Progress>(&event);
    // A trainer that has rolled back makes the same steps again: its count has fallen, and it trains. Values may be of
    // an earlier step than the count that came before them.
    const int64_t now_at = StepOf(event);
    const bool stepped = progress != nullptr ? now_at != step : now_at > step;
    // What a trainer says of itself while it does nothing: that it is where it was, and lines of its log.
    const bool idles =
        progress != nullptr ? !stepped && progress->tokens == tokens : std::holds_alternative<pipe::Log>(event);
    if (stepped) {
      step = now_at;
      stepped_at = now;
    }
    if (progress != nullptr) tokens = progress->tokens;
    if (!idles) worked_at = now;
  }
};

// The stop ladder: the command, SIGTERM a moment later, SIGKILL at the end of the grace; at once for the reasons that
// leave no time.
class StopLadder {
 public:
  StopLadder(TrainerProcess& process, const SupervisionLimits& limits) : process_(process), limits_(limits) {}

  void Advance(StopReason reason, absl::Duration now) {
    if (rung_ == Rung::kNone) {
      started_at_ = now;
      rung_ = Rung::kAsked;
      process_.SendCommand(pipe::kStop);
    }
    const bool at_once = reason >= StopReason::kKill || reason == StopReason::kPipeClosed;
    const absl::Duration grace = GraceFor(reason);
    const absl::Duration elapsed = now - started_at_;
    if (rung_ < Rung::kTerminated && elapsed >= std::min(absl::Seconds(1), grace / 2)) {
      process_.Signal(SIGTERM);
      rung_ = Rung::kTerminated;
    }
    if (rung_ < Rung::kKilled && (at_once || elapsed >= grace)) {
      process_.Signal(SIGKILL);
      rung_ = Rung::kKilled;
      killed_at_ = now;
    }
  }

  bool killed() const { return rung_ == Rung::kKilled; }
  absl::Duration killed_at() const { return killed_at_; }  // infinite: not yet

 private:
  enum class Rung { kNone, kAsked, kTerminated, kKilled };

  absl::Duration GraceFor(StopReason reason) const {
    if (reason == StopReason::kLeaseLost) return limits_.lease_grace;
    return reason == StopReason::kRankLost ? limits_.rank_grace : limits_.grace;
  }

  TrainerProcess& process_;
  const SupervisionLimits& limits_;
  Rung rung_ = Rung::kNone;
  absl::Duration started_at_;
  absl::Duration killed_at_ = absl::InfiniteDuration();
};

}  // namespace

TrainerReport Supervise(TrainerProcess& process, const std::string& marker, const SupervisionLimits& limits,
                        StopControl& control, SupervisionHooks hooks, ControlGroup* group) {
  TrainerReport report;
  report.pid = process.pid();
  OutOfMemoryWatch memory(BootTime());
  TrainerLink::Handlers handlers = hooks.handlers;
  Work work;
  handlers.on_event = [&](std::string_view line, const pipe::Event& event) {
    if (std::holds_alternative<pipe::Finished>(event)) report.finished = true;
    if (const auto* failed = std::get_if<pipe::Failed>(&event); failed != nullptr && !report.failed) {
      report.failed = *failed;
      report.ended_at = BootTime();
    }
    work.Note(event, BootTime());
    hooks.handlers.on_event(line, event);
  };
  TrainerLink link(process.events_fd(), process.stdout_fd(), process.stderr_fd(), std::move(handlers));
  StopLadder ladder(process, limits);
  // The control is shared by all ranks of the job; who was first is to be known afterwards.
  auto notice = [&](StopReason reason, absl::Duration limit) {
    if (control.reason() == StopReason::kNone) {
      report.noticed = reason;
      report.limit = limit;
    }
    control.Request(reason);
  };

  // One that makes no progress says where it is before it is stopped: over its standard error, if it takes the
  // question.
  std::optional<absl::Duration> stop_from;
  auto find_out = [&](absl::Duration now) {
    report.threads = DescribeThreads(process.pid());
    for (absl::string_view line : absl::StrSplit(report.threads, '\n', absl::SkipEmpty()))
      hooks.handlers.on_log("error", std::string_view(line.data(), line.size()));
    stop_from = AskForStacks(process.pid()) ? now + kTimeForStacks : now;
  };

  std::optional<absl::Duration> closed_at;
  while (!process.HasExited()) {
    link.Pump(link.any_open() ? kTick : kExitTick, BootTime());
    const absl::Duration now = BootTime();
    memory.Tick(now);
    hooks.on_tick(now);
    if (!link.events_open() && !closed_at) closed_at = now;
    if (closed_at && now - *closed_at > limits.closed_pipe) notice(StopReason::kPipeClosed, limits.closed_pipe);
    if (now - link.last_event_at() > limits.hang) notice(StopReason::kHang, limits.hang);
    if (now - work.stepped_at > limits.stall) notice(StopReason::kStall, limits.stall);
    if (now - work.worked_at > limits.idle) notice(StopReason::kIdle, limits.idle);
    const StopReason reason = control.reason();
    const bool hangs = reason == StopReason::kHang || reason == StopReason::kStall || reason == StopReason::kIdle;
    if (hangs && !stop_from) find_out(now);
    if (reason != StopReason::kNone && (!hangs || now >= *stop_from)) ladder.Advance(reason, now);
    if (now - ladder.killed_at() > limits.cleanup) {
      report.trainer_gone = false;
      break;
    }
  }

  const absl::Duration exited_at = BootTime();
  report.out_of_memory = memory.KilledLately() || (group != nullptr && group->OutOfMemoryKills() > 0);
  // Whatever the trainer has started goes with it; that also closes the pipes, so that they can be read to their end.
  // Its group ends at once, however fast it forks; what has found its way out of it is hunted by its mark.
  // Where the trainer has had its time and is still there, the others get their signals and no time of their own.
  const absl::Duration cleaned_by = report.trainer_gone ? exited_at + limits.cleanup : exited_at;
  const auto time_left = [&] { return std::max(absl::ZeroDuration(), cleaned_by - BootTime()); };
  if (group != nullptr) group->Kill(time_left());
  report.descendants_gone = KillProcessesOfRun(marker, process.pid(), time_left());
  const absl::Duration drained_by = BootTime() + absl::Seconds(2);
  while (link.any_open() && BootTime() < drained_by) link.Pump(kTick, BootTime());
  link.Finish(BootTime());
  if (report.trainer_gone) {
    report.exit = process.Reap();
  } else {
    process.Leave();
    report.exit.signal = SIGKILL;
  }
  ReapStrays();
  if (!report.failed) report.ended_at = exited_at;
  report.reason = control.reason();
  report.killed_here = ladder.killed();
  report.stderr_excerpt = link.StderrExcerpt();
  return report;
}

std::string DescribeExit(const ExitStatus& exit) {
  if (exit.signal == 0) return absl::StrCat("exit code ", exit.code);
  const char* name = sigabbrev_np(exit.signal);
  return absl::StrCat("killed by SIG", name != nullptr ? name : absl::StrCat(exit.signal).c_str());
}

std::string DescribeUndead(pid_t trainer) {
  return absl::StrCat("the trainer (pid ", trainer,
                      ") does not die of SIGKILL, as one does that waits for a disk or a driver; ",
                      "its devices stay out of use until it is gone");
}

}  // namespace sink::worker
