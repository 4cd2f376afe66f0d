// An open-weight model of a Hugging Face folder, measured without ever being in memory: activations of all sequences
// pass through one layer after another, and only the weights of that layer are resident. fp32 on any device, whatever
// the files store, as the study measures (Gu et al., ICLR 2025). Belongs to one thread; the operations use ATen's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "model/network/transformer.h"
#include "model/open/family.h"
#include "model/open/weight_files.h"
#include "proto/config/job_config.h"

namespace sink {

// Called after each layer of a pass: layers done, of all.
using OnLayer = std::function<void(int64_t done, int64_t all)>;

class OpenModel {
 public:
  // Reads config.json and the headers of the weights. ModelError, naming the file, on everything that does not fit:
  // after this the weights can only fail by an error of the disk.
  explicit OpenModel(const std::filesystem::path& directory, at::Device device = at::kCPU);

  const OpenConfig& config() const { return config_; }
  // The sizes, as metrics want them; its variant is LLaMA's whatever the family.
  ModelConfig Sizes() const;
  int64_t parameters() const { return files_.elements(); }

  // One pass over tokens [N, T], int64, ids in the vocabulary, T <= max_positions (ModelError). The observer sees every
  // layer once for each group of sequences, the groups in order within a layer, and what the head reads (OnNormed)
  // last. Returns what the head reads, [N * T, E], E = embedding_size.
  at::Tensor Stream(const at::Tensor& tokens_NT, Observer& observer, const OnLayer& on_layer = {});

  // Mean cross-entropy of what Stream returned against targets [N, T]; the logits [N, T, V] too where they are wanted.
  // A part of the vocabulary at a time.
  double Loss(const at::Tensor& states_NE, const at::Tensor& targets_NT, at::Tensor* logits = nullptr);

 private:
  std::string Module(const std::string& name) const { return prefix_ + name; }
  void CheckWeights() const;
  at::Tensor Embed(const at::Tensor& tokens_NT) const;  // [N * T, C]

  OpenConfig config_;
  at::Device device_;
  WeightFiles files_;
  std::string prefix_, embedding_, head_;  // names of tensors
};

}  // namespace sink
