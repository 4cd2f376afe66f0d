// sinkctl audit: who changed what, and who was refused.
#include <memory>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

struct AuditOptions {
  int limit = 100;
  int64_t before = 0;
};

Outcome Audit(Session& session, const AuditOptions& options) {
  v1::ListAuditRequest request;
  request.set_limit(options.limit);
  request.set_before(options.before);
  const auto response = session.client().ListAudit(request);
  if (!response.ok()) return FromStatus(response.status());
  Json rows = Json::array();
  for (const v1::AuditEntry& entry : response->entries()) {
    rows.push_back({{"id", entry.id()},
                    {"time_ms", entry.time_ms()},
                    {"who", entry.who()},
                    {"from", entry.from()},
                    {"action", entry.action()},
                    {"object", entry.object()},
                    {"outcome", entry.outcome()}});
  }
  Page page;
  page.document = {{"entries", std::move(rows)}};
  page.blocks.push_back(TableBlock{
      "entries",
      {{{"TIME"}, "time_ms", [](const Json& row) -> Cell { return {FormatTime(row["time_ms"].get<int64_t>())}; }},
       TextColumn("WHO", "who", 8),
       TextColumn("ACTION", "action", 6),
       TextColumn("OBJECT", "object", 6),
       {{"OUTCOME"},
        "outcome",
        [](const Json& row) -> Cell {
          const std::string outcome = row["outcome"].get<std::string>();
          return {outcome, outcome == "ok" ? Style::kPlain : Style::kRed};
        }},
       TextColumn("FROM", "from", 8, 2)},
      "nothing yet"});
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddAuditCommand(Commands& commands) {
  args::Command command = commands.Add("audit", "Who changed what, and who was refused, newest first", Names::kNothing,
                                       {"sinkctl audit", "sinkctl audit --limit 1000 --json"});
  auto options = std::make_shared<AuditOptions>();
  command.AddOption("--limit", options->limit, "How many entries (100)").ValueText("N").Within(1, 1'000);
  command.AddOption("--before", options->before, "Those before this id, for the next page").ValueText("ID");
  commands.OnRun(command, [options](Session& session) { return Audit(session, *options); });
}

}  // namespace sink::cli
