#include "model/open/open_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>
#include <set>
#include <vector>

#include "model/backend/device_queue.h"
#include "model/backend/product.h"
#include "model/base/model_error.h"
#include "model/open/config_reader.h"
#include "model/open/experts.h"
#include "model/open/gguf_model.h"
#include "model/open/layer_loader.h"
#include "model/open/rows.h"

namespace sink {
namespace {

constexpr int64_t kGroupRows = 1024;  // tokens that go through a layer together: bounds its activations
// Rows of states and of the head whose logits exist at a time: they stay in a processor's cache until they are summed.
constexpr int64_t kHeadRows = 1024, kHeadVocabulary = 2048;

bool EndsWithAny(const std::string& name, const std::vector<std::string>& ends) {
  return std::any_of(ends.begin(), ends.end(), [&](const std::string& end) { return name.ends_with(end); });
}

// The first of the prefixes under which the first layer's norm, or else its output projection, is there.
std::string FindPrefix(const OpenConfig& config, const WeightFiles& files) {
  const Family& family = *config.family;
  const std::string& module = family.input_norm.empty() ? family.output : family.input_norm;
  const std::string tensor = family.layers + "0." + module + ".weight";
  for (const std::string& prefix : family.prefixes)
    if (files.Has(prefix + tensor)) return prefix;
  throw ModelError(files.Where(family.prefixes[0] + tensor) +
                   " is not there, nor its name without a prefix; is this a model of type " + family.model_type + "?");
}

OpenConfig ReadConfig(const std::filesystem::path& model, const WeightFiles& files) {
  return files.gguf() != nullptr ? ReadGgufConfig(*files.gguf(), model.string()) : ReadOpenConfig(model);
}

// config.json first: what it lacks says more than what the weights lack.
const std::filesystem::path& Checked(const std::filesystem::path& model) {
  if (!IsGguf(model)) ReadOpenConfig(model);
  return model;
}

}  // namespace

bool IsOpenModel(const std::filesystem::path& model) {
  if (IsGguf(model)) return true;
  const ConfigReader reader = ConfigReader::Open(model);
  const std::string model_type = reader.TextOr("model_type", "");
  if (model_type == "sink") return false;
  if (model_type != "llama" || reader.Has("transformers_version")) return true;
  const bool sharded = !std::filesystem::exists(model / "model.safetensors");
  return sharded || !ParseHuggingFaceConfig(reader.Print()).config;
}

OpenModel::OpenModel(const std::filesystem::path& model, at::Device device, bool head, at::ScalarType products)
    : device_(device),
      products_(products),
      files_(Checked(model), device),
      config_(ReadConfig(model, files_)),
      prefix_(FindPrefix(config_, files_)) {
  FindTables(head);
  CheckWeights(head);
}

// A tied table is saved under either name, or both. Where both are there with other values, the head is what the file
// says, as transformers has it since version 5.
void OpenModel::FindTables(bool head) {
  embedding_ = Module(config_.family->embedding) + ".weight";
  head_ = config_.family->head + ".weight";
  if (!config_.tied) return;
  if (!files_.Has(embedding_) && files_.Has(head_)) embedding_ = head_;
  if (!files_.Has(head_)) head_ = embedding_;
  if (!head || head_ == embedding_) return;
  for (const std::string& table : {embedding_, head_})
    files_.Check(table, {config_.vocab_size, config_.embedding_size});
  if (files_.Equal(embedding_, head_)) return;
  notes_.push_back("the head is to be tied to the embeddings, but " + files_.Where(head_) +
                   " holds other values, which are used (transformers before version 5 used the embeddings)");
}

void OpenModel::CheckWeights(bool head) const {
  const Family& family = *config_.family;
  std::vector<ExpectedTensor> expected = {{embedding_, {config_.vocab_size, config_.embedding_size}}};
  if (head || files_.Has(head_)) {
    if (!files_.Has(head_))
      throw ModelError(files_.Where(head_) +
                       " is not there: a base model without a head has no loss; measure it with "
                       "--no-loss");
    expected.push_back({head_, {config_.vocab_size, config_.embedding_size}});
    if (config_.head_bias) expected.push_back({family.head + ".bias", {config_.vocab_size}});
  }
  if (!family.positions.empty())
    expected.push_back(
        {Module(family.positions) + ".weight", {config_.max_positions + family.position_offset, config_.hidden_size}});
  if (config_.projected() && family.project_in.empty())
    throw ModelError(files_.Where(embedding_) + ": this family does not project its embeddings");
  if (config_.projected()) {
    expected.push_back({Module(family.project_in) + ".weight", {config_.hidden_size, config_.embedding_size}});
    expected.push_back({Module(family.project_out) + ".weight", {config_.embedding_size, config_.hidden_size}});
  }
  const auto norm = [&](const std::string& name) {
    expected.push_back({Module(name) + ".weight", {config_.hidden_size}});
    if (family.norm == NormKind::kLayerNorm && family.norm_bias)
      expected.push_back({Module(name) + ".bias", {config_.hidden_size}});
  };
  if (config_.final_norm) norm(family.final_norm);
  if (!family.embedding_norm.empty()) norm(family.embedding_norm);
  for (int64_t n = 0; n < config_.layers; ++n)
    for (ExpectedTensor& tensor : ExpectedOfLayer(config_, prefix_, n)) expected.push_back(std::move(tensor));
  std::set<std::string> names;
  for (const ExpectedTensor& tensor : expected) {
    files_.Check(tensor.name, tensor.shape, tensor.kind);
    names.insert(tensor.name);
  }
  files_.CheckAll([&](const std::string& name) { return names.contains(name) || EndsWithAny(name, family.buffers); });
}

ModelConfig OpenModel::Sizes() const {
  ModelConfig sizes;
  sizes.hidden_size = config_.hidden_size;
  sizes.intermediate_size = config_.intermediate_size;
  sizes.num_hidden_layers = config_.layers;
  sizes.num_attention_heads = config_.heads;
  sizes.num_key_value_heads = config_.key_value_heads;
  sizes.vocab_size = config_.vocab_size;
  if (!config_.family->sinks.empty()) sizes.variant.sink_logit = SinkLogit::kLearned;
  return sizes;
}

at::Tensor OpenModel::Embed(const at::Tensor& tokens_NT) const {
  const Family& family = *config_.family;
  const int64_t length = tokens_NT.size(1);
  at::Tensor x = files_.GatherRows(embedding_, tokens_NT.reshape({-1}));
  if (config_.embedding_scale != 1) x.mul_(config_.embedding_scale);
  if (config_.projected()) x = at::linear(x, files_.Read(Module(family.project_in) + ".weight"));
  if (!family.positions.empty()) {
    const at::Tensor rows = files_.ReadRows(Module(family.positions) + ".weight", family.position_offset, length);
    x = (x.view({-1, length, config_.hidden_size}) + rows).view({-1, config_.hidden_size});
  }
  if (!family.embedding_norm.empty())
    x = ApplyNorm(config_, LoadNorm(files_, config_, Module(family.embedding_norm)), x);
  files_.Release();
  return x;
}

at::Tensor OpenModel::Stream(const at::Tensor& tokens_NT, Observer& observer, const OnLayer& on_layer) {
  const at::NoGradGuard no_gradients;
  if (tokens_NT.dim() != 2 || tokens_NT.numel() == 0 || tokens_NT.scalar_type() != at::kLong)
    throw ModelError("tokens must be a matrix of 64-bit integers, a sequence a row");
  const int64_t count = tokens_NT.size(0), length = tokens_NT.size(1);
  if (config_.max_positions > 0 && length > config_.max_positions)
    throw ModelError("sequences of " + std::to_string(length) + " tokens, but the model has " +
                     std::to_string(config_.max_positions) + " positions");
  if (tokens_NT.min().item<int64_t>() < 0 || tokens_NT.max().item<int64_t>() >= config_.vocab_size)
    throw ModelError("a token id is outside the vocabulary of " + std::to_string(config_.vocab_size));
  const int64_t group = std::max<int64_t>(1, kGroupRows / length);
  const auto for_groups = [&](const auto& body) {  // body(rows of the group, its sequences)
    for (int64_t first = 0; first < count; first += group) {
      const int64_t sequences = std::min(group, count - first);
      body(first * length, sequences);
    }
  };
  const at::Tensor x_NC = Embed(tokens_NT);
  const auto view = [&](const at::Tensor& rows_NC, int64_t sequences) {
    return rows_NC.view({sequences, length, config_.hidden_size});
  };
  for_groups([&](int64_t row, int64_t sequences) {
    observer.OnHidden(0, view(x_NC.narrow(0, row, sequences * length), sequences));
  });
  const PositionTables positions = TablesOf(config_, length, device_);
  LayerLoader loader(files_, config_, prefix_, device_, products_, /*ahead=*/HasQueue(device_));
  for (int64_t n = 0; n < config_.layers; ++n) {
    const OpenLayer layer = loader.Take(n);
    for_groups([&](int64_t row, int64_t sequences) {
      RunLayer(config_, layer, config_.kinds[static_cast<size_t>(n)], positions,
               x_NC.narrow(0, row, sequences * length), sequences, length,
               [&](const AttentionView& attention) { observer.OnAttention(n, attention); });
      if (config_.expert_kind == ExpertKind::kNone)
        observer.OnHidden(n + 1, view(x_NC.narrow(0, row, sequences * length), sequences));
    });
    if (config_.expert_kind != ExpertKind::kNone) {  // all tokens pass through an expert while it is there
      RunExperts(files_, config_, LayerPrefix(config_, prefix_, n), layer, x_NC);
      for_groups([&](int64_t row, int64_t sequences) {
        observer.OnHidden(n + 1, view(x_NC.narrow(0, row, sequences * length), sequences));
      });
    }
    files_.Release();
    if (on_layer) on_layer(n + 1, config_.layers);
  }
  const Family& family = *config_.family;
  Affine norm, project;
  if (config_.final_norm) norm = LoadNorm(files_, config_, Module(family.final_norm));
  if (config_.projected()) project.weight = files_.Read(Module(family.project_out) + ".weight");
  // In the memory of the residual stream, where the head reads rows of that width.
  const at::Tensor states =
      config_.projected() ? at::empty({count * length, config_.embedding_size}, x_NC.options()) : x_NC;
  for_groups([&](int64_t row, int64_t sequences) {
    const at::Tensor rows_NE = ApplyLinear(project, ApplyNorm(config_, norm, x_NC.narrow(0, row, sequences * length)));
    observer.OnNormed(rows_NE.view({sequences, length, config_.embedding_size}));
    states.narrow(0, row, sequences * length).copy_(rows_NE);
  });
  files_.Release();
  return states;
}

double OpenModel::Loss(const at::Tensor& states_NE, const at::Tensor& targets_NT, at::Tensor* logits) {
  const at::NoGradGuard no_gradients;
  const int64_t rows = states_NE.size(0), vocabulary = config_.vocab_size;
  const at::Tensor target_N = targets_NT.reshape({-1}).contiguous();
  if (target_N.size(0) != rows || target_N.min().item<int64_t>() < 0 || target_N.max().item<int64_t>() >= vocabulary)
    throw ModelError("the targets are not the states', or outside the vocabulary of " + std::to_string(vocabulary));
  if (logits != nullptr) *logits = at::empty({rows, vocabulary}, states_NE.options().device(at::kCPU));
  const at::Tensor target = target_N.to(device_);
  const at::Tensor log_sum_N = at::full({rows}, -std::numeric_limits<double>::infinity(), states_NE.options());
  const at::Tensor logit_N = at::zeros({rows}, states_NE.options());  // of the target
  at::Tensor bias;
  if (config_.head_bias) bias = files_.Read(config_.family->head + ".bias");
  const at::Tensor buffer = at::empty({kHeadRows * kHeadVocabulary}, states_NE.options());
  for (int64_t v = 0; v < vocabulary; v += kHeadVocabulary) {
    const int64_t width = std::min(kHeadVocabulary, vocabulary - v);
    const at::Tensor head_VE = files_.ReadRows(head_, v, width).to(products_);
    const at::Tensor bias_V = bias.defined() ? bias.narrow(0, v, width) : bias;
    for (int64_t first = 0; first < rows; first += kHeadRows) {
      const int64_t count = std::min(kHeadRows, rows - first);
      at::Tensor block = buffer.narrow(0, 0, count * width).view({count, width});
      ProductInto(states_NE.narrow(0, first, count), head_VE, block);
      if (bias_V.defined()) block.add_(bias_V);
      if (config_.logit_scale != 1) block.mul_(config_.logit_scale);
      if (config_.logit_cap != 0) block.div_(config_.logit_cap).tanh_().mul_(config_.logit_cap);
      AddToLogSum(block, log_sum_N.narrow(0, first, count));
      const at::Tensor place = target.narrow(0, first, count) - v;
      const at::Tensor logit = block.gather(1, place.clamp(0, width - 1).unsqueeze(1)).squeeze(1);
      logit_N.narrow(0, first, count) += logit.masked_fill(place.lt(0).logical_or(place.ge(width)), 0);
      if (logits != nullptr) logits->narrow(0, first, count).narrow(1, v, width).copy_(block);
    }
    files_.Release();
  }
  if (logits != nullptr) *logits = logits->view({targets_NT.size(0), targets_NT.size(1), vocabulary});
  return (log_sum_N.to(at::kDouble) - logit_N).mean().item<double>();
}

}  // namespace sink
