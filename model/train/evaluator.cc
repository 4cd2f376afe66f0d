#include "model/train/evaluator.h"

#include <ATen/ops/amax.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mean.h>

#include <algorithm>
#include <cstdio>

#include "model/eval/sink_metric.h"
#include "model/train/batch.h"

namespace sink::train {
namespace {

constexpr size_t kMaxDomainBytes = 100;  // leaves room for "validation_loss/" in a metric's name

std::string SinkRateName(double epsilon, const std::string& column) {
  char text[64];
  std::snprintf(text, sizeof text, "sink_rate/%.6g/", epsilon);
  return text + column;
}

pipe::Heatmap HeatmapOf(const char* name, const at::Tensor& map_LH) {
  const at::Tensor map = map_LH.to(at::kDouble).contiguous();
  const double* cells = map.const_data_ptr<double>();
  return {.name = name,
          .layers = static_cast<int>(map.size(0)),
          .heads = static_cast<int>(map.size(1)),
          .values = {cells, cells + map.numel()}};
}

}  // namespace

Evaluator::Evaluator(const JobFile& job, at::Device device) : config_(job.config), device_(device) {
  data::LoaderOptions options = LoaderOptionsOf(job, "valid");
  // The sequences are shared out among the domains, a few more rather than fewer.
  const std::vector<std::string> names = data::Domains(options.folder, options.split);
  const auto count = static_cast<int64_t>(names.size());
  const int64_t share = (config_.eval.validation_sequences + count - 1) / count;
  for (const std::string& name : names) {
    options.domain = name;
    data::Loader loader(options);
    const int64_t sequences = std::min(share, loader.rows_per_epoch());
    domains_.push_back({name.substr(0, kMaxDomainBytes), std::move(loader), sequences});
  }
  options.domain.clear();
  std::vector<int32_t> probe = data::LoadProbe(options, config_.eval.sequences, config_.eval.tokens);
  probe_NT_ = at::from_blob(probe.data(), {config_.eval.sequences, config_.eval.tokens + 1}, at::kInt)
                  .narrow(1, 0, config_.eval.tokens)
                  .to(device, at::kLong)
                  .contiguous();
}

std::optional<Measurement> Evaluator::Measure(Transformer& model, const std::function<bool()>& go_on) {
  Measurement measurement;
  if (!go_on()) return std::nullopt;
  measurement.heatmaps = MeasureSinkMetrics(model, measurement.metrics);
  if (!MeasureLosses(model, go_on, measurement.metrics)) return std::nullopt;
  return measurement;
}

bool Evaluator::MeasureLosses(Transformer& model, const std::function<bool()>& go_on, pipe::Metrics& metrics) {
  const int64_t length = config_.train.sequence_length;
  double total = 0;
  int64_t total_sequences = 0;
  for (Domain& domain : domains_) {
    domain.loader.Seek({});
    double sum = 0;
    for (int64_t done = 0; done < domain.sequences;) {
      if (!go_on()) return false;
      const int64_t rows = std::min(config_.train.micro_batch_size, domain.sequences - done);
      const at::Tensor batch_BT1 = ReadBatch(domain.loader, rows, length, device_);
      const at::Tensor loss =
          model.Loss(batch_BT1.narrow(1, 0, length), batch_BT1.narrow(1, 1, length), config_.train.ignore_loss);
      sum += loss.item<double>() * static_cast<double>(rows);
      done += rows;
    }
    if (domain.name != "all")
      metrics.values.emplace_back("validation_loss/" + domain.name, sum / static_cast<double>(domain.sequences));
    total += sum;
    total_sequences += domain.sequences;
  }
  metrics.values.emplace_back("validation_loss/all", total / static_cast<double>(total_sequences));
  return true;
}

std::vector<pipe::Heatmap> Evaluator::MeasureSinkMetrics(Transformer& model, pipe::Metrics& metrics) const {
  const EvalConfig& eval = config_.eval;
  const SinkReport report =
      MeasureSinks(model, probe_NT_, {.epsilon = eval.epsilon, .positions = eval.positions, .metrics = eval.metrics});
  const auto add = [&](std::string name, double value) { metrics.values.emplace_back(std::move(name), value); };
  const auto column_name = [&](int64_t column) {
    if (report.has_bias && column == 0) return std::string("bias");
    return std::to_string(report.has_bias ? column : column + 1);
  };
  for (size_t e = 0; e < report.epsilon.size(); ++e)
    for (int64_t column = 0; column < eval.positions; ++column)
      add(SinkRateName(report.epsilon[e], column_name(column)), report.sink_rate[e][static_cast<size_t>(column)]);

  const at::Tensor alpha_AK = report.importance.mean(0).flatten(0, 1);
  const at::Tensor mean_K = alpha_AK.mean(0), max_K = alpha_AK.amax(0);
  for (int64_t column = 0; column < eval.positions; ++column) {
    add("alpha_mean/" + column_name(column), mean_K[column].item<double>());
    add("alpha_max/" + column_name(column), max_K[column].item<double>());
  }
  for (size_t layer = 0; layer < report.hidden_norm_ratio.size(); ++layer)
    add("hidden_norm_ratio/" + std::to_string(layer), report.hidden_norm_ratio[layer]);
  for (const MetricSeries& metric : report.metrics) {
    for (size_t layer = 0; layer < metric.layers.size(); ++layer)
      add(metric.name + "/" + std::to_string(layer), metric.layers[layer]);
    add(metric.name + "/all", metric.all);
  }

  std::vector<pipe::Heatmap> heatmaps = {HeatmapOf("alpha/1", report.first_importance)};
  if (report.has_bias) heatmaps.push_back(HeatmapOf("alpha/bias", report.bias_importance));
  return heatmaps;
}

}  // namespace sink::train
