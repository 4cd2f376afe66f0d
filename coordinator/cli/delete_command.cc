// sinkctl delete: a sweep that nobody needs any more, with what its jobs have left.
#include <memory>
#include <optional>
#include <string>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/print/terminal_text.h"
#include "proto/base/counted.h"
#include "proto/files/random_id.h"

namespace sink::cli {
namespace {

struct DeleteOptions {
  std::string sweep;
  bool yes = false;
  bool force = false;
};

constexpr int kTriesToDelete = 600;  // a second apart, while cancelled jobs save and stop

// Asks on the terminal. An outcome when it is not to be done.
std::optional<Outcome> AskFirst(Session& session, const DeleteOptions& options) {
  v1::GetSweepRequest request;
  request.set_name(options.sweep);
  request.set_without_jobs(true);
  const auto found = session.client().GetSweep(request);
  if (!found.ok()) return FromStatus(found.status());
  if (options.yes) return std::nullopt;
  World& world = session.world();
  if (!world.err_is_terminal)
    return Outcome{kUsage,
                   "delete takes curves, logs and checkpoints away for good; say --yes where nobody can be asked"};
  const int jobs = found->sweep().jobs();
  world.err << "Delete " << Clean(options.sweep) << ", " << Counted(jobs, "job")
            << " with their curves, logs and checkpoints, for good? Type yes: " << std::flush;
  std::string answer;
  std::getline(world.in, answer);
  if (answer == "yes") return std::nullopt;
  return Outcome{kRefused, "nothing was deleted"};
}

Outcome Delete(Session& session, const DeleteOptions& options) {
  if (auto refusal = AskFirst(session, options)) return *std::move(refusal);
  if (options.force) {
    v1::CancelRequest cancel;
    cancel.set_sweep(options.sweep);
    if (const auto cancelled = session.client().Cancel(cancel); !cancelled.ok()) return FromStatus(cancelled.status());
  }
  v1::DeleteSweepRequest request;
  request.set_name(options.sweep);
  request.set_request_id(files::RandomId());  // lets the client repeat the call after a lost answer
  auto response = session.client().DeleteSweep(request);
  for (int tries = 0; options.force && absl::IsFailedPrecondition(response.status()) && tries < kTriesToDelete;
       ++tries) {
    if (tries == 0)
      session.world().err << "sinkctl: jobs that run are saving; it is deleted when they have" << std::endl;
    if (!session.world().interrupt.Sleep(absl::Seconds(1)))
      return {kInterrupted, "interrupted; the sweep was cancelled, and not deleted"};
    response = session.client().DeleteSweep(request);
  }
  if (absl::IsFailedPrecondition(response.status()) && !options.force)
    return {kRefused, std::string(response.status().message()) + ", or --force does both"};
  if (!response.ok()) return FromStatus(response.status());
  Page page;
  page.document = {{"sweep", options.sweep}, {"deleted", response->deleted()}, {"kept", response->kept()}};
  page.blocks.push_back(TextBlock{{{options.sweep + " is deleted, with"}, {Counted(response->deleted(), "job")}}});
  if (response->kept() > 0)
    page.blocks.push_back(TextBlock{{{Counted(response->kept(), "job stays", "jobs stay") + ": another sweep has " +
                                      (response->kept() == 1 ? "it" : "them")}}});
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddDeleteCommand(Commands& commands) {
  args::Command command =
      commands.Add("delete",
                   "Delete a sweep that has ended: its jobs with their curves, logs and checkpoints, but for those "
                   "that another sweep has",
                   Names::kSweep, {"sinkctl delete first-try", "sinkctl delete first-try --force --yes"});
  auto options = std::make_shared<DeleteOptions>();
  command.AddOption("SWEEP", options->sweep, "A sweep's name").Required();
  command.AddFlag("-y,--yes", options->yes, "Do not ask");
  command.AddFlag("--force", options->force, "Cancel it first, where it has not ended");
  commands.OnRun(command, [options](Session& session) { return Delete(session, *options); });
}

}  // namespace sink::cli
