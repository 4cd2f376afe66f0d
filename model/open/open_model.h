// An open-weight model of a Hugging Face folder or a GGUF file, measured without ever being in memory: activations of
// all sequences pass through one layer after another, and only the weights of that layer are resident (of two layers on
// a device that computes by itself). fp32 on any device, whatever the files store, as the study measures (Gu et al.,
// ICLR 2025); or with the products of layers and of the head in bfloat16, activations still in fp32. Belongs to one
// thread; the operations use ATen's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "model/network/transformer.h"
#include "model/open/family.h"
#include "model/open/weight_files.h"
#include "proto/config/job_config.h"

namespace sink {

// Whether a path is for this engine: a GGUF file, or a folder of a family that it reads. Our own folders are for
// model_directory.h: their model_type is "sink", or "llama" in the one form that its reader takes (untied, in one file,
// without a scaling) and without the transformers_version that transformers leaves in all of its folders.
bool IsOpenModel(const std::filesystem::path& model);

// Called after each layer of a pass: layers done, of all.
using OnLayer = std::function<void(int64_t done, int64_t all)>;

class OpenModel {
 public:
  // Reads config.json and the headers of the weights, or a GGUF file's. ModelError, naming the file, on everything that
  // does not fit: after this the weights can only fail by an error of the disk. Without `head` none need be there, and
  // Loss must not be called.
  // `products`: float or bfloat16.
  explicit OpenModel(const std::filesystem::path& model, at::Device device = at::kCPU, bool head = true,
                     at::ScalarType products = at::kFloat);

  const OpenConfig& config() const { return config_; }
  // What a reader of the numbers should know about the files, a sentence each.
  const std::vector<std::string>& notes() const { return notes_; }
  // The sizes, as metrics want them; its variant is LLaMA's whatever the family.
  ModelConfig Sizes() const;
  int64_t parameters() const { return files_.elements(); }

  // One pass over tokens [N, T], int64, ids in the vocabulary, T <= max_positions where there are so many
  // (ModelError). The observer sees every
  // layer once for each group of sequences, the groups in order within a layer, and what the head reads (OnNormed)
  // last. Returns what the head reads, [N * T, E], E = embedding_size.
  at::Tensor Stream(const at::Tensor& tokens_NT, Observer& observer, const OnLayer& on_layer = {});

  // Mean cross-entropy of what Stream returned against targets [N, T]; the logits [N, T, V] too where they are wanted.
  // A part of the vocabulary at a time.
  double Loss(const at::Tensor& states_NE, const at::Tensor& targets_NT, at::Tensor* logits = nullptr);

 private:
  std::string Module(const std::string& name) const { return prefix_ + name; }
  void FindTables(bool head);
  void CheckWeights(bool head) const;
  at::Tensor Embed(const at::Tensor& tokens_NT) const;  // [N * T, C]

  at::Device device_;
  at::ScalarType products_;
  WeightFiles files_;
  OpenConfig config_;
  std::vector<std::string> notes_;
  std::string prefix_, embedding_, head_;  // names of tensors
};

}  // namespace sink
