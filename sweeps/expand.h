// A sweep file and the files that it names, expanded into the jobs of a study. Used by sinkctl (plan) and by the
// coordinator (submit), which get the same jobs in the same order from the same text. Pure: the only outside effect is
// the caller's FileReader; nothing is kept between calls, so any thread may call it.
//
// The grammar is told in sweeps/README.md. The order in which one job's values are laid over each other:
//   1. the defaults of JobConfig, the chain of `base:` files, the sweep's own sections, the profiles' sections;
//   2. the experiment's `set`, one point of its `grid` and `zip` groups (or one entry of `include`);
//   3. `when` rules in order, each seeing what the rules before it set, then `derive` (neither for `include`); then
//      `exclude` decides;
//   4. keys that a profile calls `proportional` are multiplied by (profile's value / the sweep's base value); where
//   that
//      scales the batch, train.micro_batch_size becomes the largest divisor of both;
//   5. replica r of n (1-based) adds r - 1 to train.seed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/config/job_config.h"
#include "proto/pipe/failure_class.h"

namespace sink {

// Returns the text of a file. `path` is what the caller gave as entry or profile, or such a path's folder joined with a
// `base:` and normalised ("sweeps/presets/llama-60m.yaml"). Its error message is quoted in ExpandSweep's.
using FileReader = std::function<absl::StatusOr<std::string>(const std::string& path)>;

struct SweepInput {
  std::string entry;                  // the sweep file
  std::vector<std::string> profiles;  // laid over in order
  FileReader read;
};

// How often a job is tried again by itself, for each class of failure. Not counting the first attempt.
struct RetryBudget {
  int infra = 10;
  int out_of_memory = 0;
  int nan = 1;
  int user = 0;

  int& of(pipe::FailureClass failure_class) {
    switch (failure_class) {
      case pipe::FailureClass::kOutOfMemory:
        return out_of_memory;
      case pipe::FailureClass::kNan:
        return nan;
      case pipe::FailureClass::kUser:
        return user;
      case pipe::FailureClass::kInfra:
        break;
    }
    return infra;
  }
};

// Asynchronous successive halving (Li et al., MLSys 2020), the variant that stops: a job that reaches a rung
// (first_rung, first_rung x eta, ... steps) goes on when its metric is among the best 1 / eta of those that have
// reached it so far.
struct EarlyStop {
  std::string metric;      // empty: never
  bool maximize = false;   // the best is the largest
  int64_t first_rung = 0;  // steps
  int eta = 3;
};

// When a sweep holds its queued jobs back.
struct FailurePolicy {
  bool canary = false;           // one job at a time until one has saved a checkpoint; none after a failure before that
  int max_failed_percent = 100;  // a larger share of the sweep's jobs FAILED holds the rest. 100: never
  int max_failed = -1;           // the same as a number of jobs; -1: never
};

struct ExpandedJob {
  std::string id;           // JobId(config): 32 hex digits
  std::string config_json;  // PrintJobConfig(config)
  JobConfig config;
  std::string experiment;
  std::string label;  // what varies within the experiment: "train.learning_rate=0.001 replica=1"; never empty
  int index = 0;      // position in the sweep, from 0
  int point = 0;      // position in the experiment, from 0; replicas of one point share it
};

struct ExpandedExperiment {
  std::string name;
  int points = 0;          // after exclude and include
  int jobs = 0;            // points x replicas
  std::string arithmetic;  // "learning_rate: 4 (train.learning_rate) x 2 replicas = 8 jobs"
  // The published values, as a JSON object: "source" (text) and, for each measure, a list with one number (or null) a
  // point. "{}" when the file has none.
  std::string paper_json;
};

struct ExpandedSweep {
  std::string name;
  // Every point of every experiment, in file order. Two entries may have one id (the default setting appears in several
  // experiments): it is trained once and belongs to both places.
  std::vector<ExpandedJob> jobs;
  std::vector<ExpandedExperiment> experiments;
  // For people: each entry whose id an earlier entry has, "batch_size train.global_batch_size=512 (as steps ...)".
  std::vector<std::string> duplicates;
  int devices = 1;     // that one job runs on
  int per_worker = 0;  // divides devices, which come in groups of so many, each on one worker; 0: all on one
  absl::Duration max_time = absl::Hours(24);
  RetryBudget retry;
  EarlyStop early_stop;
  FailurePolicy on_failure;
  absl::Duration stall;  // a trainer without a step for so long has failed; 0: the worker's own limit
  int max_parallel = 0;  // jobs of this sweep running at once; 0: no limit
  int max_jobs = 500;
  int priority = 0;  // larger first
};

// Errors: INVALID_ARGUMENT, with a line "file:line:column: what is wrong; the fix" for each fault, the first twenty
// (1-based; a file that cannot be read or is too large has no line). What holds between the values of a job is looked
// at once every file reads well, up to an experiment's first fault. Never throws. Work is bounded: 256 KiB and 10,000
// nodes a file, 8 files deep, and the jobs are counted against limits.max_jobs before any is made.
absl::StatusOr<ExpandedSweep> ExpandSweep(const SweepInput& input);

}  // namespace sink
