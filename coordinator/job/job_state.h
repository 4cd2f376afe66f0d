// The states of a job and the only edges between them. One table serves the check in code and the trigger in SQL.
// Pure; any thread.
#pragma once

#include <array>
#include <string>

#include "proto/base/enum_names.h"

namespace sink {

// Values are stored in the database and equal those of proto/sink/v1/job.proto: never renumber.
enum class JobState {
  kQueued = 1,
  kLeased = 2,
  kRunning = 3,
  kDisconnected = 4,  // heartbeat late; still owned by its worker
  kLost = 5,          // lease expired; passes on to QUEUED, FAILED or CANCELLED in the same transaction
  kFinalizing = 6,    // the trainer has ended; events and checkpoints are being delivered
  kSucceeded = 7,
  kFailed = 8,
  kCancelled = 9,
};
// Spelt as in the proto enum.
template <>
struct EnumNames<JobState> {
  using enum JobState;
  static constexpr EnumName<JobState> kTable[] = {
      {kQueued, "QUEUED"},      {kLeased, "LEASED"},         {kRunning, "RUNNING"},     {kDisconnected, "DISCONNECTED"},
      {kLost, "LOST"},          {kFinalizing, "FINALIZING"}, {kSucceeded, "SUCCEEDED"}, {kFailed, "FAILED"},
      {kCancelled, "CANCELLED"}};
};

inline constexpr std::array kAllJobStates = {JobState::kQueued,       JobState::kLeased, JobState::kRunning,
                                             JobState::kDisconnected, JobState::kLost,   JobState::kFinalizing,
                                             JobState::kSucceeded,    JobState::kFailed, JobState::kCancelled};

struct Transition {
  JobState from;
  JobState to;
  bool new_generation = false;  // a person's `retry`: the generation grows by one in the same update
};

// Every legal edge. What is not here is refused.
inline constexpr Transition kTransitions[] = {
    {JobState::kQueued, JobState::kLeased},
    {JobState::kQueued, JobState::kCancelled},
    {JobState::kLeased, JobState::kRunning},
    {JobState::kLeased, JobState::kFinalizing},
    {JobState::kLeased, JobState::kDisconnected},
    {JobState::kLeased, JobState::kLost},
    {JobState::kLeased, JobState::kCancelled},
    {JobState::kLeased, JobState::kQueued},  // the worker never received the grant
    {JobState::kRunning, JobState::kFinalizing},
    {JobState::kRunning, JobState::kDisconnected},
    {JobState::kRunning, JobState::kLost},
    {JobState::kRunning, JobState::kCancelled},
    {JobState::kDisconnected, JobState::kLeased},
    {JobState::kDisconnected, JobState::kRunning},
    {JobState::kDisconnected, JobState::kFinalizing},
    {JobState::kDisconnected, JobState::kLost},
    {JobState::kDisconnected, JobState::kCancelled},
    {JobState::kFinalizing, JobState::kSucceeded},
    {JobState::kFinalizing, JobState::kFailed},
    {JobState::kFinalizing, JobState::kCancelled},
    {JobState::kFinalizing, JobState::kQueued},  // another attempt
    {JobState::kFinalizing, JobState::kDisconnected},
    {JobState::kFinalizing, JobState::kLost},
    {JobState::kLost, JobState::kQueued},
    {JobState::kLost, JobState::kFailed},
    {JobState::kLost, JobState::kCancelled},
    {JobState::kFailed, JobState::kQueued, /*new_generation=*/true},
    {JobState::kCancelled, JobState::kQueued, /*new_generation=*/true},
};

// True when the table has the edge, or when neither state nor generation changes.
constexpr bool IsLegal(JobState from, int from_generation, JobState to, int to_generation) {
  if (from == to && from_generation == to_generation) return true;
  for (const Transition& edge : kTransitions) {
    if (edge.from == from && edge.to == to && to_generation - from_generation == (edge.new_generation ? 1 : 0))
      return true;
  }
  return false;
}

constexpr bool IsFinal(JobState state) {
  return state == JobState::kSucceeded || state == JobState::kFailed || state == JobState::kCancelled;
}

// Owned by a worker: it counts against max_parallel and has a lease.
constexpr bool IsLive(JobState state) { return state != JobState::kQueued && !IsFinal(state); }

// The table as a SQL condition over OLD.state, OLD.generation, NEW.state and NEW.generation: true when the update is
// legal.
std::string TransitionCondition();

}  // namespace sink
