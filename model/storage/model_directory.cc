// Model directories.
#include "model/storage/model_directory.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>

#include "model/base/model_error.h"
#include "model/base/or_throw.h"
#include "model/storage/tensor_file.h"
#include "proto/config/hugging_face.h"
#include "proto/files/files.h"
#include "proto/run/modeling_sink.h"

namespace sink {
namespace {

constexpr char kConfigFile[] = "config.json";
constexpr char kParameterFile[] = "model.safetensors";
constexpr std::streamsize kMaxConfigBytes = 64 << 10;

std::string ReadText(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error))
    throw ModelError(path.string() + ": not a plain file");  // a named pipe would block
  std::ifstream in(path, std::ios::binary);
  if (!in) throw ModelError(path.string() + ": cannot open: " + std::strerror(errno));
  std::string text(kMaxConfigBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.gcount() > kMaxConfigBytes) throw ModelError(path.string() + ": over 64 KiB, not a model's configuration");
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

}  // namespace

ModelConfig LoadModelConfig(const std::filesystem::path& directory) {
  if (!std::filesystem::is_directory(directory)) throw ModelError(directory.string() + ": not a model directory");
  const ModelConfigResult result = ParseHuggingFaceConfig(ReadText(directory / kConfigFile));
  if (!result.config) throw ModelError(directory.string() + ": " + result.error);
  return *result.config;
}

void LoadParameters(const std::filesystem::path& directory, Transformer& model) {
  const SafetensorsFile file(directory / kParameterFile);
  std::set<std::string> known;
  for (const Parameter& parameter : model.parameters()) known.insert(parameter.name);
  for (const auto& [name, view] : file.tensors())
    if (!known.contains(name)) throw ModelError(file.name() + ": tensor \"" + name + "\" is not part of this model");
  for (const Parameter& parameter : model.parameters()) ReadTensorInto(file, parameter.name, parameter.value);
  model.RefreshCopies();
}

Transformer LoadModel(const std::filesystem::path& directory, at::Device device, at::ScalarType dtype) {
  Transformer model(LoadModelConfig(directory), device, dtype);
  LoadParameters(directory, model);
  return model;
}

void SaveModel(const std::filesystem::path& directory, const Transformer& model, std::optional<int64_t> eos_token_id) {
  SaveModel(directory, model.config(), NamedParameters(model), eos_token_id);
}

void SaveModel(const std::filesystem::path& directory, const ModelConfig& config,
               const std::map<std::string, at::Tensor>& parameters, std::optional<int64_t> eos_token_id) {
  WriteTensors(directory / kParameterFile, parameters);
  if (config.variant != VariantConfig())
    OrThrow<ModelError>(files::WriteFile(directory / run::kModelingSinkFile, run::kModelingSink, /*sync=*/false));
  OrThrow<ModelError>(
      files::WriteFile(directory / kConfigFile, PrintHuggingFaceConfig(config, eos_token_id), /*sync=*/false));
}

std::map<std::string, at::Tensor> NamedParameters(const Transformer& model) {
  std::map<std::string, at::Tensor> parameters;
  for (const Parameter& parameter : model.parameters()) parameters[parameter.name] = parameter.value;
  return parameters;
}

}  // namespace sink
