#include "model/train/run/checkpoint.h"

#include <ATen/Context.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/base/or_throw.h"
#include "model/storage/model_directory.h"
#include "model/storage/tensor_file.h"
#include "model/train/link/train_error.h"
#include "proto/files/files.h"
#include "proto/files/hash.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Place = Json::json_pointer;

constexpr int kFormat = 1;
constexpr size_t kMaxStateBytes = 1 << 20;
constexpr char kOptimizerFile[] = "optimizer.state", kFormerOptimizerFile[] = "optimizer.safetensors";
constexpr char kStateFile[] = "trainer.json";
constexpr char kData[] = "data";  // in it; absent in checkpoints of older versions
// Absent in checkpoints from before there were roll-backs, whose configurations do not ask for them.
constexpr std::string_view kRunningLoss = "/running_loss", kRollBacks = "/roll_backs";
// Absent where they are a new run's, as in all checkpoints of older versions.
constexpr std::string_view kSequences = "/micro_batch/sequences", kParts = "/micro_batch/parts";

// Calls visit(place, field) for each field of a RunState; `place` is where the state's file has it.
template <typename Visitor, typename State>
void VisitFields(Visitor&& visit, State& state) {
  visit("/step", state.step);
  visit("/tokens", state.tokens);
  visit("/cursor/epoch", state.cursor.epoch);
  visit("/cursor/position", state.cursor.position);
  visit("/measured", state.measured);
  visit(kRunningLoss, state.running_loss);
  visit(kRollBacks, state.roll_backs);
  visit(kSequences, state.division.sequences);
  visit(kParts, state.division.parts);
}

// The random generators that operations on the device may draw from, by their names in the file.
std::map<std::string, at::Generator> Generators(at::Device device) {
  const at::Generator host = at::globalContext().defaultGenerator(at::kCPU);
  const at::Generator own = at::globalContext().defaultGenerator(device);
  std::map<std::string, at::Generator> generators = {{"rng.cpu", host}};
  if (own != host) generators["rng.device"] = own;
  return generators;
}

// Numbers that no run of this configuration can have would make it never end, or read beyond its data.
void CheckPlausible(const RunState& state, const JobConfig& config, const fs::path& folder) {
  constexpr int64_t kMostEpochs = int64_t{1} << 31, kMost = int64_t{1} << 62;
  const bool right = state.step >= 0 && state.step <= config.train.max_steps && state.tokens >= 0 &&
                     state.tokens < kMost && state.cursor.epoch >= 0 && state.cursor.epoch < kMostEpochs &&
                     state.cursor.position >= 0 && state.cursor.position < kMost && state.roll_backs >= 0 &&
                     state.division.sequences >= 0 && state.division.sequences <= config.train.global_batch_size &&
                     state.division.parts >= 1 && state.division.parts <= config.train.global_batch_size;
  if (!right)
    throw UserError((folder / kStateFile).string() +
                    ": step, tokens, cursor, roll_backs or micro_batch are not those of a run of " +
                    std::to_string(config.train.max_steps) + " steps; remove this checkpoint");
}

// A hash in hex as whole numbers that a double holds; zeros for none.
std::vector<double> WordsOf(const std::string& hash) {
  constexpr size_t kDigits = 8;
  std::vector<double> words(files::kHashDigits / kDigits);
  for (size_t i = 0; i < words.size() && hash.size() == files::kHashDigits; ++i)
    words[i] = static_cast<double>(std::stoul(hash.substr(i * kDigits, kDigits), nullptr, 16));
  return words;
}

}  // namespace

CheckpointContent ContentOf(const JobConfig& config, const Transformer& model, const Optimizer& optimizer,
                            const RunState& state, TokenizerFiles tokenizer, const std::string& data) {
  CheckpointContent content{config.model, NamedParameters(model), optimizer.State(), "", std::move(tokenizer)};
  for (const auto& [name, generator] : Generators(model.values().device()))
    content.optimizer[name] = generator.get_state();
  Json json = {{"format", kFormat}, {"config", JobId(config)}};
  if (!data.empty()) json[kData] = data;
  VisitFields(
      [&json](std::string_view place, const auto& field) {
        const bool is_new = (place == kSequences && field == 0) || (place == kParts && field == 1);
        if (!is_new) json[Place(std::string(place))] = field;
      },
      state);
  content.state = json.dump(1) + "\n";
  return content;
}

CheckpointContent Snapshot(const CheckpointContent& content) {
  CheckpointContent snapshot = content;
  for (auto* tensors : {&snapshot.parameters, &snapshot.optimizer})
    for (auto& [name, tensor] : *tensors) tensor = tensor.clone();
  return snapshot;
}

void WriteCheckpoint(const fs::path& folder, const CheckpointContent& content) {
  // The folder's owner syncs every file.
  SaveModel(folder, content.model, content.parameters, content.tokenizer.eos_id);
  for (const auto& [name, text] : content.tokenizer.content)
    OrThrow<InfraError>(files::WriteFile(folder / name, text, /*sync=*/false));
  WriteTensors(folder / kOptimizerFile, content.optimizer);
  OrThrow<InfraError>(files::WriteFile(folder / kStateFile, content.state, /*sync=*/false));
}

RunState ReadCheckpoint(const fs::path& folder, const JobConfig& config, Transformer& model, Optimizer& optimizer,
                        const std::string& data, const std::function<void(const std::string&)>& warn) {
  RunState state;
  try {
    const Json json = Json::parse(OrThrow<InfraError>(files::ReadFile(folder / kStateFile, kMaxStateBytes)));
    if (json.at("format") != kFormat)
      throw UserError(folder.string() + " was written by another version of sink-trainer; use that one, or start anew");
    if (json.at("config") != JobId(config))
      throw UserError(folder.string() + " belongs to a job with other settings (" + json.at("config").dump() +
                      ", this one is \"" + JobId(config) + "\"); use another run folder, or remove its checkpoints");
    const auto before = json.value(kData, std::string());
    if (before.empty() || data.empty())
      warn("whether data set " + config.data.set + " still holds what " + folder.string() +
           " was trained on cannot be told: " + (data.empty() ? "the set" : "the checkpoint") +
           " has no fingerprint; it is taken to");
    else if (before != data)
      throw InfraError(folder.string() + " was trained on data set " + config.data.set + " with the content " + before +
                       ", and what lies here under that name has the content " + data +
                       "; put the set back as it was, or begin anew in another run folder");
    VisitFields(
        [&json]<typename Field>(std::string_view place, Field& field) {
          const bool optional = place == kRunningLoss || place == kRollBacks || place == kSequences || place == kParts;
          if (!optional || json.contains(Place(std::string(place))))
            field = json.at(Place(std::string(place))).get<Field>();
        },
        state);
  } catch (const Json::exception& e) {
    throw UserError((folder / kStateFile).string() + ": " + e.what());
  }

  CheckPlausible(state, config, folder);
  LoadParameters(folder, model);
  const bool former = !fs::exists(folder / kOptimizerFile);
  const SafetensorsFile file(folder / (former ? kFormerOptimizerFile : kOptimizerFile));
  for (const auto& [name, tensor] : optimizer.State()) ReadTensorInto(file, name, tensor);
  // A checkpoint of another kind of device lacks some; nothing in training draws from them.
  for (auto& [name, generator] : Generators(model.values().device()))
    if (file.tensors().contains(name)) generator.set_state(ReadTensor(file, name));
  return state;
}

RunState ShareRunState(Ranks& ranks, at::Device device, const RunState& state) {
  for (auto& [name, generator] : Generators(device)) {
    const at::Tensor bytes = generator.get_state();
    ranks.Broadcast(bytes);
    generator.set_state(bytes);
  }
  // The others add zeros. Whole numbers up to 2^53 are exact.
  std::vector<double> values;
  VisitFields([&values](std::string_view, const auto& field) { values.push_back(static_cast<double>(field)); }, state);
  if (!ranks.first()) std::fill(values.begin(), values.end(), 0.0);
  values = ranks.Sum(values);
  RunState shared;
  VisitFields([value = values.begin()]<typename Field>(std::string_view,
                                                       Field& field) mutable { field = static_cast<Field>(*value++); },
              shared);
  return shared;
}

void ExpectSameData(Ranks& ranks, const std::string& set, const std::string& data) {
  const std::vector<double> own = WordsOf(data);
  std::vector<double> first = ranks.first() ? own : std::vector<double>(own.size());
  first = ranks.Sum(first);
  const std::vector<double> unknown(own.size());
  if (own == first || own == unknown || first == unknown) return;
  throw InfraError("data set " + set + " holds something else on rank " + std::to_string(ranks.rank()) +
                   " than on rank 0; give all workers of a job the same set");
}

}  // namespace sink::train
