// sinkctl priority: put the jobs of a sweep that have not ended before those of others, or behind them.
#include <memory>

#include "coordinator/cli/commands.h"
#include "proto/base/counted.h"

namespace sink::cli {
namespace {

struct PriorityOptions {
  std::string sweep;
  int64_t priority = 0;
};

Outcome SetPriority(Session& session, const PriorityOptions& options) {
  v1::SetPriorityRequest request;
  request.set_sweep(options.sweep);
  request.set_priority(static_cast<int32_t>(options.priority));
  const auto response = session.client().SetPriority(request);
  if (!response.ok()) return FromStatus(response.status());
  Page page;
  page.document = {{"sweep", options.sweep}, {"priority", options.priority}, {"changed", response->changed()}};
  const std::string jobs = Counted(response->changed(), "job has", "jobs have");
  page.blocks.push_back(
      TextBlock{{{options.sweep, Style::kBold},
                 {response->changed() == 0 ? "no job that has not ended had another priority"
                                           : jobs + " priority " + std::to_string(options.priority) + " now"}}});
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddPriorityCommand(Commands& commands) {
  args::Command command = commands.Add(
      "priority", "Put the jobs of a sweep that have not ended before those of others, or behind them", Names::kSweep,
      {"sinkctl priority optimization --to -10", "sinkctl priority optimization --to 5   # an admin's to give"});
  auto options = std::make_shared<PriorityOptions>();
  command.AddOption("SWEEP", options->sweep, "A sweep's name").Required();
  command
      .AddOption("--to", options->priority,
                 "Larger goes first; submitted with 0 unless the file or --priority says otherwise")
      .ValueText("N")
      .Within(-1000, 1000)
      .Required();
  commands.OnRun(command, [options](Session& session) { return SetPriority(session, *options); });
}

}  // namespace sink::cli
