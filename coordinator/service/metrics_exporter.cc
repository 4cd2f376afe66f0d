// See metrics_exporter.h.
#include "coordinator/service/metrics_exporter.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "coordinator/service/validate.h"

namespace sink {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Families = std::map<std::string, MetricFamily>;

constexpr size_t kShortId = 12;

// A metric of the trainer (proto/pipe/events.h) as a family: what follows "NAME/" in the trainer's name are its labels.
struct TrainerMetric {
  std::string_view name;
  const char* family;
  const char* help;
  std::array<const char*, 2> labels;
};
constexpr TrainerMetric kTrainerMetrics[] = {
    {"train_loss", "sink_train_loss", "Mean cross-entropy of the newest training batch, in nats", {}},
    {"validation_loss", "sink_validation_loss", "Mean cross-entropy on held-out text, in nats", {"domain"}},
    {"sink_rate",
     "sink_rate_ratio",
     "Share of heads whose mean attention to a position exceeds epsilon",
     {"epsilon", "position"}},
    {"alpha_mean", "sink_alpha_mean_ratio", "Importance of a position, mean over layers and heads", {"position"}},
    {"alpha_max", "sink_alpha_max_ratio", "Importance of a position in the head where it is largest", {"position"}},
    {"hidden_norm_ratio",
     "sink_hidden_norm_ratio",
     "Norm of the first token's hidden state over the others'",
     {"layer"}},
    {"learning_rate", "sink_learning_rate", "Learning rate of the newest step", {}},
    {"gradient_norm", "sink_gradient_norm", "Global gradient norm before clipping", {}},
    // eval.metrics (model/eval/README.md); layer "all" is the whole model.
    {"first_attention",
     "sink_first_attention_ratio",
     "Attention to the first token, mean over queries and heads",
     {"layer"}},
    {"first_argmax",
     "sink_first_argmax_ratio",
     "Share of queries and heads that attend most to the first token",
     {"layer"}},
    {"attention_entropy", "sink_attention_entropy_nats", "Entropy of a query's attention", {"layer"}},
    {"zero_attention",
     "sink_zero_attention_ratio",
     "Share of visible attention weights that are exactly zero",
     {"layer"}},
    {"max_logit", "sink_max_logit", "Largest attention score before the softmax", {"layer"}},
    {"dormant_heads",
     "sink_dormant_heads_ratio",
     "Share of heads whose output is far below the layer's mean",
     {"layer"}},
    {"max_activation", "sink_max_activation", "Largest absolute value of the hidden states", {"layer"}},
    {"massive_activations", "sink_massive_activations", "Massive activations of a sequence", {"layer"}},
    {"massive_channels", "sink_massive_channels", "Channels of a sequence with a massive activation", {"layer"}},
    {"top_median_ratio", "sink_top_median_ratio", "Largest over median absolute hidden value", {"layer"}},
    {"kurtosis", "sink_kurtosis", "Kurtosis of the hidden states, 3 for a Gaussian", {"layer"}},
    {"hidden_norm", "sink_hidden_norm", "Norm of a hidden state", {"layer"}},
    {"matrix_entropy", "sink_matrix_entropy_nats", "Matrix entropy of a sequence's hidden states", {"layer"}},
    {"hidden_cosine",
     "sink_hidden_cosine",
     "Cosine between the first token's hidden states of two sequences",
     {"layer"}},
    {"key_norm_ratio", "sink_key_norm_ratio", "Norm of the first token's key over the others'", {"layer"}},
    {"value_norm_ratio", "sink_value_norm_ratio", "Norm of the first token's value over the others'", {"layer"}},
    {"query_key_cosine", "sink_query_key_cosine", "Cosine between a query and the first token's key", {"layer"}},
    {"query_key_norm", "sink_query_key_norm", "Norm of a query times the norm of the first token's key", {"layer"}},
    {"sink_update", "sink_update_norm", "Norm of what the first token's value adds to a query's output", {"layer"}},
    {"sink_update_deviation",
     "sink_update_deviation_ratio",
     "How far that differs from query to query, relative to its mean",
     {"layer"}},
    {"sink_logit", "sink_logit", "Logit of the sink, mean over heads", {"layer"}},
    {"gate_mean", "sink_gate_mean_ratio", "Mean gate on the output of attention", {"layer"}},
    {"gate_sparsity", "sink_gate_sparsity_ratio", "Share of gates that are nearly closed", {"layer"}},
};

MetricFamily& Family(Families* families, const std::string& name, const std::string& help, MetricType type) {
  MetricFamily& family = (*families)[name];
  if (family.name.empty()) family = {name, help, type, {}};
  return family;
}

void Gauge(Families* families, const std::string& name, const std::string& help, double value,
           std::vector<ClientMetric::Label> labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  Family(families, name, help, MetricType::Gauge).metric.push_back(std::move(metric));
}

void Counter(Families* families, const std::string& name, const std::string& help, double value,
             std::vector<ClientMetric::Label> labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = value;
  Family(families, name, help, MetricType::Counter).metric.push_back(std::move(metric));
}

// Adds one of the job's newest values when the table knows its name and its labels are plain.
void AddTrainerMetric(const std::string& job, const std::string& name, double value, Families* families) {
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  for (const TrainerMetric& metric : kTrainerMetrics) {
    const size_t labels = 2 - std::count(metric.labels.begin(), metric.labels.end(), nullptr);
    if (parts[0] != metric.name || parts.size() != labels + 1) continue;
    std::vector<ClientMetric::Label> values = {{"job", job}};
    for (size_t i = 0; i < labels; ++i) {
      if (!IsName(parts[i + 1])) return;
      values.push_back({metric.labels[i], parts[i + 1]});
    }
    Gauge(families, metric.family, metric.help, value, std::move(values));
  }
}

void AddFleet(const Stats& stats, Families* families) {
  for (const auto& [state, count] : stats.jobs) {
    Gauge(families, "sink_jobs", "Jobs by state", static_cast<double>(count),
          {{"state", std::string(JobStateName(state))}});
  }
  const auto workers = [&](WorkerState state, int count) {
    Gauge(families, "sink_workers", "Workers by state", count, {{"state", std::string(WorkerStateName(state))}});
  };
  workers(WorkerState::kConnected, stats.workers_connected);
  workers(WorkerState::kDisconnected, stats.workers_disconnected);
  workers(WorkerState::kGone, stats.workers_gone);
}

}  // namespace

void AddJobSeries(const Job& job, std::map<std::string, prometheus::MetricFamily>* families) {
  const std::string id = job.id.substr(0, kShortId);
  const std::vector<ClientMetric::Label> label = {{"job", id}};
  const Progress& progress = job.progress;
  Gauge(families, "sink_job_step", "Optimizer steps done", static_cast<double>(progress.step), label);
  Counter(families, "sink_tokens_total", "Tokens seen in training", static_cast<double>(progress.tokens), label);
  Gauge(families, "sink_tokens_per_second", "Training rate", progress.tokens_per_second, label);
  for (const auto& [name, value] : progress.latest.ToMap()) AddTrainerMetric(id, name, value, families);
}

MetricsExporter::MetricsExporter(FailStop* fail_stop, NowFn now)
    : fail_stop_(fail_stop),
      now_(std::move(now)),
      dispatch_seconds_({0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200}) {}

void MetricsExporter::SetJobs(JobManager* jobs) {
  MutexLock lock(&mutex_);
  jobs_ = jobs;
}

void MetricsExporter::JobDispatched(double seconds_queued) { dispatch_seconds_.Observe(seconds_queued); }
void MetricsExporter::LeaseExpired() { ++lease_expirations_; }
void MetricsExporter::CheckpointCommitted(uint64_t bytes) { checkpoint_bytes_ += bytes; }

std::vector<const Job*> MetricsExporter::JobsToShow(const Stats& stats, int64_t steady_ms) const {
  for (const Job& job : stats.live) seen_[job.id] = {.job = job, .live_at_ms = steady_ms, .ended = false};
  std::vector<const Job*> jobs;
  for (auto it = seen_.begin(); it != seen_.end();) {
    Seen& seen = it->second;
    if (steady_ms - seen.live_at_ms > kAfterlifeMs) {
      it = seen_.erase(it);
      continue;
    }
    if (seen.live_at_ms != steady_ms && !seen.ended) {
      const auto details = jobs_->GetJob(it->first);
      if (details.ok()) seen.job = details->job;
      seen.ended = details.ok();
    }
    jobs.push_back(&seen.job);
    ++it;
  }
  // Jobs that train come before those that have ended, if there are too many.
  std::stable_partition(jobs.begin(), jobs.end(), [](const Job* job) { return IsLive(job->state); });
  return jobs;
}

std::vector<prometheus::MetricFamily> MetricsExporter::Collect() const {
  Families families;
  ClientMetric dispatch = dispatch_seconds_.Collect();
  Family(&families, "sink_dispatch_seconds", "Time from a job's being ready to its lease", MetricType::Histogram)
      .metric.push_back(std::move(dispatch));
  Counter(&families, "sink_checkpoint_bytes_total", "Bytes of checkpoints committed",
          static_cast<double>(checkpoint_bytes_));
  Counter(&families, "sink_lease_expirations_total", "Leases lost for want of a heartbeat",
          static_cast<double>(lease_expirations_));
  MutexLock lock(&mutex_);
  if (jobs_ != nullptr) {
    const Now now = now_();
    const auto stats = jobs_->GetStats(now);
    Gauge(&families, "sink_store_up", "Whether this scrape could read the store", stats.ok() ? 1 : 0);
    if (stats.ok()) {
      AddFleet(*stats, &families);
      const std::vector<const Job*> jobs = JobsToShow(*stats, now.steady_ms);
      const size_t shown = std::min(jobs.size(), kMaxJobs);
      for (size_t i = 0; i < shown; ++i) AddJobSeries(*jobs[i], &families);
      Gauge(&families, "sink_jobs_without_series", "Live jobs beyond the limit of jobs with series of their own",
            static_cast<double>(jobs.size() - shown));
    } else {
      fail_stop_->Report(stats.status());
    }
  }
  std::vector<MetricFamily> list;
  list.reserve(families.size());
  for (auto& [name, family] : families) list.push_back(std::move(family));
  return list;
}

}  // namespace sink
