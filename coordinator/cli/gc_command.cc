// sinkctl gc: thins the curves of jobs that ended long ago, now.
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/views/views.h"
#include "proto/base/counted.h"

namespace sink::cli {
namespace {

struct GcOptions {
  std::string older_than;
  int keep_best = 0;
  bool dry_run = false;
};

// "30d" or what absl reads: "12h". Zero when it is neither.
absl::Duration ParseAge(const std::string& text) {
  absl::string_view number = text;
  int days = 0;
  if (absl::ConsumeSuffix(&number, "d") && absl::SimpleAtoi(number, &days)) return days * absl::Hours(24);
  absl::Duration age;
  return absl::ParseDuration(text, &age) ? age : absl::ZeroDuration();
}

Outcome CollectGarbage(Session& session, const GcOptions& options) {
  const absl::Duration age = ParseAge(options.older_than);
  if (age <= absl::ZeroDuration() || age == absl::InfiniteDuration())
    return {kUsage, "--older-than " + options.older_than + ": write a time such as 30d or 12h"};
  v1::CollectGarbageRequest request;
  request.set_older_than_ms(absl::ToInt64Milliseconds(age));
  request.set_keep_best(options.keep_best);
  request.set_dry_run(options.dry_run);
  const auto response = session.client().CollectGarbage(request);
  if (!response.ok()) return FromStatus(response.status());
  const int64_t gone = response->points_before() - response->points_after();
  Page page;
  page.document = {{"dry_run", options.dry_run},
                   {"jobs", response->jobs()},
                   {"points_before", response->points_before()},
                   {"points_after", response->points_after()}};
  page.blocks.push_back(TextBlock{
      {{Counted(response->jobs(), "job")},
       {FormatCount(static_cast<double>(gone)) + " of " + FormatCount(static_cast<double>(response->points_before())) +
        " points " + (options.dry_run ? "would go" : "are gone")}}});
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddGcCommand(Commands& commands) {
  args::Command command = commands.Add(
      "gc", "Thin the curves of jobs that ended long ago: some points of each stay, evenly spaced", Names::kNothing,
      {"sinkctl gc --older-than 30d --dry-run", "sinkctl gc --older-than 90d --keep-best 10"});
  auto options = std::make_shared<GcOptions>();
  command.AddOption("--older-than", options->older_than, "Jobs that ended so long ago, e.g. 30d")
      .ValueText("TIME")
      .Required();
  command.AddOption("--keep-best", options->keep_best, "So many of each sweep's best jobs keep all their points")
      .ValueText("N");
  command.AddFlag("--dry-run", options->dry_run, "Say what would go and change nothing");
  commands.OnRun(command, [options](Session& session) { return CollectGarbage(session, *options); });
}

}  // namespace sink::cli
