// See metrics_exporter.h.
#include "coordinator/service/metrics_exporter.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

#include "coordinator/service/device_series.h"
#include "proto/config/job_config.h"
#include "proto/config/model_flops.h"

namespace sink {
namespace {

constexpr std::array<const char*, kAttemptOutcomes> kOutcomeNames = {"succeeded", "cancelled",     "returned", "lost",
                                                                     "infra",     "out_of_memory", "nan",      "user"};

constexpr std::array<const char*, Gatekeeper::kRefusals> kRefusalNames = {"certificate", "role", "rate", "quota",
                                                                          "connections"};

void AddFleet(const Stats& stats, Families* families) {
  for (const auto& [state, count] : stats.jobs) {
    families->Gauge("sink_jobs", "Jobs by state", static_cast<double>(count), {{"state", std::string(NameOf(state))}});
  }
  const auto workers = [&](WorkerState state, int count) {
    families->Gauge("sink_workers", "Workers by state", count, {{"state", std::string(NameOf(state))}});
  };
  workers(WorkerState::kConnected, stats.workers_connected);
  workers(WorkerState::kDisconnected, stats.workers_disconnected);
  workers(WorkerState::kGone, stats.workers_gone);
  workers(WorkerState::kStopped, stats.workers_stopped);
}

}  // namespace

MetricsExporter::MetricsExporter(FailStop* fail_stop, NowFn now, std::string data)
    : fail_stop_(fail_stop),
      now_(std::move(now)),
      data_(std::move(data)),
      dispatch_seconds_({0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200}) {}

void MetricsExporter::SetQueries(JobQueries* queries) {
  MutexLock lock(&mutex_);
  queries_ = queries;
}

void MetricsExporter::SetMore(std::function<void(Families*)> add) {
  MutexLock lock(&mutex_);
  add_more_ = std::move(add);
}

void MetricsExporter::JobDispatched(double seconds_queued) { dispatch_seconds_.Observe(seconds_queued); }
void MetricsExporter::LeaseExpired() { ++lease_expirations_; }
void MetricsExporter::AttemptEnded(AttemptOutcome outcome) { ++attempts_ended_[static_cast<size_t>(outcome)]; }
void MetricsExporter::CheckpointCommitted(uint64_t bytes) { checkpoint_bytes_ += bytes; }

void MetricsExporter::AddCounters(Families* families) const {
  families->Add("sink_dispatch_seconds", "Time from a job's being ready to its lease",
                prometheus::MetricType::Histogram, dispatch_seconds_.Collect());
  families->Counter("sink_checkpoint_bytes_total", "Bytes of checkpoints committed",
                    static_cast<double>(checkpoint_bytes_));
  for (size_t i = 0; i < kRefusalNames.size(); ++i) {
    families->Counter("sink_refused_calls_total", "Calls refused for who made them, or how many",
                      static_cast<double>(calls_refused_[i]), {{"reason", kRefusalNames[i]}});
  }
  families->Counter("sink_lease_expirations_total", "Leases lost for want of a heartbeat",
                    static_cast<double>(lease_expirations_));
  for (size_t i = 0; i < kOutcomeNames.size(); ++i) {
    families->Counter("sink_attempts_ended_total", "Attempts that are over, by how they ended",
                      static_cast<double>(attempts_ended_[i]), {{"outcome", kOutcomeNames[i]}});
  }
}

void MetricsExporter::AddDisk(Families* families) const {
  struct statvfs disk = {};
  if (statvfs(data_.c_str(), &disk) != 0) return;
  const auto bytes = [&](fsblkcnt_t blocks) {
    return static_cast<double>(blocks) * static_cast<double>(disk.f_frsize);
  };
  families->Gauge("sink_disk_free_bytes", "Room for the database and checkpoints", bytes(disk.f_bavail));
  families->Gauge("sink_disk_size_bytes", "Size of the disk of the database and checkpoints", bytes(disk.f_blocks));
}

std::map<std::string, double> MetricsExporter::AddWorkers(Now now, Families* families) const {
  std::map<std::string, double> peaks;
  const auto workers = queries_->ListWorkers(now);
  if (!workers.ok()) {
    fail_stop_->Report(workers.status());
    return peaks;
  }
  AddDevices(*workers, families);
  std::map<WorkerHold, int> held;
  for (const Worker& worker : *workers) {
    peaks[worker.name] = PeakFlops(worker.device_kind);
    if (worker.state == WorkerState::kConnected) ++held[worker.hold];
  }
  for (const WorkerHold hold : {WorkerHold::kCordoned, WorkerHold::kDraining, WorkerHold::kQuarantined}) {
    families->Gauge("sink_workers_held", "Connected workers that are given no new jobs", held[hold],
                    {{"hold", std::string(NameOf(hold))}});
  }
  return peaks;
}

void MetricsExporter::LookUp(int64_t steady_ms) const {
  std::vector<std::pair<int64_t, std::string>> due;
  for (const auto& [id, seen] : seen_) {
    const bool over = !seen.ended && seen.live_at_ms != steady_ms;
    if (over || seen.looked_up_at_ms == 0 || steady_ms - seen.looked_up_at_ms >= kLookUpEveryMs) {
      due.emplace_back(over ? -1 : seen.looked_up_at_ms, id);
    }
  }
  const size_t count = std::min<size_t>(due.size(), kLookUpsPerScrape);
  std::partial_sort(due.begin(), due.begin() + static_cast<std::ptrdiff_t>(count), due.end());
  for (size_t i = 0; i < count; ++i) {
    Seen& seen = seen_[due[i].second];
    auto details = queries_->GetJob(due[i].second);
    if (!details.ok()) continue;
    seen.shown.job = std::move(details->job);
    if (seen.shown.token_flops.full == 0) {
      const auto parsed = ParseJobConfig(details->config_json);
      if (parsed.config && parsed.config->kind == JobKind::kTrain)
        seen.shown.token_flops = TrainingFlops(parsed.config->model, parsed.config->train.sequence_length);
    }
    seen.shown.checkpoint_step = details->checkpoints.empty() ? 0 : details->checkpoints.front().step;
    seen.looked_up_at_ms = steady_ms;
    seen.ended = seen.live_at_ms != steady_ms;
  }
}

std::vector<const MetricsExporter::Seen*> MetricsExporter::JobsToShow(const Stats& stats,
                                                                      const std::map<std::string, double>& peaks,
                                                                      int64_t steady_ms) const {
  for (const Job& job : stats.live) {
    Seen& seen = seen_[job.id];
    // Before another attempt a person may have sent it back to an earlier checkpoint.
    if (seen.shown.job.attempt != job.attempt) seen.looked_up_at_ms = 0;
    std::vector<Membership> sweeps = std::move(seen.shown.job.sweeps);  // which `live` does not have
    seen.shown.job = job;
    seen.shown.job.sweeps = std::move(sweeps);
    seen.live_at_ms = steady_ms;
    seen.ended = false;
  }
  std::erase_if(seen_, [&](const auto& entry) { return steady_ms - entry.second.live_at_ms > kShownAfterEndMs; });
  LookUp(steady_ms);
  std::vector<const Seen*> jobs;
  for (auto& [id, seen] : seen_) {
    // Of many that have left their workers at once some are looked up later.
    if (seen.live_at_ms != steady_ms) seen.shown.job.progress.tokens_per_second = 0;
    const auto peak = peaks.find(seen.shown.job.worker);
    seen.shown.peak_flops = peak == peaks.end() ? 0 : peak->second * seen.shown.job.devices;
    seen.shown.most_tokens = std::max(seen.shown.most_tokens, seen.shown.job.progress.tokens);
    jobs.push_back(&seen);
  }
  // Jobs that train come before those that have ended, if there are too many.
  std::stable_partition(jobs.begin(), jobs.end(), [](const Seen* seen) { return IsLive(seen->shown.job.state); });
  return jobs;
}

void MetricsExporter::AddJobs(const Stats& stats, const std::map<std::string, double>& peaks, int64_t steady_ms,
                              Families* families) const {
  const std::vector<const Seen*> jobs = JobsToShow(stats, peaks, steady_ms);
  const size_t limit = families->samples() + kMaxSamples;
  size_t shown = 0, detailed = 0;
  while (shown < jobs.size() && families->samples() < limit) AddOverview(jobs[shown++]->shown, families);
  while (detailed < shown && families->samples() < limit) AddDetails(jobs[detailed++]->shown, families);
  families->Gauge("sink_jobs_without_series", "Jobs beyond the limit of samples",
                  static_cast<double>(jobs.size() - shown));
  families->Gauge("sink_jobs_without_details", "Jobs beyond the limit of samples by layer and position",
                  static_cast<double>(jobs.size() - detailed));
}

std::vector<prometheus::MetricFamily> MetricsExporter::Collect() const {
  Families families;
  AddCounters(&families);
  AddDisk(&families);
  MutexLock lock(&mutex_);
  if (add_more_) add_more_(&families);
  if (queries_ == nullptr) return families.Take();
  const Now now = now_();
  const auto stats = queries_->GetStats(now);
  families.Gauge("sink_store_up", "Whether this scrape could read the store", stats.ok() ? 1 : 0);
  if (stats.ok()) {
    AddFleet(*stats, &families);
    const std::map<std::string, double> peaks = AddWorkers(now, &families);
    AddJobs(*stats, peaks, now.steady_ms, &families);
  } else {
    fail_stop_->Report(stats.status());
  }
  return families.Take();
}

}  // namespace sink
