#include "model/train/learning/optimizer.h"

#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "model/network/operations.h"

namespace sink::train {
namespace {

constexpr int64_t kAlignment = 64;  // of the parts, in elements: of a cache line and more

// Whether the matrices of the layers have an optimizer of their own.
bool IsMuon(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::kMuon:
      return true;
    case OptimizerKind::kAdamw:
      break;
  }
  return false;
}

bool IsMatrixOfALayer(const Parameter& parameter) {
  const std::string& name = parameter.name;
  return parameter.value.dim() == 2 && name.starts_with("model.layers.") &&
         (name.ends_with("_proj.weight") || name.find(".feature_map.") != std::string::npos);
}

// The model's vectors start at the start of their storage.
Part PartOf(const Parameter& parameter) {
  const int64_t begin = parameter.value.storage_offset();
  return {begin, begin + parameter.value.numel()};
}

Part Common(const Part& a, const Part& b) {
  const int64_t begin = std::max(a.begin, b.begin);
  return {begin, std::max(begin, std::min(a.end, b.end))};
}

bool IsEmpty(const Part& part) { return part.begin == part.end; }

}  // namespace

Part WholeOf(const Transformer& model) { return {0, model.values().numel()}; }

Part PartOf(const TrainConfig& config, const Transformer& model, int rank, int ranks) {
  const int64_t total = model.values().numel();
  const auto boundary = [&](int64_t number) {
    if (number == ranks) return total;
    const int64_t even = total / ranks * number / kAlignment * kAlignment;
    if (!IsMuon(config.optimizer)) return even;
    for (const Parameter& parameter : model.parameters())
      if (const Part part = PartOf(parameter); IsMatrixOfALayer(parameter) && part.begin < even && even < part.end)
        return part.begin;
    return even;
  };
  return {boundary(rank), boundary(rank + 1)};
}

Optimizer::Optimizer(const TrainConfig& config, const Transformer& model, const Part& part)
    : config_(config), part_(part) {
  const std::span<const Parameter> all = model.parameters();
  const bool muon = IsMuon(config.optimizer);
  for (auto next = all.begin(); next != all.end();) {
    const auto end = muon ? std::find_if(next, all.end(), IsMatrixOfALayer) : all.end();
    if (next != end) AddRange(model, {next, end});
    next = end;
    for (; next != all.end() && IsMatrixOfALayer(*next); ++next)
      if (!IsEmpty(Common(PartOf(*next), part_))) matrices_.emplace_back(*next);
  }
}

void Optimizer::AddRange(const Transformer& model, std::span<const Parameter> parameters) {
  const Part part = Common({PartOf(parameters.front()).begin, PartOf(parameters.back()).end}, part_);
  if (IsEmpty(part)) return;
  const auto of = [&](const at::Tensor& buffer) {
    return buffer.defined() ? buffer.narrow(0, part.begin, part.end - part.begin) : at::Tensor();
  };
  const at::Tensor values = of(model.values());
  ranges_.push_back({.parameters = parameters,
                     .part = part,
                     .buffers = {.gradient = of(model.gradients()),
                                 .value = values,
                                 .first_moment = at::zeros_like(values),
                                 .second_moment = at::zeros_like(values),
                                 .copy = of(model.copies())}});
}

void Optimizer::Update(int64_t step, double learning_rate, const at::Tensor& gradient_scale) {
  const kernels::AdamWStep adamw{.learning_rate = learning_rate,
                                 .beta1 = config_.beta1,
                                 .beta2 = config_.beta2,
                                 .epsilon = config_.epsilon,
                                 .weight_decay = config_.weight_decay,
                                 .step = step + 1};
  for (const Range& range : ranges_) AdamWUpdate(adamw, range.buffers, gradient_scale);

  const double schedule = config_.learning_rate > 0 ? learning_rate / config_.learning_rate : 0;
  const MuonStep muon{.learning_rate = config_.muon_learning_rate * schedule,
                      .momentum = config_.muon_momentum,
                      .weight_decay = config_.weight_decay,
                      .gradient_scale = gradient_scale};
  for (MuonMatrix& matrix : matrices_) matrix.Update(muon);
}

std::map<std::string, at::Tensor> Optimizer::State() const {
  std::map<std::string, at::Tensor> state;
  for (const Range& range : ranges_) {
    for (const Parameter& parameter : range.parameters) {
      const auto view = [&](const at::Tensor& moment) {
        return moment.narrow(0, PartOf(parameter).begin - range.part.begin, parameter.value.numel())
            .view(parameter.value.sizes());
      };
      state["m." + parameter.name] = view(range.buffers.first_moment);
      state["v." + parameter.name] = view(range.buffers.second_moment);
    }
  }
  for (const MuonMatrix& matrix : matrices_) state["momentum." + matrix.parameter().name] = matrix.momentum();
  return state;
}

std::vector<at::Tensor> Optimizer::StateOf(const Part& part) const {
  std::vector<at::Tensor> state;
  for (const Range& range : ranges_) {
    const Part common = Common(range.part, part);
    if (IsEmpty(common)) continue;
    for (const at::Tensor& moment : {range.buffers.first_moment, range.buffers.second_moment})
      state.push_back(moment.narrow(0, common.begin - range.part.begin, common.end - common.begin));
  }
  for (const MuonMatrix& matrix : matrices_)
    if (!IsEmpty(Common(PartOf(matrix.parameter()), part))) state.push_back(matrix.momentum());
  return state;
}

}  // namespace sink::train
