// sinkctl delete: a sweep that nobody needs any more, with what its jobs have left.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/views/documents.h"
#include "coordinator/cli/views/follow.h"
#include "proto/base/counted.h"
#include "proto/files/random_id.h"

namespace sink::cli {
namespace {

struct DeleteOptions {
  std::string sweep;
  bool yes = false;
  bool force = false;
};

// The sweep without its jobs.
absl::StatusOr<v1::Sweep> ReadAlone(Session& session, const std::string& name) {
  v1::GetSweepRequest request;
  request.set_name(name);
  request.set_without_jobs(true);
  auto response = session.client().GetSweep(request);
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_sweep());
}

// Asks on the terminal. An outcome when it is not to be done.
std::optional<Outcome> AskFirst(Session& session, const v1::Sweep& sweep, bool yes) {
  if (yes) return std::nullopt;
  World& world = session.world();
  if (!world.err_is_terminal)
    return Outcome{kUsage,
                   "delete takes curves, logs and checkpoints away for good; say --yes where nobody can be asked"};
  world.err << "Delete " << Clean(sweep.name()) << ", " << Counted(sweep.jobs(), "job")
            << " with their curves, logs and checkpoints, for good? Type yes: " << std::flush;
  std::string answer;
  std::getline(world.in, answer);
  if (answer == "yes") return std::nullopt;
  return Outcome{kRefused, "nothing was deleted"};
}

// Each refused try is a row of the audit.
constexpr absl::Duration kFirstWait = absl::Seconds(1), kLongestWait = absl::Seconds(30);

Outcome LeftCancelled() { return {kInterrupted, "interrupted; the sweep was cancelled, and not deleted"}; }

// Whether the sweep has to wait for the job: no other sweep wants it, and it has not ended.
bool HoldsUp(const v1::Job& job, const std::string& sweep) {
  return !IsFinal(job.state()) &&
         std::all_of(job.sweeps().begin(), job.sweeps().end(),
                     [&](const v1::Membership& place) { return place.sweep() == sweep || place.withdrawn(); });
}

// Cancels the sweep and waits until its jobs have saved and stopped, or somebody has asked for it again. Where somebody
// has since `sweep` was read, which may have been long ago, it is not cancelled, and the coordinator will not delete
// it.
Outcome CancelFirst(Session& session, const v1::Sweep& sweep) {
  const auto now = ReadAlone(session, sweep.name());
  if (!now.ok()) return FromStatus(now.status());
  if (now->generation() != sweep.generation()) return {};
  v1::CancelRequest cancel;
  cancel.set_sweep(sweep.name());
  const auto cancelled = session.client().Cancel(cancel);
  if (!cancelled.ok()) return FromStatus(cancelled.status());
  if (cancelled->requested() == 0) return {};
  bool told = false;
  Outcome outcome = WatchUntil(session, sweep.name(), [&](const v1::GetSweepResponse& status) {
    if (status.sweep().generation() != sweep.generation()) return true;
    if (std::none_of(status.jobs().begin(), status.jobs().end(),
                     [&](const v1::Job& job) { return HoldsUp(job, sweep.name()); }))
      return true;
    if (!std::exchange(told, true))
      session.world().err << "sinkctl: jobs that run are saving; it is deleted when they have" << std::endl;
    return false;
  });
  return outcome.code == kInterrupted ? LeftCancelled() : outcome;
}

// Tries again until no job holds the sweep up: the watch does not show those that an earlier version of the sweep has
// left, nor that another sweep has let go of one. FAILED_PRECONDITION: interrupted before.
absl::StatusOr<v1::DeleteSweepResponse> DeleteWhenEnded(Session& session, const v1::DeleteSweepRequest& request) {
  for (absl::Duration wait = kFirstWait;; wait = std::min(2 * wait, kLongestWait)) {
    auto response = session.client().DeleteSweep(request);
    if (!absl::IsFailedPrecondition(response.status())) return response;
    if (wait == kFirstWait)
      session.world().err
          << "sinkctl: not all of its jobs have ended (see `sinkctl jobs`); it is deleted when they have" << std::endl;
    if (!session.world().interrupt.Sleep(wait)) return response;
  }
}

Outcome Delete(Session& session, const DeleteOptions& options) {
  const auto found = ReadAlone(session, options.sweep);
  if (!found.ok()) return FromStatus(found.status());
  if (auto refusal = AskFirst(session, *found, options.yes)) return *std::move(refusal);
  if (options.force) {
    if (Outcome outcome = CancelFirst(session, *found); outcome.code != kOk) return outcome;
  }
  v1::DeleteSweepRequest request;
  request.set_name(options.sweep);
  request.set_generation(found->generation());  // what is submitted from here on stays
  request.set_request_id(files::RandomId());    // lets the client repeat the call after a lost answer
  const auto response = options.force ? DeleteWhenEnded(session, request) : session.client().DeleteSweep(request);
  if (absl::IsFailedPrecondition(response.status()) && options.force) return LeftCancelled();
  if (absl::IsFailedPrecondition(response.status()))
    return {kRefused, std::string(response.status().message()) + ", or --force does both"};
  if (!response.ok()) return FromStatus(response.status());
  Page page;
  page.document = {{"sweep", options.sweep}, {"deleted", response->deleted()}, {"kept", response->kept()}};
  page.blocks.push_back(TextBlock{{{options.sweep + " is deleted, with " + Counted(response->deleted(), "job")}}});
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
