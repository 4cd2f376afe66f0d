// sinkctl retry: queue failed or cancelled jobs once more; they go on from their last checkpoint.
#include <memory>
#include <optional>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/study/targets.h"
#include "coordinator/cli/views/views.h"
#include "proto/base/counted.h"
#include "proto/files/random_id.h"

namespace sink::cli {
namespace {

struct RetryOptions {
  std::vector<std::string> targets;
  std::string sweep;                 // of --failed, which is another way to write it
  std::optional<int64_t> from_step;  // none: the newest checkpoint's
};

// Why none of the named jobs runs again, told of the first; kOk: it is none that could.
Outcome WhyNot(Session& session, const std::string& id) {
  v1::GetJobRequest request;
  request.set_id(id);
  const auto response = session.client().GetJob(request);
  if (!response.ok()) return FromStatus(response.status());
  const v1::Job& job = response->job();
  if (job.state() == v1::SUCCEEDED) return {kRefused, "job " + id + " has succeeded: there is nothing to retry"};
  if (IsFinal(job.state())) return {};
  if (job.cancel_requested()) return {kRefused, "job " + id + " is being cancelled: retry it when it has stopped"};
  return {kRefused, "job " + id + " has not ended (" + StateCell(StateName(job.state())).text +
                        "): cancel it first, and retry it when it has stopped"};
}

Outcome Retry(Session& session, const RetryOptions& options) {
  if (options.targets.empty() == options.sweep.empty())
    return {kUsage, "retry needs sweeps or the ids of jobs; see `sinkctl retry --help`"};
  Targets named = {{options.sweep}, {}};
  if (options.sweep.empty()) {
    auto read = ReadTargets(session, options.targets);
    if (!read.ok()) return FromStatus(read.status());
    named = *std::move(read);
  }
  std::vector<v1::RetryRequest> requests;
  if (!named.jobs.empty()) {  // first: it is the one that may be refused
    v1::RetryRequest& jobs = requests.emplace_back();
    for (const std::string& id : named.jobs) jobs.add_job_ids(id);
  }
  for (const std::string& sweep : named.sweeps) requests.emplace_back().set_sweep(sweep);
  Page page;
  Json jobs = Json::array();
  for (v1::RetryRequest& request : requests) {
    if (options.from_step) request.set_from_step(*options.from_step);
    request.set_request_id(files::RandomId());  // lets the client repeat the call after a lost answer
    const auto response = session.client().Retry(request);
    if (!response.ok()) return FromStatus(response.status());
    for (const std::string& id : response->job_ids()) jobs.push_back({{"id", id}});
  }
  const size_t retried = jobs.size();
  if (retried == 0 && !named.jobs.empty()) {
    if (Outcome refused = WhyNot(session, named.jobs.front()); refused.code != kOk) return refused;
  }
  page.document = {{"retried", retried}, {"jobs", std::move(jobs)}};
  page.blocks.push_back(
      TableBlock{"jobs", {JobIdColumn("id")}, "nothing to retry: no job has failed or was cancelled"});
  if (retried > 0)
    page.blocks.push_back(TextBlock{{{Counted(retried, "job is", "jobs are") + " queued again", Style::kBold}}});
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddRetryCommand(Commands& commands) {
  args::Command command =
      commands.Add("retry", "Queue failed or cancelled jobs again, from their last checkpoint", Names::kSweepOrJob,
                   {"sinkctl retry 3f2a91c0", "sinkctl retry optimization", "sinkctl retry 3f2a91c0 --from-step 500"});
  auto options = std::make_shared<RetryOptions>();
  command.AddOption("SWEEP|ID", options->targets,
                    "Names of sweeps: each of their jobs that failed or was cancelled, but what early stopping stopped "
                    "goes on by its id alone; ids of jobs, or the first four or more digits of them");
  command.AddOption("--failed", options->sweep, "The same as naming the sweep").ValueText("SWEEP");
  command
      .AddOption("--from-step", options->from_step,
                 "Go on from the checkpoint of this step, and drop later ones and what was measured after it; 0 begins "
                 "anew, on whatever data is there")
      .ValueText("N")
      .NotNegative();
  commands.OnRun(command, [options](Session& session) { return Retry(session, *options); });
}

}  // namespace sink::cli
