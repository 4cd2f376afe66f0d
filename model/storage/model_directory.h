// Model directories (design.md section 4): config.json and model.safetensors, with Hugging Face's names and fields, so
// that a directory we write opens in transformers.AutoModelForCausalLM and one it writes opens here. Functions touch
// only the disk and the model given; any thread. ModelError names the file, and the tensor where there is one.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "model/network/transformer.h"

namespace sink {

// The configuration alone: missing, unreadable or unsupported config.json is an error.
ModelConfig LoadModelConfig(const std::filesystem::path& directory);

// Reads the parameters into the model. Every parameter must be there with its shape, and no other tensor may be.
void LoadParameters(const std::filesystem::path& directory, Transformer& model);

// Both: a model of the directory's configuration on the device.
Transformer LoadModel(const std::filesystem::path& directory, at::Device device, at::ScalarType dtype = at::kFloat);

// Writes both files into an existing directory; sync: returns when they are on the disk (the directory itself is the
// caller's to sync).
void SaveModel(const std::filesystem::path& directory, const Transformer& model, bool sync);
// The same of parameters by their names, wherever they are.
void SaveModel(const std::filesystem::path& directory, const ModelConfig& config,
               const std::map<std::string, at::Tensor>& parameters, bool sync);
// The parameters of a model by their names: views.
std::map<std::string, at::Tensor> NamedParameters(const Transformer& model);

}  // namespace sink
