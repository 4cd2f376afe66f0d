// From the way a trainer ended to what the coordinator is told. Pure functions; any thread.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "sink/v1/job.pb.h"
#include "worker/trainer_supervisor.h"

namespace sink::worker {

struct Outcome {
  v1::JobState state = v1::FAILED;  // SUCCEEDED, FAILED or CANCELLED
  v1::FailureClass failure_class = v1::FAILURE_CLASS_NONE;
  std::string message;
};

Outcome Failure(v1::FailureClass failure_class, std::string message);

// Of an attempt that was stopped before its trainer started.
Outcome JudgeStop(StopReason reason);

// A finished training counts whatever was asked meanwhile; then the reason for which we stopped the trainer; then what
// the trainer said of itself; then its exit code or signal, with what it wrote to stderr.
Outcome JudgeTrainer(const TrainerReport& report);

// For the run folder, so that a restarted daemon tells the coordinator the same.
std::string EncodeOutcome(const Outcome& outcome);
absl::StatusOr<Outcome> DecodeOutcome(const std::string& json);

}  // namespace sink::worker
