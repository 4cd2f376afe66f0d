// A training run from its first step, or its newest checkpoint, to its end: Run() is the loop, Learner::Step the step.
// Everything belongs to the thread that calls Run(); the operations inside use config.train.threads threads of
// LibTorch.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "model/data/loader.h"
#include "model/train/checkpoint.h"
#include "model/train/checkpoint_folder.h"
#include "model/train/commands.h"
#include "model/train/evaluator.h"
#include "model/train/event_sink.h"
#include "model/train/files.h"
#include "model/train/job_file.h"
#include "model/train/learner.h"

namespace sink::train {

enum class Outcome { kFinished, kStopped };

class Trainer {
 public:
  // Reads run_dir/job.json, opens the data and restores the newest complete checkpoint, if there is one. UserError and
  // data::DataError for what the user can put right, InfraError for the rest. events and commands must outlive it.
  Trainer(const std::filesystem::path& run_dir, EventSink& events, Commands& commands);

  // Trains until max_steps are done or a stop is asked for; a checkpoint is complete on disk either way. NanError when
  // training diverges: the last checkpoint stays as it is.
  Outcome Run();

 private:
  void Start();
  void TrainStep();
  void Evaluate();
  void Save();
  bool EvaluationDue() const;
  bool CheckpointDue();
  std::optional<at::Tensor> NextBatch();
  void Tick();

  // Constant after construction.
  EventSink& events_;
  Commands& commands_;
  const JobFile job_;
  const at::Device device_;
  const FolderLock lock_;
  const CheckpointFolder checkpoints_;

  data::Loader loader_;
  Learner learner_;
  Evaluator evaluator_;
  RunState state_;
  std::optional<CheckpointRef> saved_;  // the newest on disk
  std::vector<std::string> warnings_;   // of the constructor, for Run to send after the first record

  // For Progress: what was trained since the window began. Measuring and saving start a new one.
  void StartWindow();
  std::chrono::steady_clock::time_point window_start_, last_progress_;
  int64_t window_tokens_ = 0;
  int64_t step_tokens_ = 0;  // of the step under way
  double tokens_per_second_ = 0;
};

}  // namespace sink::train
