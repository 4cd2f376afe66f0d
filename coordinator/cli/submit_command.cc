// sinkctl submit: expand a sweep file here, so that a mistake is told at once, and have the coordinator store its jobs.
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/study/submission.h"
#include "coordinator/cli/study/sweep_files.h"
#include "coordinator/cli/views/follow.h"
#include "coordinator/cli/views/views.h"
#include "proto/base/counted.h"
#include "proto/files/random_id.h"

namespace sink::cli {
namespace {

struct SubmitOptions {
  std::vector<std::string> files;
  std::vector<std::string> profiles;
  SweepChanges changes;
  bool dry_run = false;
  bool follow = false;
  bool retry = false;
  bool replace = false;
};

bool WillNotRun(const v1::SubmittedJob& job) {
  return !job.added() && (job.state() == v1::FAILED || job.state() == v1::CANCELLED);
}

// How many of the stored jobs have failed or were cancelled; one that is listed twice counts once.
int CountEnded(const v1::SubmitSweepResponse& response) {
  std::set<std::string> ids;
  for (const v1::SubmittedJob& job : response.jobs())
    if (WillNotRun(job)) ids.insert(job.id());
  return static_cast<int>(ids.size());
}

// Queues the sweep's jobs again that have ended so; returns how many were.
absl::StatusOr<int> RetrySweep(Session& session, const std::string& sweep) {
  v1::RetryRequest request;
  request.set_sweep(sweep);
  request.set_request_id(files::RandomId());  // lets the client repeat the call after a lost answer
  const auto response = session.client().Retry(request);
  if (!response.ok()) return response.status();
  return response->job_ids_size();
}

// Of those that are stored and have ended without success: how they would be queued again, or how many are now. What
// early stopping stopped is not: that is what the sweep asked for.
void AddEnded(int ended, const std::optional<int>& queued_again, Page* page) {
  const auto jobs = [](int count) { return Counted(count, "stored job"); };
  if (!queued_again && ended > 0)
    page->blocks.push_back(TextBlock{
        {{jobs(ended) + (ended == 1 ? " has" : " have") + " failed or been cancelled and will not run", Style::kYellow},
         {"submit --retry queues them again"}}});
  if (queued_again.value_or(0) > 0)
    page->blocks.push_back(TextBlock{{{jobs(*queued_again) + " queued again", Style::kGreen}}});
  if (queued_again && ended > *queued_again)
    page->blocks.push_back(TextBlock{{{jobs(ended - *queued_again) + " stopped early and left so", Style::kYellow},
                                      {"sinkctl retry JOB lets one go on"}}});
}

// `queued_again`: nothing where that was not asked for.
Page SubmittedPage(const v1::SubmitSweepResponse& response, bool dry_run, const std::optional<int>& queued_again) {
  Page page;
  Json jobs = Json::array();
  std::set<std::string> seen;
  for (const v1::SubmittedJob& job : response.jobs())
    jobs.push_back({{"id", job.id()},
                    {"experiment", job.experiment()},
                    {"label", job.label()},
                    {"repeated", !seen.insert(job.id()).second},
                    {"added", job.added()},
                    {"state", StateName(job.state())}});
  page.document = {{"sweep", response.sweep()},           {"dry_run", dry_run},
                   {"added", response.added()},           {"removed", response.removed()},
                   {"retried", queued_again.value_or(0)}, {"jobs", std::move(jobs)}};

  Column label = TextColumn("SETTING", "label", kLabelWidth);
  label.show = [](const Json& row) -> Cell { return {ShortLabel(row["label"].get<std::string>())}; };
  Column added = {{""}, "added", [dry_run](const Json& row) -> Cell {
                    if (row["repeated"] == true) return {"same job as above", Style::kDim};
                    if (row["added"] == false) {
                      const std::string state = row["state"].get<std::string>();
                      if (state == "FAILED" || state == "CANCELLED") {
                        return {"stored, " + StateCell(state).text, StateCell(state).style};
                      }
                      return {"stored already", Style::kDim};
                    }
                    return {dry_run ? "would be added" : "added", Style::kGreen};
                  }};
  page.blocks.push_back(
      TableBlock{"jobs",
                 {JobIdColumn("id"), TextColumn("EXPERIMENT", "experiment", 12, 1), std::move(label), std::move(added)},
                 ""});
  TextBlock summary = {{{response.sweep() + ": " + Counted(response.jobs_size(), "job") + ", " +
                             std::to_string(response.added()) + " new",
                         Style::kBold}}};
  if (response.removed() > 0)
    summary.pieces.push_back(
        {"no longer named, and left to run: " + std::to_string(response.removed()) + " of an earlier version"});
  if (dry_run) summary.pieces.push_back({"(dry run: nothing was stored)", Style::kDim});
  page.blocks.push_back(std::move(summary));
  AddEnded(CountEnded(response), queued_again, &page);
  AddAvailability(response, &page);
  return page;
}

Outcome RunSubmit(Session& session, const SubmitOptions& options) {
  if (!options.changes.name.empty() && options.files.size() > 1)
    return {kUsage, "--name names one sweep; give one file"};
  std::vector<SweepFiles> sweeps;
  for (const std::string& file : options.files) {  // a mistake in the last one must not leave the first ones stored
    auto files = LoadSweep(file, options.profiles, options.changes, session.world().in);
    if (!files.ok()) return {kBadFile, std::string(files.status().message())};
    sweeps.push_back(*std::move(files));
  }
  const bool stream = options.follow || sweeps.size() > 1;
  for (const SweepFiles& files : sweeps) {
    const auto response = Submit(session, files, options.dry_run, options.replace);
    if (!response.ok()) return FromStatus(response.status());
    std::optional<int> retried;
    if (options.retry) {
      const auto queued = CountEnded(*response) > 0 ? RetrySweep(session, response->sweep()) : 0;
      if (!queued.ok()) return FromStatus(queued.status());
      retried = *queued;
    }
    Page page = SubmittedPage(*response, options.dry_run, retried);
    AddChangesNothing(files, &page);
    AddRepeats(files, &page);
    if (stream && session.format() == Format::kJson) {
      session.printer().PrintItem(page.document, {});
    } else {
      session.printer().Print(page);
    }
  }
  if (!options.follow) return {};
  Outcome worst;
  for (const SweepFiles& files : sweeps) {
    const Outcome outcome = FollowSweep(session, files.sweep.name);
    if (outcome.code == kInterrupted) return outcome;
    if (outcome.code != kOk) worst = outcome;
  }
  return worst;
}

}  // namespace

void AddSubmitCommand(Commands& commands) {
  args::Command command = commands.Add(
      "submit", "Expand a sweep file and store its jobs; submitting twice adds nothing", Names::kFile,
      {"sinkctl submit sweeps/optimization.yaml --profile laptop", "sinkctl submit sweeps/quickstart.yaml --follow",
       "sinkctl submit sweeps/*.yaml --profile ci --follow",
       "sinkctl submit sweeps/quickstart.yaml --set train.weight_decay=0.1 --name decayed"});
  auto options = std::make_shared<SubmitOptions>();
  command.AddOption("FILE", options->files, "Sweep files, - for standard input; a mistake in one of them stores none")
      .Required();
  command.AddOption("--profile", options->profiles, "Lay a profile over it: a path, or the name of profiles/NAME.yaml")
      .ValueText("NAME|PATH")
      .OneValueEach();
  AddChanges(command, &options->changes);
  const args::Option dry_run = command.AddFlag("--dry-run", options->dry_run, "Say what would be added; store nothing");
  command
      .AddFlag("--retry", options->retry,
               "Queue its stored jobs again that have failed or were cancelled, but not those that were stopped early")
      .Excludes(dry_run);
  command.AddFlag("--replace", options->replace,
                  "Take the place of another study of this name, with which it has no experiment in common");
  command.AddFlag("--follow", options->follow, "Then watch the sweep until every job has ended").Excludes(dry_run);
  commands.OnRun(command, [options](Session& session) { return RunSubmit(session, *options); });
}

}  // namespace sink::cli
