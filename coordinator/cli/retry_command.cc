// sinkctl retry: queue failed or cancelled jobs once more; they go on from their last checkpoint.
#include <memory>
#include <optional>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

struct RetryOptions {
  std::vector<std::string> ids;
  std::string sweep;
  std::optional<int64_t> from_step;  // none: the newest checkpoint's
};

Outcome Retry(Session& session, const RetryOptions& options) {
  if (options.ids.empty() == options.sweep.empty())
    return {kUsage, "retry needs the ids of jobs, or --failed SWEEP; see `sinkctl retry --help`"};
  v1::RetryRequest request;
  request.set_sweep(options.sweep);
  for (const std::string& id : options.ids) request.add_job_ids(id);
  if (options.from_step) request.set_from_step(*options.from_step);
  const auto response = session.client().Retry(request);
  if (!response.ok()) return FromStatus(response.status());
  Page page;
  Json jobs = Json::array();
  for (const std::string& id : response->job_ids()) jobs.push_back({{"id", id}});
  page.document = {{"retried", response->job_ids_size()}, {"jobs", std::move(jobs)}};
  page.blocks.push_back(
      TableBlock{"jobs", {JobIdColumn("id")}, "nothing to retry: no job has failed or was cancelled"});
  if (response->job_ids_size() > 0)
    page.blocks.push_back(TextBlock{{{std::to_string(response->job_ids_size()) + " jobs queued again", Style::kBold}}});
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddRetryCommand(Commands& commands) {
  args::Command command = commands.Add(
      "retry", "Queue failed or cancelled jobs again, from their last checkpoint", Names::kJob,
      {"sinkctl retry 3f2a91c0", "sinkctl retry --failed optimization", "sinkctl retry 3f2a91c0 --from-step 500"});
  auto options = std::make_shared<RetryOptions>();
  command.AddOption("ID", options->ids, "Ids of jobs, or the first four or more digits of them");
  command
      .AddOption(
          "--failed", options->sweep,
          "Every job of this sweep that failed or was cancelled; what early stopping stopped goes on by its id alone")
      .ValueText("SWEEP");
  command
      .AddOption("--from-step", options->from_step,
                 "Go on from the checkpoint of this step and drop later ones; 0 begins anew, on whatever data is there")
      .ValueText("N")
      .NotNegative();
  commands.OnRun(command, [options](Session& session) { return Retry(session, *options); });
}

}  // namespace sink::cli
