// sinkctl why: what a job waits for, who has it, or how it ended, in sentences.
#include <memory>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/study/targets.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

Outcome Why(Session& session, const std::string& id) {
  if (const absl::Status named = ExpectJob(session, id); !named.ok()) return FromStatus(named);
  v1::WhyJobRequest request;
  request.set_id(id);
  const auto response = session.client().WhyJob(request);
  if (!response.ok()) return FromStatus(response.status());
  Page page;
  Json reasons = Json::array(), rungs = Json::array();
  for (const std::string& reason : response->reasons()) reasons.push_back(reason);
  for (const v1::Rung& rung : response->rungs()) {
    rungs.push_back({{"sweep", rung.sweep()},
                     {"step", rung.step()},
                     {"value", Number(rung.value())},
                     {"place", rung.place()},
                     {"peers", rung.peers()},
                     {"stopped", rung.stopped()}});
  }
  const v1::Job& job = response->job();
  page.document = {{"job", ToJson(job)}, {"reasons", std::move(reasons)}, {"rungs", rungs}};
  page.blocks.push_back(TextBlock{{{job.id().substr(0, kShortId), Style::kBold}, StateCell(StateName(job.state()))}});
  for (const std::string& reason : response->reasons()) page.blocks.push_back(TextBlock{{{"  " + Clean(reason)}}});
  if (!rungs.empty()) {
    Column stopped = {
        {"VERDICT"}, "stopped", [](const Json& row) -> Cell {
          return row["stopped"] == true ? Cell{"stopped", Style::kYellow} : Cell{"goes on", Style::kGreen};
        }};
    page.blocks.push_back(TextBlock{});
    page.blocks.push_back(
        TableBlock{"rungs",
                   {TextColumn("SWEEP", "sweep"), IntegerColumn("RUNG", "step"), FixedColumn("VALUE", "value", 4),
                    IntegerColumn("PLACE", "place"), IntegerColumn("OF", "peers"), std::move(stopped)},
                   ""});
  }
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddWhyCommand(Commands& commands) {
  args::Command command = commands.Add("why", "Say why a job waits, runs or has ended, and what to do about it",
                                       Names::kJob, {"sinkctl why 3f2a91c0", "sinkctl why 3f2a91c0 --json"});
  auto id = std::make_shared<std::string>();
  command.AddOption("ID", *id, "A job's id, or the first four or more digits of it").Required();
  commands.OnRun(command, [id](Session& session) { return Why(session, *id); });
}

}  // namespace sink::cli
