// sinkctl cancel: stop jobs, or all jobs of a sweep.
#include <memory>
#include <string>
#include <utility>
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
  // Sweeps of which so many jobs go on, if none of the sweeps that are named after them has these.
  std::vector<std::pair<std::string, int>> with_kept;
  for (v1::CancelRequest& request : requests) {
    request.set_request_id(files::RandomId());  // lets the client repeat the call after a lost answer
    const auto response = session.client().Cancel(request);
    if (!response.ok()) return FromStatus(response.status());
    cancelled += response->cancelled();
    requested += response->requested();
    if (response->kept() > 0) with_kept.emplace_back(request.sweep(), response->kept());
  }
  JobsOfOthers kept;
  size_t unnamed = 0;  // jobs that go on, of sweeps that cannot be read: what was cancelled is told all the same
  for (const auto& [sweep, count] : with_kept) {
    if (const auto status = ReadSweep(session, sweep); status.ok()) {
      AddJobsOfOthers(*status, &kept);
    } else {
      unnamed += static_cast<size_t>(count);
    }
  }
  const size_t going_on = kept.jobs.size() + unnamed;
  Page page;
  page.document = {{"cancelled", cancelled}, {"requested", requested}, {"kept", going_on}, {"kept_for", kept.sweeps}};
  if (cancelled + requested == 0 && going_on == 0) {
    page.blocks.push_back(TextBlock{{{"nothing to cancel: every job has ended"}}});
  } else {
    page.blocks.push_back(TextBlock{{{Counted(cancelled, "waiting job") + " cancelled"},
                                     {Counted(requested, "running job") + " asked to save and stop"}}});
  }
  TextBlock others;
  if (!kept.jobs.empty()) others.pieces.push_back({GoesOnText(kept)});
  if (unnamed > 0)
    others.pieces.push_back(
        {Counted(unnamed, "job goes on, which another sweep wants", "jobs go on, which other sweeps want")});
  if (going_on > 0) {
    others.pieces.push_back(
        {going_on == 1 ? "cancel it by its id to end it for all" : "cancel them by their ids to end them for all",
         Style::kDim});
    page.blocks.push_back(std::move(others));
  }
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
