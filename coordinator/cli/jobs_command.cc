// sinkctl jobs: a list across sweeps, narrowed by sweep and state.
#include <algorithm>
#include <memory>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

constexpr int kPage = 1000;
constexpr int kLongestTable = 1000;

struct JobsOptions {
  std::string sweep;
  std::vector<std::string> states;
  int limit = -1;  // -1: kLongestTable of a table, else all; 0: all
};

Outcome Jobs(Session& session, const JobsOptions& options) {
  v1::ListJobsRequest request;
  request.set_sweep(options.sweep);
  for (std::string name : options.states) {
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
    v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
    if (!v1::JobState_Parse(name, &state) || state == v1::JOB_STATE_UNSPECIFIED)
      return {kUsage, "there is no job state " + name +
                          "; it is one of queued, leased, running, disconnected, lost, finalizing, succeeded, failed, "
                          "cancelled"};
    request.add_states(state);
  }
  const int limit = options.limit >= 0 ? options.limit : session.format() == Format::kTable ? kLongestTable : 0;
  Page page;
  Json jobs = Json::array();
  bool left_off = false;
  for (bool more = true; more;) {
    const int left = limit > 0 ? limit - static_cast<int>(jobs.size()) : kPage;
    request.set_limit(std::clamp(left, 1, kPage));  // the one beyond the limit tells that there are more
    const auto response = session.client().ListJobs(request);
    if (!response.ok()) return FromStatus(response.status());
    left_off = left == 0 && response->jobs_size() > 0;
    if (left == 0) break;
    for (const v1::Job& job : response->jobs()) {
      const v1::Membership place = options.sweep.empty() ? v1::Membership() : PlaceIn(job, options.sweep);
      jobs.push_back(options.sweep.empty() ? ToJson(job) : ToJson(job, place));
    }
    more = response->jobs_size() == request.limit();
    if (more) request.set_after(response->jobs(response->jobs_size() - 1).id());
  }
  page.document = {{"jobs", std::move(jobs)}};
  page.blocks.push_back(TableBlock{"jobs", JobColumns(!options.sweep.empty()), "no such jobs"});
  if (left_off) {
    page.blocks.push_back(TextBlock{{{"the first " + std::to_string(limit) + "; there are more:", Style::kYellow},
                                     {"--limit 0 for all, --sweep and --state for some"}}});
  }
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddJobsCommand(Commands& commands) {
  args::Command command =
      commands.Add("jobs", "List jobs", Names::kNothing,
                   {"sinkctl jobs --state running --state failed", "sinkctl jobs --sweep optimization --json"});
  auto options = std::make_shared<JobsOptions>();
  command.AddOption("--sweep", options->sweep, "Only jobs of this sweep").ValueText("SWEEP");
  command.AddOption("--state", options->states, "Only jobs in this state, e.g. running; may be repeated")
      .ValueText("STATE")
      .OneValueEach();
  command.AddOption("--limit", options->limit, "No more than so many; 0: all (1000 in a table, all with --json)")
      .ValueText("N");
  commands.OnRun(command, [options](Session& session) { return Jobs(session, *options); });
}

}  // namespace sink::cli
