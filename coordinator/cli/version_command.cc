// sinkctl version.
#include "coordinator/cli/commands.h"

namespace sink::cli {
namespace {

Outcome Version(Session& session) {
  Page page;
  page.document = {{"version", SINK_VERSION}};
  page.blocks.push_back(TextBlock{{{"sinkctl"}, {SINK_VERSION}}});
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddVersionCommand(Commands& commands) {
  args::Command command =
      commands.AddLocal("version", "Print the version", Names::kNothing, {"sinkctl version", "sinkctl version --json"});
  commands.OnRun(command, Version);
}

}  // namespace sink::cli
