#include "model/open/experts.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/softmax.h>

#include <algorithm>

#include "model/backend/product.h"
#include "model/open/rows.h"
#include "model/storage/mxfp4.h"

namespace sink {
namespace {

constexpr int64_t kMaxRows = 2048;            // that pass through an expert together: bounds its activations
constexpr double kLimit = 7, kSlope = 1.702;  // of gpt-oss

std::string ExpertModule(const OpenConfig& config, const std::string& at_layer, int64_t expert) {
  return at_layer + config.family->experts + "." + std::to_string(expert) + ".";
}

struct Expert {
  at::Tensor gate_FC, up_FC;                                 // kSeparate
  at::Tensor gate_up_2FC, gate_up_bias, down_CF, down_bias;  // kMerged
};

Expert LoadExpert(const WeightFiles& files, const OpenConfig& config, const std::string& at_layer, int64_t n,
                  at::ScalarType products) {
  Expert expert;
  if (config.expert_kind == ExpertKind::kSeparate) {
    const std::string module = ExpertModule(config, at_layer, n);
    expert.gate_FC = files.Read(module + "w1.weight").to(products);
    expert.up_FC = files.Read(module + "w3.weight").to(products);
    expert.down_CF = files.Read(module + "w2.weight").to(products);
    return expert;
  }
  const std::string module = at_layer + config.family->experts + ".";
  const auto part = [&](const char* name) { return files.ReadRows(module + name, n, 1).squeeze(0); };
  const auto matrix = [&](const char* name) {
    return (config.experts_in_mxfp4 ? files.ReadMxfp4Matrix(module + name, n) : part(name).t()).to(products);
  };
  expert.gate_up_2FC = matrix("gate_up_proj");
  expert.gate_up_bias = part("gate_up_proj_bias");
  expert.down_CF = matrix("down_proj");
  expert.down_bias = part("down_proj_bias");
  return expert;
}

at::Tensor Apply(const OpenConfig& config, const Expert& expert, const at::Tensor& x_NC) {
  if (config.expert_kind == ExpertKind::kSeparate) {
    const at::Tensor inner = Product(x_NC, expert.gate_FC);
    ActivateRows(config.activation, {}, inner);
    return Product(inner.mul_(Product(x_NC, expert.up_FC)), expert.down_CF);
  }
  const at::Tensor both = Product(x_NC, expert.gate_up_2FC, expert.gate_up_bias);
  const at::Tensor gate = both.slice(1, 0, both.size(1), 2).clamp_max(kLimit);
  const at::Tensor up = both.slice(1, 1, both.size(1), 2).clamp(-kLimit, kLimit);
  return Product((up + 1) * gate * (gate * kSlope).sigmoid(), expert.down_CF, expert.down_bias);
}

}  // namespace

std::vector<ExpectedTensor> ExpectedOfExperts(const OpenConfig& config, const std::string& at_layer) {
  const int64_t hidden = config.hidden_size, inner = config.intermediate_size, count = config.experts;
  std::vector<ExpectedTensor> tensors;
  if (config.expert_kind == ExpertKind::kSeparate)
    for (int64_t n = 0; n < count; ++n) {
      const std::string module = ExpertModule(config, at_layer, n);
      tensors.push_back({module + "w1.weight", {inner, hidden}});
      tensors.push_back({module + "w3.weight", {inner, hidden}});
      tensors.push_back({module + "w2.weight", {hidden, inner}});
    }
  if (config.expert_kind == ExpertKind::kMerged) {
    const std::string module = at_layer + config.family->experts + ".";
    const auto matrices = [&](const char* name, int64_t out, int64_t in) {
      if (!config.experts_in_mxfp4) return tensors.push_back({module + name, {count, in, out}});
      const int64_t blocks = in / kMxfp4Values;
      tensors.push_back({module + name + "_blocks", {count, out, blocks, kMxfp4Bytes}, TensorKind::kBytes});
      tensors.push_back({module + name + "_scales", {count, out, blocks}, TensorKind::kBytes});
    };
    matrices("gate_up_proj", 2 * inner, hidden);
    tensors.push_back({module + "gate_up_proj_bias", {count, 2 * inner}});
    matrices("down_proj", hidden, inner);
    tensors.push_back({module + "down_proj_bias", {count, hidden}});
  }
  return tensors;
}

void RunExperts(const WeightFiles& files, const OpenConfig& config, const std::string& at_layer, const OpenLayer& layer,
                const at::Tensor& x_NC) {
  const at::Tensor in_NC = ApplyNorm(config, layer.feed_forward_norm, x_NC);
  const auto [logits, chosen] = ApplyLinear(layer.router, in_NC).topk(config.experts_per_token, -1);
  const at::Tensor share = logits.softmax(-1);
  for (int64_t n = 0; n < config.experts; ++n) {
    const at::Tensor places = chosen.eq(n).nonzero();  // row, and which of its choices
    const int64_t rows = places.size(0);
    if (rows == 0) continue;
    const Expert expert = LoadExpert(files, config, at_layer, n, layer.qkv.weight.scalar_type());
    for (int64_t first = 0; first < rows; first += kMaxRows) {
      const at::Tensor place = places.narrow(0, first, std::min(kMaxRows, rows - first));
      const at::Tensor row = place.select(1, 0);
      const at::Tensor weight = share.index_select(0, row).gather(1, place.narrow(1, 1, 1));
      x_NC.index_add_(0, row, Apply(config, expert, in_NC.index_select(0, row)) * weight);
    }
    files.Release();
  }
}

}  // namespace sink
