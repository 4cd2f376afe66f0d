// From the way trainers ended to what the coordinator is told. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sink/v1/job.pb.h"
#include "worker/trainer_supervisor.h"

namespace sink::worker {

struct Outcome {
  v1::JobState state = v1::FAILED;  // SUCCEEDED, FAILED or CANCELLED
  v1::FailureClass failure_class = v1::FAILURE_CLASS_NONE;
  std::string message;
  std::string undelivered = {};  // as worker.proto has it
  uint64_t last_seq = 0;         // of the spool that belongs to it, where it was read from a run folder

  bool operator==(const Outcome&) const = default;
};

Outcome Failure(v1::FailureClass failure_class, std::string message);

// Of an attempt that was stopped before its trainer started. CANCELLED when a person asked for it, and when the daemon
// is to end or to give the job back or has not heard of the coordinator, which nobody asked of the job: the coordinator
// takes that for given back. `limit`: that a hang or a stall has passed.
Outcome JudgeStop(StopReason reason, absl::Duration limit = absl::ZeroDuration());

// A finished training counts whatever was asked meanwhile; then the reason for which we stopped the trainer; then what
// the trainer said of itself; then its exit code or signal, with what it wrote to stderr. A failure begins with the
// news that the trainer does not die, where that is so.
Outcome JudgeTrainer(const TrainerReport& report);

// One of the trainers of an attempt on this machine.
struct RankReport {
  std::string prefix;  // "rank 3: "; "" in a job of one process
  TrainerReport trainer;
};

// SUCCEEDED when all did; `ranks` is not empty. Else the end of the rank that failed first by its own cause, for which
// the others may have failed or been stopped later; the message names the rank. CANCELLED where none failed and another
// worker's ranks were asked to stop.
Outcome JudgeRanks(const std::vector<RankReport>& ranks);

// For the run folder, so that a restarted daemon tells the coordinator the same.
std::string EncodeOutcome(const Outcome& outcome);
absl::StatusOr<Outcome> DecodeOutcome(const std::string& json);

}  // namespace sink::worker
