// Text, JSON, CSV, SVG and safetensors forms of an evaluation.
#include "model/eval/evaluation_report.h"

#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "model/base/model_error.h"
#include "model/base/or_throw.h"
#include "model/storage/tensor_file.h"
#include "proto/charts/svg.h"
#include "proto/files/files.h"

namespace sink {
namespace {

using nlohmann::json;

std::vector<double> Percent(const std::vector<double>& shares) {
  std::vector<double> percent;
  for (const double share : shares) percent.push_back(100 * share);
  return percent;
}

json Matrix(const at::Tensor& map_LH) {
  json rows = json::array();
  const float* map = map_LH.const_data_ptr<float>();
  const int64_t heads = map_LH.size(1);
  for (int64_t layer = 0; layer < map_LH.size(0); ++layer)
    rows.push_back(std::vector<float>(map + layer * heads, map + (layer + 1) * heads));
  return rows;
}

// "with BOS" is what the numbers' readers look for; the id says which.
std::string BosText(const Evaluation& evaluation) {
  return evaluation.bos ? "with BOS " + std::to_string(*evaluation.bos) : "no BOS";
}

template <typename... Values>
void Append(std::string& out, const char* format, Values... values) {
  char line[256];
  std::snprintf(line, sizeof(line), format, values...);
  out += line;
}

std::string PercentText(double share) {
  if (std::isnan(share)) return "NaN";
  std::string text;
  Append(text, "%.2f%%", 100 * share);
  return text;
}

double OverOthers(const at::Tensor& norm_T) {
  return norm_T[0].item<double>() / norm_T.narrow(0, 1, norm_T.size(0) - 1).mean().item<double>();
}

// Norms of the model's first position and of the others, layer by layer.
std::string NormTable(const SinkReport& r) {
  std::string out = "layer  |h_1|     mean |h_t>1|  ratio     |k_1| ratio  |v_1| ratio\n";
  for (int64_t row = 0; row < r.hidden_norm.size(0); ++row) {
    const at::Tensor hidden = r.hidden_norm[row];
    const double first = hidden[0].item<double>(), ratio = OverOthers(hidden);
    Append(out, "%-6s %-9.4g %-13.4g %-9.4g", row == 0 ? "embed" : std::to_string(row - 1).c_str(), first,
           first / ratio, ratio);
    if (row > 0) Append(out, " %-12.4g %-9.4g", OverOthers(r.key_norm[row - 1]), OverOthers(r.value_norm[row - 1]));
    out += "\n";
  }
  return out;
}

// Rows "name,,layer,,position,value" of a matrix by layer and position.
void AppendNorms(std::string& out, const char* name, const at::Tensor& norm_LT) {
  for (int64_t layer = 0; layer < norm_LT.size(0); ++layer)
    for (int64_t t = 0; t < norm_LT.size(1); ++t)
      Append(out, "%s,,%lld,,%lld,%.9g\n", name, static_cast<long long>(layer), static_cast<long long>(t + 1),
             norm_LT[layer][t].item<double>());
}

}  // namespace

std::string PrintText(const Evaluation& evaluation) {
  const SinkReport& r = evaluation.sinks;
  const auto tokens = static_cast<long long>(r.tokens);
  const std::string bos_text = BosText(evaluation);
  const char* bos = bos_text.c_str();
  std::string out;
  if (!evaluation.inputs.empty()) out += "inputs: " + evaluation.inputs + ", " + bos_text;
  if (!evaluation.bos_reason.empty()) out += " (" + evaluation.bos_reason + ")";
  if (!out.empty()) out += "\n";
  if (evaluation.loss) Append(out, "loss %.4f  ", *evaluation.loss);
  Append(out, "(%lld sequences, T = %lld, %s)\n", static_cast<long long>(r.sequences), tokens, bos);
  for (size_t e = 0; e < r.epsilon.size(); ++e) {
    Append(out, "sink rate, eps = %g, T = %lld, %s, %s1..%zu:", r.epsilon[e], tokens, bos,
           r.has_bias ? "bias, positions " : "positions ", r.sink_rate[e].size() - (r.has_bias ? 1 : 0));
    for (const double share : r.sink_rate[e]) out += " " + PercentText(share);
    out += "\n";
  }
  Append(out, "mean alpha_1 %.4f, strongest head %.4f (layer %lld, head %lld)  (T = %lld, %s)\n",
         r.mean_first_importance, r.strongest_first_importance, static_cast<long long>(r.strongest_layer),
         static_cast<long long>(r.strongest_head), tokens, bos);
  out += "hidden norm of token 1 over the others, embeddings then layers:";
  for (const double ratio : r.hidden_norm_ratio) Append(out, " %.2f", ratio);
  out += "\n";
  if (evaluation.activations) out += NormTable(r);
  for (const MetricSeries& metric : r.metrics) {
    Append(out, "%s %.5g, by layer:", metric.name.c_str(), metric.all);
    for (const double value : metric.layers) Append(out, " %.5g", value);
    Append(out, "  (T = %lld, %s)\n", tokens, bos);
  }
  return out;
}

std::string PrintJson(const Evaluation& evaluation) {
  const SinkReport& r = evaluation.sinks;
  json root = {{"loss", evaluation.loss ? json(*evaluation.loss) : json(nullptr)},
               {"sequences", r.sequences},
               {"epsilon", r.epsilon.front()},
               {"tokens", r.tokens},
               {"bos", evaluation.bos.has_value()},
               {"inputs", evaluation.inputs},
               {"bias_first", r.has_bias},
               {"sink_rate_percent", Percent(r.sink_rate.front())},
               {"mean_alpha_1", r.mean_first_importance},
               {"strongest_alpha_1",
                {{"value", r.strongest_first_importance}, {"layer", r.strongest_layer}, {"head", r.strongest_head}}},
               {"hidden_norm_ratio", r.hidden_norm_ratio}};
  for (size_t e = 0; e < r.epsilon.size(); ++e)
    root["sink_rates"].push_back({{"epsilon", r.epsilon[e]}, {"percent", Percent(r.sink_rate[e])}});
  root["alpha_1"] = Matrix(r.first_importance);
  if (r.has_bias) root["alpha_bias"] = Matrix(r.bias_importance);
  if (evaluation.bos) root["bos_id"] = *evaluation.bos;
  root["bos_reason"] = evaluation.bos_reason;
  root["notes"] = evaluation.notes;
  if (evaluation.activations) {
    root["hidden_norm"] = Matrix(r.hidden_norm);
    root["normed_norm"] = Matrix(r.normed_norm.unsqueeze(0))[0];
    root["key_norm"] = Matrix(r.key_norm);
    root["value_norm"] = Matrix(r.value_norm);
    root["largest_activation"] = json::array();
    for (const LargestValue& each : r.largest)
      root["largest_activation"].push_back(
          {{"value", each.value}, {"position", each.position + 1}, {"channel", each.channel}});
  }
  root["metrics"] = json::object();
  for (const MetricSeries& metric : r.metrics)
    root["metrics"][metric.name] = {{"all", metric.all}, {"layers", metric.layers}};
  return root.dump() + "\n";
}

std::string PrintCsv(const Evaluation& evaluation) {
  const SinkReport& r = evaluation.sinks;
  std::string out = "name,epsilon,layer,head,position,value\n";
  if (evaluation.loss) Append(out, "loss,,,,,%.9g\n", *evaluation.loss);
  Append(out, "tokens,,,,,%lld\nsequences,,,,,%lld\n", static_cast<long long>(r.tokens),
         static_cast<long long>(r.sequences));
  Append(out, "bos,,,,,%s\n", evaluation.bos ? std::to_string(*evaluation.bos).c_str() : "");
  for (size_t e = 0; e < r.epsilon.size(); ++e)
    for (size_t k = 0; k < r.sink_rate[e].size(); ++k) {
      const std::string place = r.has_bias ? (k == 0 ? "bias" : std::to_string(k)) : std::to_string(k + 1);
      Append(out, "sink_rate,%g,,,%s,%.9g\n", r.epsilon[e], place.c_str(), 100 * r.sink_rate[e][k]);
    }
  for (int64_t layer = 0; layer < r.first_importance.size(0); ++layer)
    for (int64_t head = 0; head < r.first_importance.size(1); ++head)
      Append(out, "alpha,,%lld,%lld,1,%.9g\n", static_cast<long long>(layer), static_cast<long long>(head),
             r.first_importance[layer][head].item<double>());
  for (const MetricSeries& metric : r.metrics) {
    Append(out, "%s,,,,,%.9g\n", metric.name.c_str(), metric.all);
    for (size_t layer = 0; layer < metric.layers.size(); ++layer)
      Append(out, "%s,,%zu,,,%.9g\n", metric.name.c_str(), layer, metric.layers[layer]);
  }
  if (evaluation.activations) {
    AppendNorms(out, "hidden_norm", r.hidden_norm);
    AppendNorms(out, "key_norm", r.key_norm);
    AppendNorms(out, "value_norm", r.value_norm);
  }
  return out;
}

void DrawHeatMap(const Evaluation& evaluation, const std::string& path) {
  const SinkReport& r = evaluation.sinks;
  const at::Tensor& map = r.first_importance;
  const float* values = map.const_data_ptr<float>();
  const std::string measured =
      std::to_string(r.sequences) + " sequences, T = " + std::to_string(r.tokens) + ", " + BosText(evaluation);
  const charts::HeatMapChart chart = {.title = "Importance of the first token",
                                      .description = "Mean alpha of position 1 by layer and head over " + measured,
                                      .row_label = "layer",
                                      .column_label = "head",
                                      .value_label = "mean alpha of position 1",
                                      .panels = {{.title = measured,
                                                  .rows = static_cast<int>(map.size(0)),
                                                  .columns = static_cast<int>(map.size(1)),
                                                  .values = std::vector<double>(values, values + map.numel())}}};
  OrThrow<ModelError>(files::WriteOutput(path, charts::Draw(chart, charts::Placement::kStandalone)));
}

void Dump(const Evaluation& evaluation, const std::string& path) {
  const SinkReport& r = evaluation.sinks;
  std::map<std::string, at::Tensor> tensors = {{"logits", evaluation.logits},
                                               {"importance", r.importance},
                                               {"hidden_norm", r.hidden_norm},
                                               {"key_norm", r.key_norm},
                                               {"value_norm", r.value_norm}};
  if (evaluation.open) {
    tensors["residual_norm"] = r.hidden_norm;
    tensors["hidden_norm"] = r.hidden_norm.clone();
    tensors["hidden_norm"].select(0, -1).copy_(r.normed_norm);
  }
  OutputTensors(path, tensors);
}

}  // namespace sink
