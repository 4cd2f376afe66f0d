// Metrics of jobs over their steps, for charts.
//
// whole   {"curves": {JOB: {METRIC: [[step, ...], [value, ...]], ...}, ...}, "left_out": jobs beyond the first 400}
// change  {"curves": the points that came since}
//
// A long curve is told thinned: no chart is a thousand points wide. It is kept that way as long as somebody watches,
// and read no closer: what a page costs that is opened does not grow with its jobs (SampleMetrics).
#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/web/changed_jobs.h"
#include "coordinator/web/json_text.h"
#include "coordinator/web/topics.h"

namespace sink::web {
namespace {

constexpr size_t kJobs = 400;
constexpr size_t kPoints = 400;  // of a curve, and at most twice as many
constexpr int kPointsRead = 2000;

// Every point as long as they are few, then every second, every fourth and so on; and always the newest.
class Curve {
 public:
  void Add(int64_t step, double value) {
    if (!newest_stays_) {
      steps_.pop_back();
      values_.pop_back();
    }
    steps_.push_back(step);
    values_.push_back(value);
    newest_stays_ = added_++ % stride_ == 0;
    if (steps_.size() > 2 * kPoints) Thin();
  }
  const std::vector<int64_t>& steps() const { return steps_; }
  const std::vector<double>& values() const { return values_; }

 private:
  void Thin() {
    size_t kept = 0;
    for (size_t i = 0; i < steps_.size(); i += 2, ++kept) {
      steps_[kept] = steps_[i];
      values_[kept] = values_[i];
    }
    steps_.resize(kept);
    values_.resize(kept);
    stride_ *= 2;
  }

  std::vector<int64_t> steps_;
  std::vector<double> values_;
  int64_t added_ = 0, stride_ = 1;
  bool newest_stays_ = true;
};
using Curves = std::map<std::string, Curve>;  // by metric

struct JobCurves {
  int64_t read = 0;  // id of the last point
  int attempt = 0;   // of the newest point
  Curves curves;
};

void Append(const std::string& job, const Curves& curves, std::string* json) {
  absl::StrAppend(json, json->empty() ? "" : ",", Quoted(job), ":{");
  for (auto it = curves.begin(); it != curves.end(); ++it) {
    const std::vector<int64_t>& steps = it->second.steps();
    const std::vector<double>& values = it->second.values();
    absl::StrAppend(json, it == curves.begin() ? "" : ",", Quoted(it->first), ":[[");
    for (size_t i = 0; i < steps.size(); ++i) absl::StrAppend(json, i == 0 ? "" : ",", steps[i]);
    *json += "],[";
    for (size_t i = 0; i < values.size(); ++i) {
      if (i > 0) *json += ',';
      if (std::isfinite(values[i])) {
        absl::StrAppendFormat(json, "%.5g", values[i]);
      } else {
        *json += "null";
      }
    }
    *json += "]]";
  }
  *json += "}";
}

class CurveTopic final : public Topic {
 public:
  CurveTopic(const TopicSources& sources, std::string sweep, std::vector<std::string> jobs, std::string metric)
      : queries_(sources.queries),
        sweep_(std::move(sweep)),
        ids_(std::move(jobs)),
        metric_(std::move(metric)),
        changed_(&sources.queries->feed()) {}

  absl::StatusOr<std::string> Whole() override {
    if (!std::exchange(begun_, true)) SINK_RETURN_IF_ERROR(ReadAll());
    std::string curves;
    for (const std::string& id : ids_) Append(id, jobs_[id].curves, &curves);
    return absl::StrCat("{\"curves\":{", curves, "},\"left_out\":", left_out_, "}");
  }

  absl::StatusOr<Change> Changes() override {
    const ChangedJobs::News news = changed_.Next();
    bool again = news.unknown || (!sweep_.empty() && news.HasSweep(sweep_));
    std::string curves;
    if (again) {
      SINK_RETURN_IF_ERROR(ReadAll());
    } else {
      for (const std::string& id : news.jobs) {
        SINK_ASSIGN_OR_RETURN(const Fresh fresh, Read(id));
        again = again || fresh.anew;
        if (!fresh.curves.empty()) Append(id, fresh.curves, &curves);
      }
    }
    if (again) {
      SINK_ASSIGN_OR_RETURN(std::string whole, Whole());
      return Change{.whole = true, .json = std::move(whole)};
    }
    if (curves.empty()) return Change{};
    return Change{.json = absl::StrCat("{\"curves\":{", curves, "}}")};
  }

 private:
  struct Fresh {
    Curves curves;
    bool anew = false;  // the whole curve was read again: of a later attempt, or thinned
  };

  // The jobs that there are now; of those that were read before, what came since.
  absl::Status ReadAll() {
    if (!sweep_.empty()) {
      SINK_ASSIGN_OR_RETURN(ids_, queries_->SweepJobIds(sweep_));
      left_out_ = ids_.size() - std::min(ids_.size(), kJobs);
      ids_.resize(ids_.size() - left_out_);
    }
    changed_.Clear();
    for (const std::string& id : ids_) {
      changed_.Watch(id);
      SINK_RETURN_IF_ERROR(Read(id).status());
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Fresh> Read(const std::string& id) {
    if (!jobs_.contains(id)) return ReadAnew(id);
    JobCurves& job = jobs_[id];
    Fresh fresh;
    store::MetricQuery query{.names = Names(), .from_step = 0, .after = job.read, .limit = kPointsRead};
    for (bool more = true; more;) {
      const absl::StatusOr<std::vector<MetricPoint>> points = queries_->ReadMetrics(id, query);
      if (absl::IsAborted(points.status())) return ReadAnew(id);  // the curve was thinned
      if (!points.ok()) return points.status();
      for (const MetricPoint& point : *points) {
        if (job.attempt > 0 && point.attempt > job.attempt) return ReadAnew(id);
        Add(point, &job);
        fresh.curves[point.name].Add(point.step, point.value);
      }
      query.after = job.read;
      more = points->size() == kPointsRead;
    }
    return fresh;
  }

  absl::StatusOr<Fresh> ReadAnew(const std::string& id) {
    SINK_ASSIGN_OR_RETURN(const store::MetricSample sample, queries_->SampleMetrics(id, Names()));
    JobCurves& job = jobs_[id] = {};
    for (const MetricPoint& point : sample.points) Add(point, &job);
    job.read = sample.last;
    return Fresh{.curves = {}, .anew = true};
  }

  static void Add(const MetricPoint& point, JobCurves* job) {
    job->attempt = std::max(job->attempt, point.attempt);
    job->curves[point.name].Add(point.step, point.value);
    job->read = point.id;
  }

  std::vector<std::string> Names() const {
    return metric_.empty() ? std::vector<std::string>() : std::vector<std::string>{metric_};
  }

  JobQueries* const queries_;
  const std::string sweep_;
  std::vector<std::string> ids_;
  const std::string metric_;
  ChangedJobs changed_;
  bool begun_ = false;
  size_t left_out_ = 0;
  std::map<std::string, JobCurves> jobs_;
};

}  // namespace

std::unique_ptr<Topic> MakeCurveTopic(const TopicSources& sources, std::string sweep, std::vector<std::string> jobs,
                                      std::string metric) {
  return std::make_unique<CurveTopic>(sources, std::move(sweep), std::move(jobs), std::move(metric));
}

}  // namespace sink::web
