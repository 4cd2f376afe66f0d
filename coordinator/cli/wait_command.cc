// sinkctl wait: until sweeps and jobs have ended, for scripts.
#include <memory>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/study/targets.h"
#include "coordinator/cli/views/follow.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

// `worst` stays the first that went wrong.
void Keep(Outcome outcome, Outcome* worst) {
  if (worst->code == kOk) *worst = std::move(outcome);
}

Outcome Wait(Session& session, const std::vector<std::string>& words) {
  const auto named = ReadTargets(session, words);
  if (!named.ok()) return FromStatus(named.status());
  Page page;
  Json sweeps = Json::array(), jobs = Json::array();
  Outcome worst;
  for (const std::string& sweep : named->sweeps) {
    v1::GetSweepResponse last;
    Outcome outcome = WaitForSweep(session, sweep, &last);
    if (outcome.code != kOk && outcome.code != kFailedWork) return outcome;
    Keep(std::move(outcome), &worst);
    sweeps.push_back(ToJson(last.sweep()));
    TextBlock line = {{{sweep, Style::kBold}}};
    for (Cell& count : StateCounts(sweeps.back()["states"])) line.pieces.push_back(std::move(count));
    JobsOfOthers kept;
    AddJobsOfOthers(last, &kept);
    if (!kept.jobs.empty()) line.pieces.push_back({GoesOnText(kept)});
    page.blocks.push_back(std::move(line));
  }
  for (const std::string& id : named->jobs) {
    v1::Job last;
    Outcome outcome = WaitForJob(session, id, &last);
    if (outcome.code != kOk && outcome.code != kFailedWork) return outcome;
    Keep(std::move(outcome), &worst);
    jobs.push_back(ToJson(last));
    page.blocks.push_back(
        TextBlock{{{last.id().substr(0, kShortId), Style::kBold}, StateCell(StateName(last.state()))}});
  }
  page.document = {{"sweeps", std::move(sweeps)}, {"jobs", std::move(jobs)}};
  session.printer().Print(page);
  return worst;
}

}  // namespace

void AddWaitCommand(Commands& commands) {
  args::Command command = commands.Add(
      "wait", "Wait until sweeps or jobs have ended; exit 1 when one of them did not succeed or was cancelled",
      Names::kSweepOrJob,
      {"sinkctl wait optimization && sinkctl report optimization", "sinkctl wait 3f2a91c0 77b01d2e"});
  auto targets = std::make_shared<std::vector<std::string>>();
  command.AddOption("SWEEP|ID", *targets, "Names of sweeps, ids of jobs").Required();
  commands.OnRun(command, [targets](Session& session) { return Wait(session, *targets); });
}

}  // namespace sink::cli
