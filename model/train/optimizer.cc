#include "model/train/optimizer.h"

#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "model/ops.h"

namespace sink::train {
namespace {

bool IsMatrixOfALayer(const Parameter& parameter) {
  const std::string& name = parameter.name;
  return parameter.value.dim() == 2 && name.starts_with("model.layers.") &&
         (name.ends_with("_proj.weight") || name.find(".feature_map.") != std::string::npos);
}

}  // namespace

Optimizer::Optimizer(const TrainConfig& config, const Transformer& model) : config_(config) {
  const std::span<const Parameter> all = model.parameters();
  const bool muon = config.optimizer == "muon";
  for (auto next = all.begin(); next != all.end();) {
    const auto end = muon ? std::find_if(next, all.end(), IsMatrixOfALayer) : all.end();
    if (next != end) AddRange(model, {next, end});
    next = end;
    for (; next != all.end() && IsMatrixOfALayer(*next); ++next) matrices_.emplace_back(*next);
  }
}

void Optimizer::AddRange(const Transformer& model, std::span<const Parameter> parameters) {
  const Parameter& last = parameters.back();
  const int64_t first = parameters.front().value.storage_offset() - model.values().storage_offset();
  const int64_t end = last.value.storage_offset() + last.value.numel() - model.values().storage_offset();
  const at::Tensor values = model.values().narrow(0, first, end - first);
  ranges_.push_back({.parameters = parameters,
                     .values = values,
                     .gradients = model.gradients().narrow(0, first, end - first),
                     .first_moment = at::zeros_like(values),
                     .second_moment = at::zeros_like(values)});
}

void Optimizer::Update(int64_t step, double learning_rate, double gradient_scale) {
  const kernels::AdamWStep adamw{.learning_rate = learning_rate,
                                 .beta1 = config_.beta1,
                                 .beta2 = config_.beta2,
                                 .epsilon = config_.epsilon,
                                 .weight_decay = config_.weight_decay,
                                 .step = step + 1,
                                 .gradient_scale = gradient_scale};
  for (const Range& range : ranges_)
    AdamWUpdate(adamw, range.gradients, range.values, range.first_moment, range.second_moment);

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
    const int64_t origin = range.values.storage_offset();
    for (const Parameter& parameter : range.parameters) {
      const auto view = [&](const at::Tensor& moment) {
        return moment.narrow(0, parameter.value.storage_offset() - origin, parameter.value.numel())
            .view(parameter.value.sizes());
      };
      state["m." + parameter.name] = view(range.first_moment);
      state["v." + parameter.name] = view(range.second_moment);
    }
  }
  for (const MuonMatrix& matrix : matrices_) state["momentum." + matrix.name()] = matrix.momentum();
  return state;
}

}  // namespace sink::train
