// A sweep and its jobs, for its page.
//
// whole   {"sweep": Sweep, "totals": sweep_totals.h, "columns": [...], "jobs": [row, ...], "metrics": [name, ...],
//          "warning": ""}
// change  {"sweep": Sweep, "totals": {...}, "jobs": [row of each job that has changed], "metrics": [name, ...],
//          "warning": ""}
//
// metrics: the names of all that jobs have measured; in a change only where one came that was not there before.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/service/convert.h"
#include "coordinator/web/changed_jobs.h"
#include "coordinator/web/job_row.h"
#include "coordinator/web/json_text.h"
#include "coordinator/web/sweep_totals.h"
#include "coordinator/web/topics.h"

namespace sink::web {
namespace {

class SweepTopic final : public Topic {
 public:
  SweepTopic(const TopicSources& sources, std::string sweep)
      : sources_(sources), sweep_(std::move(sweep)), changed_(&sources.queries->feed()) {}

  absl::StatusOr<std::string> Whole() override {
    std::string rows;
    totals_ = {};  // it may have other jobs now
    SINK_ASSIGN_OR_RETURN(const Sweep sweep, sources_.queries->VisitSweep(sweep_, [&](const Job& job) {
      changed_.Watch(job.id);
      Append(job, &rows);
    }));
    // A page that has just come is told this alone: what is new in it the others are told by Changes.
    const std::string warning = warning_;
    const size_t metrics = metrics_told_;
    std::string whole = Render(sweep, absl::StrCat(",\"columns\":", kJobColumns), rows);
    warning_ = warning;
    metrics_told_ = metrics;
    return whole;
  }

  absl::StatusOr<Change> Changes() override {
    const ChangedJobs::News news = changed_.Next();
    if (news.unknown || news.HasSweep(sweep_)) {
      SINK_ASSIGN_OR_RETURN(std::string whole, Whole());
      return Change{.whole = true, .json = std::move(whole), .behind = news.more};
    }
    const std::string warning = sources_.disk->Warning();
    if (news.jobs.empty() && warning == warning_) return Change{};
    std::string rows;
    SINK_ASSIGN_OR_RETURN(const Sweep sweep, sources_.queries->VisitJobsOf(
                                                 sweep_, news.jobs, [&](const Job& job) { Append(job, &rows); }));
    return Change{.json = Render(sweep, "", rows), .behind = news.more};
  }

 private:
  void Append(const Job& job, std::string* rows) {
    if (!rows->empty()) *rows += ',';
    AppendJobRow(job, rows);
    totals_.Put(job);
    job.progress.latest.Visit([this](std::string_view text, double) {
      const absl::string_view name(text.data(), text.size());
      if (!metrics_.contains(name)) metrics_.emplace(name);
    });
  }

  std::string Render(const Sweep& sweep, const std::string& columns, const std::string& rows) {
    v1::Sweep message;
    ToProto(sweep, &message);
    warning_ = sources_.disk->Warning();
    std::string metrics;
    if (!columns.empty() || metrics_.size() != metrics_told_) {
      std::vector<std::string> names(metrics_.begin(), metrics_.end());
      std::sort(names.begin(), names.end());
      for (const std::string& name : names) absl::StrAppend(&metrics, metrics.empty() ? "" : ",", Quoted(name));
      metrics = absl::StrCat(",\"metrics\":[", metrics, "]");
      metrics_told_ = metrics_.size();
    }
    const std::string totals = totals_.Json(sources_.now().unix_ms, sources_.disk->full());
    return absl::StrCat("{\"sweep\":", ToJson(message), ",\"totals\":", totals, columns, ",\"jobs\":[", rows, "]",
                        metrics, ",\"warning\":", Quoted(warning_), "}");
  }

  const TopicSources sources_;
  const std::string sweep_;
  ChangedJobs changed_;
  SweepTotals totals_;
  std::string warning_;  // that was told
  absl::flat_hash_set<std::string> metrics_;
  size_t metrics_told_ = 0;
};

}  // namespace

std::unique_ptr<Topic> MakeSweepTopic(const TopicSources& sources, std::string sweep) {
  return std::make_unique<SweepTopic>(sources, std::move(sweep));
}

}  // namespace sink::web
