// Watches one trainer from its start to the end of its last descendant: reads its pipes, stops it when asked (command,
// SIGTERM, grace, SIGKILL), notices when it hangs. Runs in the calling thread, the one that started the trainer.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "proto/pipe/events.h"
#include "worker/control_group.h"
#include "worker/stop_control.h"
#include "worker/trainer_link.h"
#include "worker/trainer_process.h"

namespace sink::worker {

struct SupervisionLimits {
  absl::Duration grace = absl::Seconds(30);        // from the stop command to SIGKILL
  absl::Duration lease_grace = absl::Seconds(10);  // the same when the lease is running out
  absl::Duration rank_grace = absl::Seconds(5);    // the same when another rank is lost: nothing can be saved any more
  absl::Duration hang = absl::Minutes(10);         // without an event
  // From the first event on: without a further training step; without one, a token, a value or a checkpoint.
  absl::Duration stall = absl::InfiniteDuration();
  absl::Duration idle = absl::InfiniteDuration();
  absl::Duration closed_pipe = absl::Seconds(10);  // alive without an event pipe
  absl::Duration cleanup = absl::Seconds(60);      // for the trainer to die of SIGKILL, and then for its descendants
};

// How a trainer ended.
struct TrainerReport {
  pid_t pid = 0;                           // 0: it did not start
  ExitStatus exit;                         // of one that does not die: SIGKILL
  StopReason reason = StopReason::kNone;   // why it was asked to stop
  StopReason noticed = StopReason::kNone;  // the same when this trainer was the first to give the reason: a hang, say
  absl::Duration limit;                    // of SupervisionLimits, that a noticed hang or stall has passed
  bool killed_here = false;                // we sent SIGKILL
  bool out_of_memory = false;              // the kernel's out-of-memory killer was at work, in its group or just before
  bool trainer_gone = true;                // it has died; else it is left as it is, for ReapTrainer
  bool descendants_gone = true;
  bool finished = false;               // it sent `finished`
  std::optional<pipe::Failed> failed;  // it sent `failed`
  absl::Duration ended_at;             // boot clock: when it sent `failed`, else when it was gone
  std::string stderr_excerpt;
  std::string threads;  // what they were doing when it was found to make no progress (DescribeThreads)
};

// `on_event` and `on_log` as in TrainerLink. `on_tick` is called several times a second with the boot clock; it may
// request a stop. Returns once neither the trainer nor a process that it started is left, or when one of them has not
// died of SIGKILL in the time of SupervisionLimits::cleanup.
struct SupervisionHooks {
  TrainerLink::Handlers handlers;
  std::function<void(absl::Duration now)> on_tick;
};

// `group`: that the trainer has joined; null: none.
TrainerReport Supervise(TrainerProcess& process, const std::string& marker, const SupervisionLimits& limits,
                        StopControl& control, SupervisionHooks hooks, ControlGroup* group = nullptr);

// A line for people: "killed by SIGSEGV", "exit code 3".
std::string DescribeExit(const ExitStatus& exit);
// The same of a trainer that does not die.
std::string DescribeUndead(pid_t trainer);

}  // namespace sink::worker
