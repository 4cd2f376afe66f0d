// What a checkpoint holds, inside the folder that saved_checkpoints.h makes safe:
//   config.json, model.safetensors, ...   a model directory, which transformers and sink-eval open as it is
//   tokenizer.json, ...                   the tokenizer of the set that it was trained on (set_tokenizer.h)
//   optimizer.state                       in safetensors' format, Optimizer::State(): moments and momentum; rng.*:
//                                         random generators. Loaders of models take every *.safetensors of a folder
//                                         for weights, so it is called otherwise; it once was optimizer.safetensors
//   trainer.json                          RunState, the id of the configuration, and what the data set held
//                                         (proto/run/set_fingerprint.h)
// Restoring it on the same kind of device continues the run to the last bit. Nothing in it depends on the number of
// ranks or on how they share the optimizer: rank 0 writes and reads it alone. Functions belong to the training thread
// but where they say otherwise.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "model/data/loader/loader.h"
#include "model/train/learning/micro_batch.h"
#include "model/train/learning/optimizer.h"
#include "model/train/ranks/ranks.h"
#include "model/train/run/set_tokenizer.h"
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
  Division division;
};

// What goes into the files.
struct CheckpointContent {
  ModelConfig model;
  std::map<std::string, at::Tensor> parameters, optimizer;  // on their device
  std::string state;                                        // trainer.json
  TokenizerFiles tokenizer;
};
// Of this moment; the optimizer is one of the whole model. The tensors are the run's own: the next step changes them.
// `data`: the fingerprint of the data set; empty where it is not known.
CheckpointContent ContentOf(const JobConfig& config, const Transformer& model, const Optimizer& optimizer,
                            const RunState& state, TokenizerFiles tokenizer = {}, const std::string& data = {});
// Copies of the tensors on their devices, so that training may go on.
CheckpointContent Snapshot(const CheckpointContent& content);

// Writes the files into an empty folder. Throws what the disk makes it throw. Any thread.
void WriteCheckpoint(const std::filesystem::path& folder, const CheckpointContent& content);

// Fills the model, the optimizer and the random generators. The files' bytes have been verified. UserError when the
// checkpoint is of a job with another configuration, or was written by another version of the program. InfraError when
// it was trained on other data than `data`, for another worker may have what it was trained on; where one of them is
// not known, `warn` hears of it.
RunState ReadCheckpoint(const std::filesystem::path& folder, const JobConfig& config, Transformer& model,
                        Optimizer& optimizer, const std::string& data,
                        const std::function<void(const std::string&)>& warn);

// Collective: gives rank 0's random generators to all ranks, and returns its `state`.
RunState ShareRunState(Ranks& ranks, at::Device device, const RunState& state);

// Collective: InfraError on a rank whose data set holds something else than rank 0's, where both are known.
void ExpectSameData(Ranks& ranks, const std::string& set, const std::string& data);

}  // namespace sink::train
