// sinkctl submit: expand a sweep file here, so that a mistake is told at once, and have the coordinator store its jobs.
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
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

// How many of the jobs are such; one that is listed twice counts once.
int CountJobs(const v1::SubmitSweepResponse& response, absl::FunctionRef<bool(const v1::SubmittedJob&)> are_such) {
  std::set<std::string> ids;
  for (const v1::SubmittedJob& job : response.jobs())
    if (are_such(job)) ids.insert(job.id());
  return static_cast<int>(ids.size());
}

// Queues the sweep's jobs again that have failed or were cancelled; returns which were.
absl::StatusOr<std::set<std::string>> RetrySweep(Session& session, const std::string& sweep) {
  v1::RetryRequest request;
  request.set_sweep(sweep);
  request.set_request_id(files::RandomId());  // lets the client repeat the call after a lost answer
  const auto response = session.client().Retry(request);
  if (!response.ok()) return response.status();
  return std::set<std::string>(response->job_ids().begin(), response->job_ids().end());
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

// Of those that were being cancelled: that they go on.
void AddResumed(const v1::SubmitSweepResponse& response, bool dry_run, Page* page) {
  const int resumed = CountJobs(response, [](const v1::SubmittedJob& job) { return job.cancel_taken_back(); });
  if (resumed == 0) return;
  const char* what = dry_run        ? "being cancelled and would go on"
                     : resumed == 1 ? "being cancelled and goes on"
                                    : "being cancelled and go on";
  page->blocks.push_back(
      TextBlock{{{Counted(resumed, "stored job was ", "stored jobs were ") + what, Style::kYellow}}});
}

Cell SubmittedCell(const Json& row, bool dry_run) {
  if (row["repeated"] == true) return {"same job as above", Style::kDim};
  if (row["added"] == true) return {dry_run ? "would be added" : "added", Style::kGreen};
  if (row["retried"] == true) return {"stored, queued again", Style::kGreen};
  if (row["cancel_taken_back"] == true) return {dry_run ? "stored, would go on" : "stored, goes on", Style::kYellow};
  const std::string state = row["state"].get<std::string>();
  if (state == "FAILED" || state == "CANCELLED") return {"stored, " + StateCell(state).text, StateCell(state).style};
  return {"stored already", Style::kDim};
}

// The workers, which say why the sweep's models and data sets are missing; none where none is missing, or nobody can
// say: what was submitted is told all the same.
v1::ListWorkersResponse WorkersToBlame(Session& session, const v1::SubmitSweepResponse& response) {
  if (response.missing_models_size() == 0 && response.missing_sets_size() == 0) return {};
  auto workers = session.client().ListWorkers({});
  return workers.ok() ? *std::move(workers) : v1::ListWorkersResponse();
}

// `retried`: the ids of those that were queued again; nothing where that was not asked for.
Page SubmittedPage(const v1::SubmitSweepResponse& response, const v1::ListWorkersResponse& workers, bool dry_run,
                   const std::optional<std::set<std::string>>& retried) {
  const auto was_retried = [&](const std::string& id) { return retried && retried->contains(id); };
  const auto queued_again = retried ? std::optional(static_cast<int>(retried->size())) : std::nullopt;
  Page page;
  Json jobs = Json::array();
  std::set<std::string> seen;
  for (const v1::SubmittedJob& job : response.jobs())
    jobs.push_back({{"id", job.id()},
                    {"experiment", job.experiment()},
                    {"label", job.label()},
                    {"repeated", !seen.insert(job.id()).second},
                    {"added", job.added()},
                    {"retried", was_retried(job.id())},
                    {"cancel_taken_back", job.cancel_taken_back()},
                    {"state", StateName(was_retried(job.id()) ? v1::QUEUED : job.state())}});
  page.document = {{"sweep", response.sweep()},           {"dry_run", dry_run},
                   {"added", response.added()},           {"removed", response.removed()},
                   {"retried", queued_again.value_or(0)}, {"jobs", std::move(jobs)}};

  Column label = TextColumn("SETTING", "label", kLabelWidth);
  label.show = [](const Json& row) -> Cell { return {ShortLabel(row["label"].get<std::string>())}; };
  Column added = {{""}, "added", [dry_run](const Json& row) { return SubmittedCell(row, dry_run); }};
  page.blocks.push_back(
      TableBlock{"jobs",
                 {JobIdColumn("id"), TextColumn("EXPERIMENT", "experiment", 12, 1), std::move(label), std::move(added)},
                 ""});
  TextBlock summary = {{{response.sweep() + ": " + Counted(response.jobs_size(), "job") + ", " +
                             std::to_string(response.added()) + " new",
                         Style::kBold}}};
  if (response.removed() > 0) {
    summary.pieces.push_back({"no longer named: " + std::to_string(response.removed()) +
                              " of an earlier version; what has not ended goes on"});
    if (!dry_run)
      summary.pieces.push_back(
          {"sinkctl cancel " + response.sweep() + " ends them, with the rest of the sweep", Style::kDim});
  }
  if (dry_run) summary.pieces.push_back({"(dry run: nothing was stored)", Style::kDim});
  page.blocks.push_back(std::move(summary));
  AddResumed(response, dry_run, &page);
  AddEnded(CountJobs(response, WillNotRun), queued_again, &page);
  AddAvailability(response, workers, &page);
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
    std::optional<std::set<std::string>> retried;
    if (options.retry) retried.emplace();
    if (options.retry && CountJobs(*response, WillNotRun) > 0) {
      auto queued = RetrySweep(session, response->sweep());
      if (!queued.ok()) return FromStatus(queued.status());
      retried = *std::move(queued);
    }
    Page page = SubmittedPage(*response, WorkersToBlame(session, *response), options.dry_run, retried);
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
