// Model directories (design.md section 4): config.json and model.safetensors, with Hugging Face's names and fields, so
// that a directory we write opens in transformers.AutoModelForCausalLM and one it writes opens here. A model that is no
// LLaMA brings its Python code, modeling_sink.py, which from_pretrained(..., trust_remote_code=True) runs. Functions
// touch only the disk and the model given; any thread. ModelError names the file, and the tensor where there is one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "model/network/transformer.h"

namespace sink {

// The configuration alone: missing, unreadable or unsupported config.json is an error.
ModelConfig LoadModelConfig(const std::filesystem::path& directory);

// Reads the parameters into the model. Every parameter must be there with its shape, and no other tensor may be.
void LoadParameters(const std::filesystem::path& directory, Transformer& model);

// Both: a model of the directory's configuration on the device.
Transformer LoadModel(const std::filesystem::path& directory, at::Device device, at::ScalarType dtype = at::kFloat);

// Writes the files into an existing directory; the caller syncs them and it. eos_token_id: what ends a text, for
// generate().
void SaveModel(const std::filesystem::path& directory, const Transformer& model,
               std::optional<int64_t> eos_token_id = std::nullopt);
// The same of parameters by their names, wherever they are.
void SaveModel(const std::filesystem::path& directory, const ModelConfig& config,
               const std::map<std::string, at::Tensor>& parameters, std::optional<int64_t> eos_token_id = std::nullopt);
// The parameters of a model by their names: views.
std::map<std::string, at::Tensor> NamedParameters(const Transformer& model);

}  // namespace sink
