#include "coordinator/cli/study/sweep_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "coordinator/cli/study/open_model_size.h"
#include "proto/config/model_flops.h"

namespace sink::cli {
namespace {

constexpr std::streamsize kMaxFileBytes = 256 * 1024 + 1;  // one more than ExpandSweep accepts, so that it can say so

std::string ReadAll(std::istream& in) {
  std::string text(kMaxFileBytes, '\0');
  in.read(text.data(), kMaxFileBytes);
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

// What a variant adds to LLaMA's tensors; those of the feed-forward block and of the gate are counted with the layers.
double AddedParameters(const ModelConfig& m) {
  constexpr double kBuckets = 32;  // of T5's position bias
  const VariantConfig& v = m.variant;
  const auto h = static_cast<double>(m.hidden_size), heads = static_cast<double>(m.num_attention_heads);
  const auto d = static_cast<double>(m.head_dim());
  double once = 0, layer = 0;
  if (v.position_embedding == PositionEmbedding::kLearnable) once += static_cast<double>(m.max_position_embeddings) * h;
  if (v.position_embedding == PositionEmbedding::kT5) once += kBuckets * heads;
  if (v.sink_token) once += h;
  if (v.norm_placement == NormPlacement::kSandwich) layer += 2 * h;
  if (v.key_bias != KeyBias::kNone) layer += heads * d;
  if (v.value_bias != ValueBias::kNone) layer += heads * d;
  if (v.sink_logit == SinkLogit::kLearned) layer += heads;
  if (v.qk_norm) layer += 2 * d;
  if (v.feature_map == FeatureMap::kMlp) layer += 2 * d * d;
  return once + static_cast<double>(m.num_hidden_layers) * layer;
}

// The files of a checkpoint, tokenizer aside: each tensor and its two moments, with their names, and what is beside
// them. `parameters`: of the model without what its variant adds; `matrices`: of a feed-forward block.
double CheckpointBytes(const ModelConfig& m, double parameters, double matrices) {
  constexpr double kCopies = 3, kBytesToName = 128;  // a tensor's place in a safetensors header takes some 115
  constexpr double kSmallFiles = 16 << 10;           // the state of a random generator is 5 KiB of it
  const bool is_llama = m.variant == VariantConfig();
  const double layers = static_cast<double>(m.num_hidden_layers);
  const double tensors = 3 + layers * (6 + matrices) + (is_llama ? 0 : 2 + 8 * layers);
  const double code = is_llama ? 0 : 24 << 10;  // modeling_sink.py
  return kCopies * (sizeof(float) * (parameters + AddedParameters(m)) + kBytesToName * tensors) + code + kSmallFiles;
}

bool SameJobs(const ExpandedSweep& a, const ExpandedSweep& b) {
  return a.name == b.name && a.priority == b.priority &&
         std::equal(a.jobs.begin(), a.jobs.end(), b.jobs.begin(), b.jobs.end(),
                    [](const ExpandedJob& x, const ExpandedJob& y) { return x.id == y.id; });
}

// What the gate of attention projects a hidden state to.
double GateOutputs(const ModelConfig& m) {
  switch (m.variant.attention_gate) {
    case AttentionGate::kHeadwise:
      return static_cast<double>(m.num_attention_heads);
    case AttentionGate::kElementwise:
      return static_cast<double>(m.hidden_size);
    case AttentionGate::kNone:
      break;
  }
  return 0;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return absl::InvalidArgumentError("it is a folder");
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(std::strerror(errno));
  std::string text = ReadAll(in);
  if (in.bad()) return absl::InvalidArgumentError("it cannot be read");
  return text;
}

std::string ProfilePath(const std::string& entry, const std::string& profile) {
  if (profile.find('/') != std::string::npos || profile.ends_with(".yaml")) return profile;
  return (std::filesystem::path(entry).parent_path() / "profiles" / (profile + ".yaml")).string();
}

absl::StatusOr<SweepFiles> LoadSweep(const std::string& entry, const std::vector<std::string>& profiles,
                                     const SweepChanges& changes, std::istream& in) {
  SweepFiles out;
  out.entry = entry;
  for (const std::string& profile : profiles) out.profiles.push_back(ProfilePath(entry, profile));
  if (entry == "-") {
    out.entry = "stdin";
    out.texts[out.entry] = ReadAll(in);
  }
  const auto read = [&out](const std::string& path) -> absl::StatusOr<std::string> {
    if (const auto known = out.texts.find(path); known != out.texts.end()) return known->second;
    auto text = ReadFile(path);
    if (text.ok()) out.texts[path] = *text;
    return text;
  };
  auto changed = CommandLineProfile(changes);
  if (!changed.ok()) return changed.status();
  if (changed->empty()) {
    auto sweep = ExpandSweep({out.entry, out.profiles, read});
    if (!sweep.ok()) return sweep.status();
    out.sweep = *std::move(sweep);
    return out;
  }
  const auto before = ExpandSweep({out.entry, out.profiles, read});
  out.texts[kCommandLineProfile] = *std::move(changed);
  out.profiles.push_back(kCommandLineProfile);
  auto sweep = ExpandSweep({out.entry, out.profiles, read});
  if (!sweep.ok()) return sweep.status();
  out.sweep = *std::move(sweep);
  out.changes_nothing = before.ok() && SameJobs(*before, out.sweep);
  return out;
}

JobCost Cost(const JobConfig& config) {
  const ModelConfig& m = config.model;
  const double h = static_cast<double>(m.hidden_size), layers = static_cast<double>(m.num_hidden_layers);
  const double kv = static_cast<double>(m.key_value_heads() * m.head_dim());
  const double embedding = static_cast<double>(m.vocab_size) * h;
  const VariantConfig& v = m.variant;
  const double matrices = v.ffn == Ffn::kNone ? 0 : IsGated(v.ffn) ? 3 : 2;  // of the feed-forward block
  const double layer =
      2 * h * h + 2 * h * kv + h * GateOutputs(m) + matrices * h * static_cast<double>(m.intermediate_size) + 2 * h;
  const double length = static_cast<double>(config.train.sequence_length);

  JobCost cost;
  if (config.kind == JobKind::kEvaluate) {
    cost.tokens = static_cast<double>(config.eval.sequences * config.eval.tokens);
    cost.parameters = ParametersByName(config.evaluate.model).value_or(0);
    cost.flops = cost.tokens * ForwardFlops(cost.parameters);
    return cost;
  }
  cost.parameters = 2 * embedding + layers * layer + h;  // the head is its own matrix
  cost.tokens = static_cast<double>(config.train.max_steps * config.train.global_batch_size) * length;
  cost.flops = cost.tokens * TrainingFlops(m, config.train.sequence_length).full;
  cost.checkpoint_bytes = CheckpointBytes(m, cost.parameters, matrices);
  return cost;
}

}  // namespace sink::cli
