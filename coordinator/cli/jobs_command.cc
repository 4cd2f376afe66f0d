// sinkctl jobs: a list across sweeps, narrowed by sweep and state.
#include <algorithm>
#include <memory>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

constexpr int kPage = 1000;

struct JobsOptions {
  std::string sweep;
  std::vector<std::string> states;
};

Outcome Jobs(Session& session, const JobsOptions& options) {
  v1::ListJobsRequest request;
  request.set_sweep(options.sweep);
  request.set_limit(kPage);
  for (std::string name : options.states) {
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
    v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
    if (!v1::JobState_Parse(name, &state) || state == v1::JOB_STATE_UNSPECIFIED)
      return {kUsage, "there is no job state " + name +
                          "; it is one of queued, leased, running, disconnected, lost, finalizing, succeeded, failed, "
                          "cancelled"};
    request.add_states(state);
  }
  Page page;
  Json jobs = Json::array();
  for (bool more = true; more;) {
    const auto response = session.client().ListJobs(request);
    if (!response.ok()) return FromStatus(response.status());
    for (const v1::Job& job : response->jobs()) {
      const v1::Membership place = options.sweep.empty() ? v1::Membership() : PlaceIn(job, options.sweep);
      jobs.push_back(options.sweep.empty() ? ToJson(job) : ToJson(job, place));
    }
    more = response->jobs_size() == kPage;
    if (more) request.set_after(response->jobs(kPage - 1).id());
  }
  page.document = {{"jobs", std::move(jobs)}};
  page.blocks.push_back(TableBlock{"jobs", JobColumns(!options.sweep.empty()), "no such jobs"});
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
  commands.OnRun(command, [options](Session& session) { return Jobs(session, *options); });
}

}  // namespace sink::cli
