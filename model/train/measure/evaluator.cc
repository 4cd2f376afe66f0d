#include "model/train/measure/evaluator.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <string_view>

#include "model/eval/sink_metric.h"
#include "model/train/link/train_error.h"
#include "model/train/measure/batch.h"
#include "proto/pipe/metric_name.h"

namespace sink::train {
namespace {

constexpr size_t kMaxDomainBytes = 100;  // leaves room for "validation_loss/" in a metric's name

}  // namespace

Evaluator::Evaluator(const JobFile& job, at::Device device, int64_t rows)
    : config_(job.config), device_(device), rows_(rows) {
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

std::optional<Measurement> Evaluator::Measure(Transformer& model, const std::function<bool()>& go_on,
                                              const std::function<void(const std::string& why)>& make_room) {
  try {
    return MeasureOnce(model, go_on);
  } catch (const std::exception& e) {
    if (!IsOutOfMemory(e)) throw;
    make_room(Classify(e).message);
  }
  return MeasureOnce(model, go_on);
}

std::optional<Measurement> Evaluator::MeasureOnce(Transformer& model, const std::function<bool()>& go_on) {
  if (!go_on()) return std::nullopt;
  const EvalConfig& eval = config_.eval;
  Measurement measurement = MeasurementOf(
      MeasureSinks(model, probe_NT_, {.epsilon = eval.epsilon, .positions = eval.positions, .metrics = eval.metrics}),
      eval.positions);
  if (!MeasureLosses(model, go_on, measurement.metrics)) return std::nullopt;
  return measurement;
}

bool Evaluator::MeasureLosses(Transformer& model, const std::function<bool()>& go_on, pipe::Metrics& metrics) {
  const auto add_loss = [&metrics](std::string_view domain, double loss) {
    metrics.values.emplace_back(pipe::FormatMetricName({.kind = pipe::MetricKind::kValidationLoss, .domain = domain}),
                                loss);
  };
  const int64_t length = config_.train.sequence_length;
  double total = 0;
  int64_t total_sequences = 0;
  for (Domain& domain : domains_) {
    domain.loader.Seek({});
    double sum = 0;
    for (int64_t done = 0; done < domain.sequences;) {
      if (!go_on()) return false;
      const int64_t rows = std::min(rows_, domain.sequences - done);
      const at::Tensor batch_BT1 = ReadBatch(domain.loader, rows, length, device_);
      const at::Tensor loss =
          model.Loss(batch_BT1.narrow(1, 0, length), batch_BT1.narrow(1, 1, length), config_.train.ignore_loss);
      sum += loss.item<double>() * static_cast<double>(rows);
      done += rows;
    }
    if (domain.name != pipe::kAllDomains) add_loss(domain.name, sum / static_cast<double>(domain.sequences));
    total += sum;
    total_sequences += domain.sequences;
  }
  add_loss(pipe::kAllDomains, total / static_cast<double>(total_sequences));
  return true;
}

}  // namespace sink::train
