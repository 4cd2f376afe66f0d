// Finding and ending every process that an attempt has left behind. A trainer starts in a session of its own and with
// SINK_RUN=<marker> in its environment; a process belongs to the attempt when it is in that session or still carries
// the marker, so a double fork or a setsid does not hide it, nor does a restart of the daemon. A marker covers those
// below it: "a" names the processes of "a/rank-1" too, but not those of "a1". Stateless apart from the list of live
// trainers that ReapStrays must leave alone; any thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace sink::worker {

// The processes (not zombies, not this one) of session `session` (0: any) or with SINK_RUN=`marker` or
// one below it.
std::vector<pid_t> ProcessesOfRun(const std::string& marker, pid_t session);

// SIGKILL to all of them, again and again until none is left (a process may fork while it is being hunted). False when
// some outlive `timeout`: a process in an uninterruptible system call.
bool KillProcessesOfRun(const std::string& marker, pid_t session, absl::Duration timeout);

// Makes orphans of trainers children of this process rather than of init, so that they can be found and reaped.
void BecomeSubreaper();

// Reaps dead children of this process, except trainers (TrainerProcess and ReapTrainer do). One system call where there
// are none.
void ReapStrays();
// fork() whose child ReapStrays leaves alone until it is forgotten. The child may call nothing of this file's.
pid_t ForkTrainer();
void ForgetTrainer(pid_t trainer);
// Reaps and forgets a child of ForkTrainer that has ended; false while it has not. Never waits.
bool ReapTrainer(pid_t trainer);

}  // namespace sink::worker
