// sinkctl cancel: stop jobs, or all jobs of a sweep.
#include <algorithm>
#include <memory>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/views/documents.h"

namespace sink::cli {
namespace {

// Whether it may be the id of a job, or begin one.
bool MayBeId(const std::string& text) { return text.find_first_not_of("0123456789abcdef") == std::string::npos; }

Outcome Cancel(Session& session, const std::vector<std::string>& targets) {
  const auto sweeps = session.client().ListSweeps({});
  if (!sweeps.ok()) return FromStatus(sweeps.status());
  // A name that is a sweep's means the sweep; everything else is a job's id.
  std::vector<v1::CancelRequest> requests;
  v1::CancelRequest jobs;
  for (const std::string& target : targets) {
    const bool is_sweep = std::any_of(sweeps->sweeps().begin(), sweeps->sweeps().end(),
                                      [&](const v1::Sweep& sweep) { return sweep.name() == target; });
    if (is_sweep) {
      requests.emplace_back().set_sweep(target);
    } else if (!MayBeId(target)) {
      return {kNotFound,
              "there is no sweep \"" + target + "\", nor is that the id of a job; see them with: sinkctl status"};
    } else {
      jobs.add_job_ids(target);
    }
  }
  if (jobs.job_ids_size() > 0) requests.insert(requests.begin(), jobs);  // first: it is the one that may be refused
  int cancelled = 0, requested = 0, kept = 0;
  for (const v1::CancelRequest& request : requests) {
    const auto response = session.client().Cancel(request);
    if (!response.ok()) return FromStatus(response.status());
    cancelled += response->cancelled();
    requested += response->requested();
    kept += response->kept();
  }
  Page page;
  page.document = {{"cancelled", cancelled}, {"requested", requested}, {"kept", kept}};
  if (cancelled + requested + kept == 0) {
    page.blocks.push_back(TextBlock{{{"nothing to cancel: every job has ended"}}});
  } else {
    page.blocks.push_back(TextBlock{{{std::to_string(cancelled) + " waiting jobs cancelled,"},
                                     {std::to_string(requested) + " running jobs asked to save and stop"}}});
  }
  if (kept > 0)
    page.blocks.push_back(TextBlock{{{std::to_string(kept) + (kept == 1 ? " job goes on" : " jobs go on") +
                                      ": another sweep wants " + (kept == 1 ? "it" : "them")},
                                     {"cancel it by its id to end it for all", Style::kDim}}});
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
