// sinkctl cancel: stop jobs, or all jobs of a sweep.
#include <memory>
#include <string>
#include <vector>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/study/targets.h"
#include "coordinator/cli/study/whole_sweep.h"
#include "coordinator/cli/views/views.h"
#include "proto/base/counted.h"
#include "proto/files/random_id.h"

namespace sink::cli {
namespace {

Outcome Cancel(Session& session, const std::vector<std::string>& targets) {
  const auto named = ReadTargets(session, targets);
  if (!named.ok()) return FromStatus(named.status());
  std::vector<v1::CancelRequest> requests;
  if (!named->jobs.empty()) {  // first: it is the one that may be refused
    v1::CancelRequest& jobs = requests.emplace_back();
    for (const std::string& id : named->jobs) jobs.add_job_ids(id);
  }
  for (const std::string& sweep : named->sweeps) requests.emplace_back().set_sweep(sweep);
  int cancelled = 0, requested = 0;
  std::vector<std::string> with_kept;  // sweeps of which jobs go on, if none of the sweeps named after them has these
  for (v1::CancelRequest& request : requests) {
    request.set_request_id(files::RandomId());  // lets the client repeat the call after a lost answer
    const auto response = session.client().Cancel(request);
    if (!response.ok()) return FromStatus(response.status());
    cancelled += response->cancelled();
    requested += response->requested();
    if (response->kept() > 0) with_kept.push_back(request.sweep());
  }
  JobsOfOthers kept;
  for (const std::string& sweep : with_kept) {
    const auto status = ReadSweep(session, sweep);
    if (!status.ok()) return FromStatus(status.status());
    AddJobsOfOthers(*status, &kept);
  }
  Page page;
  page.document = {
      {"cancelled", cancelled}, {"requested", requested}, {"kept", kept.jobs.size()}, {"kept_for", kept.sweeps}};
  if (cancelled + requested == 0 && kept.jobs.empty()) {
    page.blocks.push_back(TextBlock{{{"nothing to cancel: every job has ended"}}});
  } else {
    page.blocks.push_back(TextBlock{{{Counted(cancelled, "waiting job") + " cancelled"},
                                     {Counted(requested, "running job") + " asked to save and stop"}}});
  }
  if (!kept.jobs.empty())
    page.blocks.push_back(TextBlock{{{GoesOnText(kept)}, {"cancel it by its id to end it for all", Style::kDim}}});
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddCancelCommand(Commands& commands) {
  args::Command command =
      commands.Add("cancel", "Stop jobs, or those of a sweep that no other sweep wants; what is finished is kept",
                   Names::kSweepOrJob, {"sinkctl cancel optimization", "sinkctl cancel 3f2a91c0 77b01d2e"});
  auto targets = std::make_shared<std::vector<std::string>>();
  command.AddOption("SWEEP|ID", *targets, "Names of sweeps, ids of jobs").Required();
  commands.OnRun(command, [targets](Session& session) { return Cancel(session, *targets); });
}

}  // namespace sink::cli
