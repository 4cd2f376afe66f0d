// Every sweep with its totals, and the workers, for the first page.
//
// whole   {"sweeps": [{"sweep": Sweep, "totals": {...}}, ...], "workers": [Worker, ...], "warning": ""}
// change  the same, of the sweeps that have changed; workers are there when one of them has
//
// totals: fraction of all steps that are done, eta_seconds (null: unknown), tokens_per_second, measured (jobs that
// measured alpha_1), sinks (those of them whose strongest head has it above 0.3), alpha_max (the largest).
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/service/convert.h"
#include "coordinator/web/changed_jobs.h"
#include "coordinator/web/job_row.h"
#include "coordinator/web/json_text.h"
#include "coordinator/web/topics.h"

namespace sink::web {
namespace {

constexpr double kSinkAlpha = 0.3;  // the epsilon of the paper

// What totals need of a job.
struct Standing {
  double done = 0, all = 0;  // steps
  double seconds = NAN;      // of a step, measured
  double tokens_per_second = 0;
  double alpha_max = NAN;
  bool running = false, final = false;
};

Standing StandingOf(const Job& job) {
  Standing standing;
  const Progress& progress = job.progress;
  standing.all = static_cast<double>(progress.max_steps);
  standing.done = static_cast<double>(std::min(progress.step, progress.max_steps));
  standing.final = IsFinal(job.state);
  if (progress.step > 0 && progress.tokens_per_second > 0)
    standing.seconds =
        static_cast<double>(progress.tokens) / static_cast<double>(progress.step) / progress.tokens_per_second;
  standing.running = job.state == JobState::kRunning;
  if (standing.running) standing.tokens_per_second = progress.tokens_per_second;
  if (const auto alpha = progress.latest.Find("alpha_max/1")) standing.alpha_max = *alpha;
  return standing;
}

class Totals {
 public:
  void Add(const Standing& job) {
    all_ += job.all;
    done_ += job.final ? job.all : job.done;
    rate_ += job.tokens_per_second;
    if (!std::isnan(job.alpha_max)) {
      ++measured_;
      sinks_ += job.alpha_max > kSinkAlpha ? 1 : 0;
      alpha_max_ = std::isnan(alpha_max_) ? job.alpha_max : std::max(alpha_max_, job.alpha_max);
    }
    if (!std::isnan(job.seconds)) {
      seconds_ += job.seconds * job.done;
      timed_ += job.done;
    }
    if (job.final) return;
    if (job.running) ++running_;
    if (job.running && !std::isnan(job.seconds)) {
      const double left = (job.all - job.done) * job.seconds;
      left_seconds_ += left;
      longest_ = std::max(longest_, left);
    } else {
      waiting_steps_ += job.all - job.done;
    }
  }

  std::string Json() const {
    std::string json = "{\"fraction\":";
    AppendNumber(all_ > 0 ? done_ / all_ : NAN, &json);
    json += ",\"eta_seconds\":";
    AppendNumber(Eta(), &json);
    json += ",\"tokens_per_second\":";
    AppendNumber(rate_, &json);
    absl::StrAppend(&json, ",\"running\":", running_, ",\"measured\":", measured_, ",\"sinks\":", sinks_,
                    ",\"alpha_max\":");
    AppendNumber(alpha_max_, &json);
    return json += "}";
  }

 private:
  // As if as many jobs ran as now, and the waiting ones took as long a step as the measured ones.
  double Eta() const {
    if (running_ == 0 || timed_ == 0) return NAN;
    return std::max(longest_, (left_seconds_ + waiting_steps_ * seconds_ / timed_) / running_);
  }

  double all_ = 0, done_ = 0, rate_ = 0, alpha_max_ = NAN;
  double seconds_ = 0, timed_ = 0;  // of steps that were measured
  double left_seconds_ = 0, longest_ = 0, waiting_steps_ = 0;
  int running_ = 0, measured_ = 0, sinks_ = 0;
};

class OverviewTopic final : public Topic {
 public:
  explicit OverviewTopic(const TopicSources& sources) : sources_(sources), changed_(&sources.queries->feed()) {}

  absl::StatusOr<std::string> Whole() override {
    if (!std::exchange(begun_, true)) SINK_RETURN_IF_ERROR(ReadAll());
    std::string sweeps;
    for (const auto& [name, shown] : sweeps_) absl::StrAppend(&sweeps, sweeps.empty() ? "" : ",", shown.json);
    return Render(sweeps, /*with_workers=*/true);
  }

  absl::StatusOr<Change> Changes() override {
    const ChangedJobs::News news = changed_.Next();
    if (news.unknown || !news.sweeps.empty()) {
      SINK_RETURN_IF_ERROR(ReadAll());
      SINK_ASSIGN_OR_RETURN(std::string whole, Whole());
      return Change{.whole = true, .json = std::move(whole)};
    }
    std::string sweeps;
    for (auto& [name, shown] : sweeps_) {
      std::vector<std::string> ids;
      for (const std::string& id : news.jobs)
        if (shown.jobs.contains(id)) ids.push_back(id);
      if (ids.empty()) continue;
      SINK_ASSIGN_OR_RETURN(const Sweep sweep, sources_.queries->VisitJobsOf(name, ids, [&](const Job& job) {
        shown.jobs[job.id] = StandingOf(job);
      }));
      RenderSweep(sweep, &shown);
      absl::StrAppend(&sweeps, sweeps.empty() ? "" : ",", shown.json);
    }
    SINK_ASSIGN_OR_RETURN(std::string workers, Workers());
    const bool same_warning = warning_ == sources_.disk->Warning();
    const bool other_workers = std::exchange(workers_, workers) != workers;
    if (sweeps.empty() && !other_workers && same_warning) return Change{};
    SINK_ASSIGN_OR_RETURN(std::string json, Render(sweeps, other_workers));
    return Change{.whole = false, .json = std::move(json)};
  }

 private:
  struct Shown {
    std::map<std::string, Standing> jobs;  // by id
    std::string json;
  };

  absl::Status ReadAll() {
    sweeps_.clear();
    changed_.Clear();
    SINK_ASSIGN_OR_RETURN(const std::vector<Sweep> sweeps, sources_.queries->ListSweeps());
    for (const Sweep& listed : sweeps) {
      Shown& shown = sweeps_[listed.name];
      SINK_ASSIGN_OR_RETURN(const Sweep sweep, sources_.queries->VisitSweep(listed.name, [&](const Job& job) {
        changed_.Watch(job.id);
        shown.jobs[job.id] = StandingOf(job);
      }));
      RenderSweep(sweep, &shown);
    }
    SINK_ASSIGN_OR_RETURN(workers_, Workers());
    return absl::OkStatus();
  }

  static void RenderSweep(const Sweep& sweep, Shown* shown) {
    v1::Sweep message;
    ToProto(sweep, &message);
    Totals totals;
    for (const auto& [id, standing] : shown->jobs) totals.Add(standing);
    shown->json = absl::StrCat("{\"sweep\":", ToJson(message), ",\"totals\":", totals.Json(), "}");
  }

  absl::StatusOr<std::string> Workers() {
    SINK_ASSIGN_OR_RETURN(const std::vector<Worker> workers, sources_.queries->ListWorkers(sources_.now()));
    std::string json = "[";
    for (const Worker& worker : workers) {
      v1::Worker message;
      ToProto(worker, &message);
      message.clear_id();  // where a machine is, is for those who run it: sinkctl workers
      message.clear_address();
      // Of a worker that is there it changes all the time and says nothing.
      if (worker.state == WorkerState::kConnected) message.clear_last_seen_ms();
      absl::StrAppend(&json, json.size() > 1 ? "," : "", ToJson(message));
    }
    return json += "]";
  }

  absl::StatusOr<std::string> Render(const std::string& sweeps, bool with_workers) {
    warning_ = sources_.disk->Warning();
    return absl::StrCat("{\"sweeps\":[", sweeps, "]", with_workers ? absl::StrCat(",\"workers\":", workers_) : "",
                        ",\"warning\":", Quoted(warning_), "}");
  }

  const TopicSources sources_;
  ChangedJobs changed_;
  bool begun_ = false;
  std::map<std::string, Shown> sweeps_;
  std::string workers_;  // as JSON
  std::string warning_;
};

}  // namespace

std::unique_ptr<Topic> MakeOverviewTopic(const TopicSources& sources) {
  return std::make_unique<OverviewTopic>(sources);
}

}  // namespace sink::web
