// sinkctl jobs: a list across sweeps, narrowed by sweep and state.
#include <algorithm>
#include <memory>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/study/row_choice.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

constexpr int kPage = 1000;
constexpr int kLongestTable = 1000;

struct JobsOptions {
  std::string sweep;
  RowChoice rows;
  int limit = -1;  // -1: kLongestTable of a table, else all; 0: all
};

Outcome Jobs(Session& session, const JobsOptions& options) {
  v1::ListJobsRequest request;
  request.set_sweep(options.sweep);
  const auto states = StatesOf(options.rows);
  if (!states.ok()) return FromStatus(states.status());
  for (const v1::JobState state : *states) request.add_states(state);
  const int longest = options.limit >= 0 ? options.limit : session.format() == Format::kTable ? kLongestTable : 0;
  const int limit = options.rows.sort.empty() ? longest : 0;  // the first of an order are among all
  Page page;
  Json jobs = Json::array(), warnings = Json::array();
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
      if (response->disk_full()) ForgetPace(&jobs.back());
    }
    warnings = std::vector<std::string>(response->warnings().begin(), response->warnings().end());
    more = response->jobs_size() == request.limit();
    if (more) request.set_after(response->jobs(response->jobs_size() - 1).id());
  }
  if (const absl::Status chosen = ChooseRows(options.rows, &jobs); !chosen.ok()) return FromStatus(chosen);
  if (limit == 0 && longest > 0 && jobs.size() > static_cast<size_t>(longest)) {
    left_off = true;
    jobs.erase(jobs.begin() + longest, jobs.end());
  }
  page.document = {{"jobs", std::move(jobs)}, {"warnings", warnings}};
  page.blocks.push_back(TableBlock{"jobs", JobColumns(!options.sweep.empty()), "no such jobs"});
  if (left_off) {
    page.blocks.push_back(TextBlock{{{"the first " + std::to_string(longest) + "; there are more", Style::kYellow},
                                     {"--limit 0 for all, --sweep and --state for some"}}});
  }
  for (const Json& warning : warnings) page.blocks.push_back(TextBlock{{{warning.get<std::string>(), Style::kRed}}});
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddJobsCommand(Commands& commands) {
  args::Command command = commands.Add("jobs", "List jobs", Names::kNothing,
                                       {"sinkctl jobs --state running --state failed",
                                        "sinkctl jobs --sweep optimization --sort loss", "sinkctl jobs --json"});
  auto options = std::make_shared<JobsOptions>();
  command.AddOption("--sweep", options->sweep, "Only jobs of this sweep").ValueText("SWEEP");
  AddRowChoice(command, &options->rows);
  command.AddOption("--limit", options->limit, "No more than so many; 0: all (1000 in a table, all with --json)")
      .ValueText("N")
      .NotNegative();
  commands.OnRun(command, [options](Session& session) { return Jobs(session, *options); });
}

}  // namespace sink::cli
