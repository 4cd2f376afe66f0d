// sinkctl cordon, drain, uncordon: which workers are given jobs.
#include <memory>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

struct HoldOptions {
  std::vector<std::string> workers;
  std::string reason;
};

Outcome Hold(Session& session, const std::string& hold, const std::string& done, const HoldOptions& options) {
  v1::HoldWorkersRequest request;
  for (const std::string& name : options.workers) request.add_names(name);
  request.set_hold(hold);
  request.set_reason(options.reason);
  const auto response = session.client().HoldWorkers(request);
  if (!response.ok()) return FromStatus(response.status());
  Page page;
  page.document = {{"workers", options.workers}, {"hold", hold}, {"reason", options.reason}};
  TextBlock line;
  for (const std::string& name : options.workers) line.pieces.push_back({name, Style::kBold});
  line.pieces.push_back({(options.workers.size() == 1 ? "gets " : "get ") + done});
  page.blocks.push_back(std::move(line));
  session.printer().Print(page);
  return {};
}

void Add(Commands& commands, const std::string& name, const std::string& description, const std::string& hold,
         const std::string& done) {
  args::Command command = commands.Add(name, description, Names::kWorker,
                                       {"sinkctl " + name + " node-7", "sinkctl " + name + " node-7 node-8"});
  auto options = std::make_shared<HoldOptions>();
  command.AddOption("WORKER", options->workers, "Workers by name, as sinkctl workers lists them").Required();
  if (hold != "none") command.AddOption("--reason", options->reason, "Shown by workers and why").ValueText("TEXT");
  commands.OnRun(command, [hold, done, options](Session& session) { return Hold(session, hold, done, *options); });
}

}  // namespace

void AddHoldCommands(Commands& commands) {
  Add(commands, "cordon", "Give workers no new jobs; what they run goes on", "cordoned", "no new jobs");
  Add(commands, "drain", "Give workers no new jobs and take back what they run, with its newest checkpoint", "draining",
      "no new jobs, and what ran there goes to others");
  Add(commands, "uncordon", "Give workers jobs again, after cordon, drain or quarantine", "none", "jobs again");
}

}  // namespace sink::cli
