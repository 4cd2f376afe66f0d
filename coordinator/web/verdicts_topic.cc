// Which of the paper's takeaways a sweep bears out, judged as its report judges them (report/claims.h), for its page.
//
// whole  {"takeaways": [{"experiment", "statement", "source", "verdict", "comparison", "paper"}, ...],
//         "too_many": jobs}; it is told whole each time that jobs have ended
//
// too_many: the sweep has so many that this would keep other pages waiting; sinkctl report judges it. Else 0. What a
// run measured is read once, when it has succeeded, and kept while somebody watches.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/report/report.h"
#include "coordinator/web/changed_jobs.h"
#include "coordinator/web/json_text.h"
#include "coordinator/web/study_of.h"
#include "coordinator/web/topics.h"
#include "proto/base/json_depth.h"
#include "proto/config/job_config.h"

namespace sink::web {
namespace {

constexpr int kJobsJudged = 400;
constexpr int kPointsAtOnce = 2000;
constexpr int kMostJsonLevels = 64;

report::Json ParseStored(const std::string& text) {
  if (IsDeeperThan(kMostJsonLevels, text)) return report::Json::object();
  report::Json json = report::Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : report::Json::object();
}

// The configuration with every field.
report::Json EverySetting(const std::string& config_json) {
  const JobConfigResult parsed = ParseJobConfig(config_json);
  return ParseStored(parsed.config ? PrintEveryField(*parsed.config) : config_json);
}

class VerdictsTopic final : public Topic {
 public:
  VerdictsTopic(const TopicSources& sources, std::string sweep)
      : queries_(sources.queries), sweep_(std::move(sweep)), changed_(&sources.queries->feed()) {}

  absl::StatusOr<std::string> Whole() override {
    if (told_.empty()) {
      SINK_ASSIGN_OR_RETURN(const Sweep sweep, queries_->GetSweep(sweep_));
      SINK_RETURN_IF_ERROR(Look(sweep));
    }
    return told_;
  }

  absl::StatusOr<Change> Changes() override {
    const ChangedJobs::News news = changed_.Next();
    SINK_ASSIGN_OR_RETURN(const Sweep sweep, queries_->GetSweep(sweep_));
    if (!news.unknown && !news.HasSweep(sweep_) && Ended(sweep) == ended_) return Change{};
    const std::string before = told_;
    SINK_RETURN_IF_ERROR(Look(sweep));
    if (told_ == before) return Change{};
    return Change{.whole = true, .json = told_};
  }

 private:
  using Counts = std::vector<std::pair<JobState, int>>;

  static Counts Ended(const Sweep& sweep) {
    Counts ended = sweep.jobs_by_state;
    std::erase_if(ended, [](const auto& count) { return !IsFinal(count.first); });
    return ended;
  }

  absl::Status Look(const Sweep& sweep) {
    ended_ = Ended(sweep);
    if (sweep.jobs > kJobsJudged) {
      told_ = absl::StrCat("{\"takeaways\":[],\"too_many\":", sweep.jobs, "}");
      return absl::OkStatus();
    }
    SINK_ASSIGN_OR_RETURN(const v1::GetStudyResponse asked, StudyOf(queries_, sweep_));
    report::Study study;
    study.sweep = sweep_;
    study.from_labels = asked.from_labels();
    SINK_RETURN_IF_ERROR(ReadRuns());
    for (const v1::StudyExperiment& source : asked.experiments()) {
      report::Experiment experiment{source.name(), source.arithmetic(), ParseStored(source.paper_json()), {}};
      for (const v1::StudyPoint& point : source.points()) {
        report::Point kept{point.label(), {}};
        for (const std::string& id : point.job_ids())
          if (runs_.contains(id)) kept.runs.push_back(id);
        experiment.points.push_back(std::move(kept));
      }
      study.experiments.push_back(std::move(experiment));
    }
    study.runs = std::move(runs_);  // too large to copy
    told_ = Judge(study);
    runs_ = std::move(study.runs);
    return absl::OkStatus();
  }

  absl::Status ReadRuns() {
    store::JobQuery query;
    query.sweep = sweep_;
    SINK_ASSIGN_OR_RETURN(const std::vector<JobWithConfig> jobs, queries_->ListJobsWithConfigs(query));
    std::map<std::string, report::Run> runs;
    for (const JobWithConfig& listed : jobs) {
      const Job& job = listed.job;
      report::Run& run = runs[job.id];
      if (const auto known = runs_.find(job.id); known != runs_.end()) {
        run = std::move(known->second);
      } else {
        run.id = job.id;
        run.config = ParseStored(listed.config_json);
        run.settings = EverySetting(listed.config_json);
      }
      const bool was_read = run.succeeded() && run.attempt == job.attempt;
      run.state = std::string(NameOf(job.state));
      run.reason = job.message;
      run.attempt = job.attempt;
      run.step = job.progress.step;
      run.max_steps = job.progress.max_steps;
      run.data_set = job.data_set;
      run.data_content = job.data_content;
      if (!run.succeeded()) run.curves.clear();
      if (run.succeeded() && !was_read) SINK_RETURN_IF_ERROR(ReadCurves(&run));
    }
    runs_ = std::move(runs);
    return absl::OkStatus();
  }

  // Of the metrics that takeaways are judged by.
  absl::Status ReadCurves(report::Run* run) {
    run->curves.clear();
    store::MetricQuery query{.names = {"sink_rate/*", "alpha_max/*"}, .limit = kPointsAtOnce};
    for (bool more = true; more;) {
      const absl::StatusOr<std::vector<MetricPoint>> points = queries_->ReadMetrics(run->id, query);
      if (absl::IsAborted(points.status())) {  // thinned meanwhile
        run->curves.clear();
        query.after = 0;
        continue;
      }
      if (!points.ok()) return points.status();
      for (const MetricPoint& point : *points) {
        run->curves[point.name].push_back({point.step, point.value, point.attempt});
        query.after = point.id;
      }
      more = points->size() == kPointsAtOnce;
    }
    for (auto& [name, curve] : run->curves)
      std::sort(curve.begin(), curve.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
    return absl::OkStatus();
  }

  static std::string Judge(const report::Study& study) {
    std::string takeaways;
    for (const report::ExperimentResult& result : report::Evaluate(study)) {
      for (const report::Verdicts::Item& item : result.takeaways) {
        absl::StrAppend(&takeaways, takeaways.empty() ? "" : ",", "{\"experiment\":", Quoted(item.experiment),
                        ",\"statement\":", Quoted(item.statement), ",\"source\":", Quoted(item.source));
        absl::StrAppend(&takeaways, ",\"verdict\":", Quoted(report::VerdictText(item.judgement.verdict)),
                        ",\"comparison\":", Quoted(item.judgement.comparison),
                        ",\"paper\":", Quoted(item.judgement.paper), "}");
      }
    }
    return absl::StrCat("{\"takeaways\":[", takeaways, "],\"too_many\":0}");
  }

  JobQueries* const queries_;
  const std::string sweep_;
  ChangedJobs changed_;
  Counts ended_;
  std::map<std::string, report::Run> runs_;  // by id
  std::string told_;
};

}  // namespace

std::unique_ptr<Topic> MakeVerdictsTopic(const TopicSources& sources, std::string sweep) {
  return std::make_unique<VerdictsTopic>(sources, std::move(sweep));
}

}  // namespace sink::web
