// What a checkpoint holds, inside the folder that checkpoint_folder.h makes safe:
//   config.json, model.safetensors        a model directory, which transformers and sink-eval open as it is
//   optimizer.safetensors                 Optimizer::State(): moments and momentum; rng.*: random generators
//   trainer.json                          RunState and the id of the configuration
// Restoring it continues the run to the last bit. Functions belong to the training thread.
#pragma once

#include <cstdint>
#include <filesystem>

#include "model/data/loader.h"
#include "model/train/learner.h"
#include "proto/config/job_config.h"

namespace sink::train {

// Where a run stands, between two steps.
struct RunState {
  int64_t step = 0;    // optimizer steps done
  int64_t tokens = 0;  // tokens trained on
  data::Cursor cursor;
  bool measured = false;    // the measurements due at this step have been sent
  double running_loss = 0;  // divergence.h
  int64_t roll_backs = 0;   // of the job until here
};

// Writes the four files into an empty folder. Throws what the disk makes it throw.
void WriteCheckpoint(const std::filesystem::path& folder, const JobConfig& config, Learner& learner,
                     const RunState& state);

// Fills the learner and the random generators. The files' bytes have been verified. UserError when the checkpoint is of
// a job with another configuration, or was written by another version of the program.
RunState ReadCheckpoint(const std::filesystem::path& folder, const JobConfig& config, Learner& learner);

}  // namespace sink::train
