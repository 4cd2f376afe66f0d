// Text, JSON and safetensors forms of an evaluation.
#include "model/eval/report.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "model/tensor_file.h"

namespace sink {
namespace {

using nlohmann::json;

std::vector<double> Percent(const std::vector<double>& shares) {
  std::vector<double> percent;
  for (const double share : shares) percent.push_back(100 * share);
  return percent;
}

json HeatMap(const at::Tensor& map_LH) {
  json rows = json::array();
  const float* map = map_LH.const_data_ptr<float>();
  const int64_t heads = map_LH.size(1);
  for (int64_t layer = 0; layer < map_LH.size(0); ++layer)
    rows.push_back(std::vector<float>(map + layer * heads, map + (layer + 1) * heads));
  return rows;
}

template <typename... Values>
void Append(std::string& out, const char* format, Values... values) {
  char line[256];
  std::snprintf(line, sizeof(line), format, values...);
  out += line;
}

}  // namespace

std::string PrintText(const Evaluation& evaluation) {
  const SinkReport& r = evaluation.sinks;
  const auto tokens = static_cast<long long>(r.tokens);
  const char* bos = evaluation.bos ? "with BOS" : "no BOS";
  std::string out;
  Append(out, "loss %.4f  (%lld sequences, T = %lld, %s)\n", evaluation.loss, static_cast<long long>(r.sequences),
         tokens, bos);
  for (size_t e = 0; e < r.epsilon.size(); ++e) {
    Append(out, "sink rate, eps = %g, T = %lld, %s, %s1..%zu:", r.epsilon[e], tokens, bos,
           r.has_bias ? "bias, positions " : "positions ", r.sink_rate[e].size() - (r.has_bias ? 1 : 0));
    for (const double share : r.sink_rate[e]) Append(out, " %.2f%%", 100 * share);
    out += "\n";
  }
  Append(out, "mean alpha_1 %.4f, strongest head %.4f (layer %lld, head %lld)  (T = %lld, %s)\n",
         r.mean_first_importance, r.strongest_first_importance, static_cast<long long>(r.strongest_layer),
         static_cast<long long>(r.strongest_head), tokens, bos);
  out += "hidden norm of token 1 over the others, embeddings then layers:";
  for (const double ratio : r.hidden_norm_ratio) Append(out, " %.2f", ratio);
  out += "\n";
  for (const MetricSeries& metric : r.metrics) {
    Append(out, "%s %.5g, by layer:", metric.name.c_str(), metric.all);
    for (const double value : metric.layers) Append(out, " %.5g", value);
    Append(out, "  (T = %lld, %s)\n", tokens, bos);
  }
  return out;
}

std::string PrintJson(const Evaluation& evaluation) {
  const SinkReport& r = evaluation.sinks;
  json root = {{"loss", evaluation.loss},
               {"sequences", r.sequences},
               {"epsilon", r.epsilon.front()},
               {"tokens", r.tokens},
               {"bos", evaluation.bos},
               {"bias_first", r.has_bias},
               {"sink_rate_percent", Percent(r.sink_rate.front())},
               {"mean_alpha_1", r.mean_first_importance},
               {"strongest_alpha_1",
                {{"value", r.strongest_first_importance}, {"layer", r.strongest_layer}, {"head", r.strongest_head}}},
               {"hidden_norm_ratio", r.hidden_norm_ratio}};
  for (size_t e = 0; e < r.epsilon.size(); ++e)
    root["sink_rates"].push_back({{"epsilon", r.epsilon[e]}, {"percent", Percent(r.sink_rate[e])}});
  root["alpha_1"] = HeatMap(r.first_importance);
  if (r.has_bias) root["alpha_bias"] = HeatMap(r.bias_importance);
  root["metrics"] = json::object();
  for (const MetricSeries& metric : r.metrics)
    root["metrics"][metric.name] = {{"all", metric.all}, {"layers", metric.layers}};
  return root.dump() + "\n";
}

void Dump(const Evaluation& evaluation, const std::filesystem::path& path) {
  const SinkReport& r = evaluation.sinks;
  WriteTensors(path,
               {{"logits", evaluation.logits},
                {"importance", r.importance},
                {"hidden_norm", r.hidden_norm},
                {"key_norm", r.key_norm},
                {"value_norm", r.value_norm}},
               /*sync=*/false);
}

}  // namespace sink
