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

std::string Name(const char* prefix, int64_t index) { return prefix + std::to_string(index); }

std::string SinkRateName(double epsilon, int64_t position) {
  char text[64];
  std::snprintf(text, sizeof text, "sink_rate/%.6g/%lld", epsilon, static_cast<long long>(position));
  return text;
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
  measurement.heatmap = MeasureSinkMetrics(model, measurement.metrics);
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
      const at::Tensor loss = model.Loss(batch_BT1.narrow(1, 0, length), batch_BT1.narrow(1, 1, length));
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

pipe::Heatmap Evaluator::MeasureSinkMetrics(Transformer& model, pipe::Metrics& metrics) const {
  const EvalConfig& eval = config_.eval;
  const SinkReport report = MeasureSinks(model, probe_NT_, {.epsilon = eval.epsilon, .positions = eval.positions});
  const auto add = [&](std::string name, double value) { metrics.values.emplace_back(std::move(name), value); };
  for (size_t e = 0; e < report.epsilon.size(); ++e)
    for (int64_t k = 1; k <= eval.positions; ++k)
      add(SinkRateName(report.epsilon[e], k), report.sink_rate[e][static_cast<size_t>(k - 1)]);

  const at::Tensor alpha_LHT = report.importance.mean(0);
  const at::Tensor alpha_AT = alpha_LHT.flatten(0, 1);
  const at::Tensor mean_T = alpha_AT.mean(0), max_T = alpha_AT.amax(0);
  for (int64_t k = 1; k <= eval.positions; ++k) {
    add(Name("alpha_mean/", k), mean_T[k - 1].item<double>());
    add(Name("alpha_max/", k), max_T[k - 1].item<double>());
  }
  for (size_t layer = 0; layer < report.hidden_norm_ratio.size(); ++layer)
    add(Name("hidden_norm_ratio/", static_cast<int64_t>(layer)), report.hidden_norm_ratio[layer]);

  const at::Tensor first_LH = report.first_importance.to(at::kDouble).contiguous();
  const double* cells = first_LH.const_data_ptr<double>();
  return {.name = "alpha/1",
          .layers = static_cast<int>(first_LH.size(0)),
          .heads = static_cast<int>(first_LH.size(1)),
          .values = {cells, cells + first_LH.numel()}};
}

}  // namespace sink::train
