// A job in full, for its page.
//
// whole  {"details": GetJobResponse without its warnings, which are reasons here, "why": WhyJobResponse without its
// job};
//        it is told whole each time
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/service/convert.h"
#include "coordinator/web/changed_jobs.h"
#include "coordinator/web/json_text.h"
#include "coordinator/web/topics.h"

namespace sink::web {
namespace {

constexpr int64_t kLookAgainMs = 5000;

class JobTopic final : public Topic {
 public:
  JobTopic(const TopicSources& sources, std::string id)
      : sources_(sources), id_(std::move(id)), changed_(&sources.queries->feed()) {
    changed_.Watch(id_);
  }

  absl::StatusOr<std::string> Whole() override {
    SINK_ASSIGN_OR_RETURN(std::string whole, Render());
    if (told_.empty()) told_ = whole;
    return whole;
  }

  // What it waits for may change with other jobs and with workers: that is looked at from time to time, for to say it
  // takes a look at all workers and at the queue.
  absl::StatusOr<Change> Changes() override {
    const ChangedJobs::News news = changed_.Next();
    const int64_t now_ms = sources_.now().steady_ms;
    if (news.jobs.empty() && !news.unknown && now_ms - looked_ms_ < kLookAgainMs) return Change{};
    looked_ms_ = now_ms;
    SINK_ASSIGN_OR_RETURN(std::string whole, Render());
    if (whole == told_) return Change{};
    told_ = whole;
    return Change{.whole = true, .json = std::move(whole)};
  }

 private:
  absl::StatusOr<std::string> Render() {
    SINK_ASSIGN_OR_RETURN(const JobDetails details, sources_.queries->GetJob(id_));
    SINK_ASSIGN_OR_RETURN(Explanation explanation, sources_.queries->Explain(id_, sources_.now()));
    if (std::string warning = sources_.disk->WarningFor(explanation.job); !warning.empty())
      explanation.reasons.insert(explanation.reasons.begin(), std::move(warning));
    v1::GetJobResponse job;
    ToProto(details, &job);
    job.set_disk_full(sources_.disk->full());
    v1::WhyJobResponse why;
    ToProto(explanation, &why);
    why.clear_job();
    return absl::StrCat("{\"details\":", ToJson(job), ",\"why\":", ToJson(why), "}");
  }

  const TopicSources sources_;
  const std::string id_;
  ChangedJobs changed_;
  int64_t looked_ms_ = 0;
  std::string told_;
};

}  // namespace

std::unique_ptr<Topic> MakeJobTopic(const TopicSources& sources, std::string id) {
  return std::make_unique<JobTopic>(sources, std::move(id));
}

}  // namespace sink::web
