#include "model/train/run/checkpoint.h"

#include <ATen/Context.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/base/or_throw.h"
#include "model/storage/model_directory.h"
#include "model/storage/tensor_file.h"
#include "model/train/link/train_error.h"
#include "proto/files/files.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kFormat = 1;
constexpr size_t kMaxStateBytes = 1 << 20;
constexpr char kOptimizerFile[] = "optimizer.safetensors";
constexpr char kStateFile[] = "trainer.json";

// The random generators that operations on the device may draw from, by their names in the file.
std::map<std::string, at::Generator> Generators(at::Device device) {
  std::map<std::string, at::Generator> generators = {{"rng.cpu", at::globalContext().defaultGenerator(at::kCPU)}};
  if (!device.is_cpu()) generators["rng.device"] = at::globalContext().defaultGenerator(device);
  return generators;
}

}  // namespace

void WriteCheckpoint(const fs::path& folder, const JobConfig& config, const Transformer& model,
                     const Optimizer& optimizer, const RunState& state) {
  SaveModel(folder, model, /*sync=*/false);  // the folder's owner syncs every file
  std::map<std::string, at::Tensor> tensors = optimizer.State();
  for (const auto& [name, generator] : Generators(model.values().device())) tensors[name] = generator.get_state();
  WriteTensors(folder / kOptimizerFile, tensors, /*sync=*/false);
  const Json json = {{"format", kFormat},
                     {"config", JobId(config)},
                     {"step", state.step},
                     {"tokens", state.tokens},
                     {"cursor", {{"epoch", state.cursor.epoch}, {"position", state.cursor.position}}},
                     {"measured", state.measured},
                     {"running_loss", state.running_loss},
                     {"roll_backs", state.roll_backs}};
  OrThrow<InfraError>(files::WriteFile(folder / kStateFile, json.dump(1) + "\n", /*sync=*/false));
}

RunState ReadCheckpoint(const fs::path& folder, const JobConfig& config, Transformer& model, Optimizer& optimizer) {
  RunState state;
  try {
    const Json json = Json::parse(OrThrow<InfraError>(files::ReadFile(folder / kStateFile, kMaxStateBytes)));
    if (json.at("format") != kFormat)
      throw UserError(folder.string() + " was written by another version of sink-trainer; use that one, or start anew");
    if (json.at("config") != JobId(config))
      throw UserError(folder.string() + " belongs to a job with other settings (" + json.at("config").dump() +
                      ", this one is \"" + JobId(config) + "\"); use another run folder, or remove its checkpoints");
    state = {.step = json.at("step").get<int64_t>(),
             .tokens = json.at("tokens").get<int64_t>(),
             .cursor = {.epoch = json.at("cursor").at("epoch").get<int64_t>(),
                        .position = json.at("cursor").at("position").get<int64_t>()},
             .measured = json.at("measured").get<bool>(),
             // Absent in checkpoints from before there were roll-backs, whose configurations do not ask for them.
             .running_loss = json.value("running_loss", 0.0),
             .roll_backs = json.value("roll_backs", int64_t{0})};
  } catch (const Json::exception& e) {
    throw UserError((folder / kStateFile).string() + ": " + e.what());
  }

  LoadParameters(folder, model);
  const SafetensorsFile file(folder / kOptimizerFile);
  for (const auto& [name, tensor] : optimizer.State()) ReadTensorInto(file, name, tensor);
  for (auto& [name, generator] : Generators(model.values().device())) generator.set_state(ReadTensor(file, name));
  return state;
}

RunState ShareRunState(Ranks& ranks, at::Device device, const RunState& state) {
  for (auto& [name, generator] : Generators(device)) {
    const at::Tensor bytes = generator.get_state();
    ranks.Broadcast(bytes);
    generator.set_state(bytes);
  }
  // The others add zeros. Whole numbers up to 2^53 are exact.
  std::vector<double> values = {static_cast<double>(state.step),
                                static_cast<double>(state.tokens),
                                static_cast<double>(state.cursor.epoch),
                                static_cast<double>(state.cursor.position),
                                state.measured ? 1.0 : 0.0,
                                state.running_loss,
                                static_cast<double>(state.roll_backs)};
  if (!ranks.first()) std::fill(values.begin(), values.end(), 0.0);
  values = ranks.Sum(values);
  const auto whole = [&](size_t i) { return static_cast<int64_t>(values[i]); };
  return {.step = whole(0),
          .tokens = whole(1),
          .cursor = {.epoch = whole(2), .position = whole(3)},
          .measured = values[4] != 0,
          .running_loss = values[5],
          .roll_backs = whole(6)};
}

}  // namespace sink::train
