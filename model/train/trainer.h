// A training run from its first step, or its newest checkpoint, to its end: Run() is the loop, Learner::Step the step.
// Everything belongs to the thread that calls Run(); the operations inside use config.train.threads threads of
// LibTorch.
//
// Divergence (divergence.h). With train.on_divergence "stop" the run fails. With "roll_back" it goes back to the newest
// checkpoint on disk, or to the initial model, and on with the data that follows the batches of the diverged step; the
// train.max_roll_backs + 1st divergence fails. A roll-back writes nothing. It is a function of the checkpoint, the
// configuration and the data, so a run that is killed after it and resumes from the same checkpoint diverges, counts
// and rolls back again in the same way and ends with the same bits; later checkpoints hold the count and the cursor
// moved on. (A checkpoint that `stop` or `checkpoint_now` adds between is a newer place to go back to: such a run may
// differ from one without.) Steps after the place gone back to are sent a second time: the coordinator keeps the value
// that came last for each name and step, so that readers see the run that went on, and of the abandoned stretch only
// what it has not reached again; those who follow live have seen both.
//
// Ranks. Each is a Trainer in a process with a run folder, events and commands of its own, and all take the same steps:
// together they train on the rows that one rank would train on, and each decides from numbers that all have. Rank 0
// alone measures, saves and loads; the others send no metrics, no heat maps and no checkpoints, and their folders hold
// none. What any rank is asked to do, all do, before the next step.
//
// Overlap. On a device with a queue of its own (model/backend/device_queue.h) the host works ahead: it reads the next
// batch while one is computed, begins a step before it knows the last one's loss (which the device checks itself, so
// that a step that diverges changes nothing, nor does the one begun after it), and writes a checkpoint from a copy
// while training goes on. Results, records and files are the same, but that a record of a step may be sent during the
// next one, and that of a checkpoint when it is on the disk. Steps wait for their results where train.loss_spike_factor
// needs the loss of the one before. Several ranks wait for their devices in every step all the same: for the sums of a
// step (NCCL's waits are blocking, so that a rank that is lost is found), and to agree whether to go on.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/backend/device_queue.h"
#include "model/data/loader/loader.h"
#include "model/train/learning/learner.h"
#include "model/train/link/event_sink.h"
#include "model/train/link/run_outcome.h"
#include "model/train/link/trainer_commands.h"
#include "model/train/measure/batch_feeder.h"
#include "model/train/measure/evaluator.h"
#include "model/train/ranks/ranks.h"
#include "model/train/run/background_save.h"
#include "model/train/run/checkpoint.h"
#include "model/train/run/folder_lock.h"
#include "model/train/run/job_file.h"
#include "model/train/run/saved_checkpoints.h"

namespace sink::train {

class Trainer {
 public:
  // Reads run_dir/job.json, meets the other ranks, opens the data and restores the newest complete checkpoint, if there
  // is one. UserError and data::DataError for what the user can put right, InfraError for the rest, StoppedBeforeStart
  // when it is asked to stop while it waits for the others. events and commands must outlive it.
  // For tests, `overlap`: on a CPU, too; `snapshot`: another for it; `write`: another for a checkpoint's files.
  using SnapshotFunction = CheckpointContent (*)(const CheckpointContent&);
  using WriteFunction = std::function<void(const std::filesystem::path& folder, const CheckpointContent&)>;
  Trainer(const std::filesystem::path& run_dir, EventSink& events, TrainerCommands& commands,
          const RankWorld& world = {}, bool overlap = false, SnapshotFunction snapshot = Snapshot,
          WriteFunction write = WriteCheckpoint);

  // Trains until max_steps are done or a stop is asked for; a checkpoint is complete on disk either way. NanError when
  // training diverges and may not roll back: the last checkpoint stays as it is. However it ends, the last Progress is
  // of the last step whose result is known.
  RunOutcome Run();

 private:
  // A step that was begun and whose result is not known.
  struct Running {
    BegunStep begun;
    int64_t step = 0, tokens = 0;  // before it
    data::Cursor after;            // its batches
  };

  RunOutcome TrainToEnd();
  void Start();
  void ReadTokenizer();
  void TrainStep();
  // Learns the results of the steps begun but for the last `but`: sends them, or handles a divergence, after which no
  // step is under way.
  void FinishSteps(size_t but = 0);
  // Step and tokens are again those before the steps under way; the feeder stays where it is.
  void GiveUpSteps();
  void Record(int64_t step, const StepResult& result);
  // The newest checkpoint, or step 0, into learner and state; the loader stays where it is.
  void Restore(const std::function<void(const std::string&)>& warn);
  // Rolls back; NanError when it may not.
  void OnDivergence(const StepResult& diverged, double limit);
  void Evaluate();
  bool Measure();
  void Save();
  void WriteCheckpointOf(const Optimizer& whole);
  // Whether there was the memory for a copy, from which a checkpoint is being written now.
  bool SaveBehind(const CheckpointContent& content);
  // Writes the content on a thread of its own, behind what is queued; the last save has been awaited.
  void BeginSave(const CheckpointContent& content);
  // Waits for the save under way, if there is one, and shows meanwhile that the run lives: however slow the disk is, a
  // trainer that saves does not look like one that hangs. Throws what the save threw.
  void AwaitSave();
  CheckpointRef Write(int64_t step, const CheckpointContent& content) const;
  void SendCheckpoint(const CheckpointRef& saved);
  void WarnOnce(bool& warned, const std::string& warning);
  bool EvaluationDue() const;
  bool CheckpointDue() const;
  void SendWarnings();
  std::optional<at::Tensor> NextBatch();
  void Tick();
  void SendProgress();

  // Constant after construction.
  EventSink& events_;
  TrainerCommands& commands_;
  const JobFile job_;
  const at::Device device_;
  const FolderLock lock_;
  const SavedCheckpoints checkpoints_;
  Ranks ranks_;

  const bool overlap_;
  const SnapshotFunction snapshot_;
  const WriteFunction write_;
  Learner learner_;
  std::optional<BatchFeeder> feeder_;   // always, when constructed
  std::optional<Evaluator> evaluator_;  // of rank 0
  TokenizerFiles tokenizer_;            // of rank 0, for checkpoints
  const std::string data_;              // what the data set holds; empty where that cannot be told
  RunState state_;                      // as if the steps under way had been done
  std::deque<Running> running_;
  SideQueue saves_;
  BackgroundSave saving_;               // before what it uses goes
  std::optional<CheckpointRef> saved_;  // the newest on disk; other ranks than 0 know its step alone
  bool warned_of_measuring_ = false, warned_of_saving_ = false;
  std::vector<std::string> warnings_;  // of the constructor, for Run to send after the first record

  // For Progress: what was trained since the window began. Measuring and saving start a new one.
  void StartWindow();
  std::chrono::steady_clock::time_point window_start_, last_progress_;
  int64_t window_tokens_ = 0;
  int64_t step_tokens_ = 0;  // of the step under way
  double tokens_per_second_ = 0;
};

}  // namespace sink::train
