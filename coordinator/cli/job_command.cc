// sinkctl job: all that is known of one.
#include <memory>
#include <string>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/study/targets.h"
#include "coordinator/cli/views/job_page.h"

namespace sink::cli {
namespace {

struct JobOptions {
  std::string id;
  bool config = false;
};

Outcome ShowJob(Session& session, const JobOptions& options) {
  if (const absl::Status named = ExpectJob(session, options.id); !named.ok()) return FromStatus(named);
  v1::GetJobRequest request;
  request.set_id(options.id);
  const auto response = session.client().GetJob(request);
  if (!response.ok()) return FromStatus(response.status());
  session.printer().Print(JobPage(*response, options.config));
  return {};
}

}  // namespace

void AddJobCommand(Commands& commands) {
  args::Command command = commands.Add("job", "Show one job: progress, attempts, checkpoints, configuration",
                                       Names::kJob, {"sinkctl job 3f2a91c0", "sinkctl job 3f2a --config"});
  auto options = std::make_shared<JobOptions>();
  command.AddOption("ID", options->id, "A job's id, or the first four or more digits of it").Required();
  command.AddFlag("--config", options->config, "Also its resolved configuration (always there with --json)");
  commands.OnRun(command, [options](Session& session) { return ShowJob(session, *options); });
}

}  // namespace sink::cli
