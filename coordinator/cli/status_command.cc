// sinkctl status: everything at a glance, or one sweep job by job; once, or live.
#include <memory>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/study/row_choice.h"
#include "coordinator/cli/study/whole_sweep.h"
#include "coordinator/cli/views/follow.h"
#include "coordinator/cli/views/overview.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

struct StatusOptions {
  std::string sweep;
  bool watch = false;
  RowChoice rows;
};

Outcome Status(Session& session, const StatusOptions& options) {
  if (options.rows.any() && (options.watch || options.sweep.empty()))
    return {kUsage,
            "--state, --experiment, --sort and --reverse choose among the jobs of a sweep: name it, without "
            "--watch; across sweeps: sinkctl jobs"};
  if (options.watch) return options.sweep.empty() ? FollowAll(session) : FollowSweep(session, options.sweep);
  if (options.sweep.empty()) {
    const auto overview = FetchOverview(session);
    if (!overview.ok()) return FromStatus(overview.status());
    session.printer().Print(OverviewPage(*overview, session.coordinator));
    return {};
  }
  const auto status = ReadSweep(session, options.sweep);
  if (!status.ok()) return FromStatus(status.status());
  Page page = SweepPage(*status, session.world().now_ms());
  if (const absl::Status chosen = ChooseRows(options.rows, &page.document["jobs"]); !chosen.ok())
    return FromStatus(chosen);
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddStatusCommand(Commands& commands) {
  args::Command command =
      commands.Add("status", "Show all sweeps, or the jobs of one: steps, loss, sink rate, ETA", Names::kSweep,
                   {"sinkctl status --watch", "sinkctl status optimization --state failed --json",
                    "sinkctl status optimization --sort valid"});
  auto options = std::make_shared<StatusOptions>();
  command.AddOption("SWEEP", options->sweep, "A sweep's name; all sweeps without it");
  command.AddFlag("-w,--watch", options->watch, "Stay, and show what changes until every job has ended");
  AddRowChoice(command, &options->rows);
  command.AddOption("--experiment", options->rows.experiment, "Only jobs of this experiment").ValueText("NAME");
  commands.OnRun(command, [options](Session& session) { return Status(session, *options); });
}

}  // namespace sink::cli
