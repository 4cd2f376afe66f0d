// sinkctl doctor: is everything as it should be, here and where the coordinator and its workers run; and what to do.
#include <filesystem>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/progress_bar.h"
#include "coordinator/cli/views/views.h"
#include "coordinator/client/address.h"
#include "coordinator/doctor/credential.h"
#include "coordinator/doctor/fleet.h"
#include "coordinator/doctor/machine.h"
#include "coordinator/doctor/reach.h"
#include "proto/base/counted.h"

namespace sink::cli {
namespace {

using doctor::Finding;
using doctor::Level;

Peer Find(const std::string& address) {
  constexpr absl::Duration kPatience = absl::Seconds(1);
  return FindPeer(address, kPatience);
}

struct DoctorOptions {
  std::string worker;  // --data of a worker on this machine
  std::string data_root;
  std::string trainer;      // empty: beside this program
  bool bytes = false;       // of the worker's data sets, too
  std::string coordinator;  // --data of a coordinator on this machine
};

// The first queued job of each sweep says what holds the sweep.
absl::Status ReadWaiting(Session& session, doctor::Fleet* fleet) {
  for (const v1::Sweep& sweep : fleet->sweeps.sweeps()) {
    v1::ListJobsRequest queued;
    queued.set_sweep(sweep.name());
    queued.add_states(v1::QUEUED);
    queued.set_limit(1);
    const auto jobs = session.client().ListJobs(queued);
    if (!jobs.ok()) return jobs.status();
    if (jobs->jobs().empty()) continue;
    v1::WhyJobRequest why;
    why.set_id(jobs->jobs(0).id());
    const auto answer = session.client().WhyJob(why);
    if (!answer.ok()) return answer.status();
    fleet->waiting.push_back(*answer);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Finding>> ExamineFleet(Session& session) {
  doctor::Fleet fleet;
  fleet.address = session.coordinator;
  fleet.version = SINK_VERSION;
  const auto sweeps = session.client().ListSweeps({});
  if (!sweeps.ok()) return sweeps.status();
  fleet.sweeps = *sweeps;
  const auto workers = session.client().ListWorkers({});
  if (!workers.ok()) return workers.status();
  fleet.workers = *workers;
  fleet.now_ms = session.world().now_ms();
  if (const absl::Status waiting = ReadWaiting(session, &fleet); !waiting.ok()) return waiting;
  return doctor::Examine(fleet);
}

std::string BesideThis(const std::string& program) {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / program;
}

// What this user shows to the coordinator.
Finding ExamineOwn(const Session& session, absl::Time now) {
  constexpr char kSubject[] = "this user's certificate";
  constexpr char kAnother[] =
      "log in: sinkctl login FILE, with what the coordinator's admin makes by sinkctl user add NAME; for the one on "
      "this machine, run sinkctl as the user that runs it";
  if (const identity::Bundle* token = session.token(); token != nullptr)
    return doctor::ExamineCredential("this program's token", token->credential, now,
                                     "have another made: sinkctl user token NAME");
  return doctor::ExamineCredentialFolder(kSubject, session.credentials(), now, kAnother);
}

// What the options name on this machine.
std::vector<Finding> ExamineHere(Session& session, const DoctorOptions& options, absl::Time now) {
  std::vector<Finding> out;
  const auto add = [&out](std::vector<Finding> more) { std::move(more.begin(), more.end(), std::back_inserter(out)); };
  if (options.worker.empty() && options.coordinator.empty()) return out;
  const doctor::Machine machine = doctor::ThisMachine();
  if (!options.coordinator.empty()) {
    add(doctor::ExamineCoordinator(machine, options.coordinator));
    add(doctor::ExamineAuthority(options.coordinator, now));
    add(doctor::ExaminePorts(options.coordinator, Find));
  }
  if (!options.worker.empty()) {
    doctor::WorkerPlace place = {options.worker, options.data_root,
                                 options.trainer.empty() ? BesideThis("sink-trainer") : options.trainer};
    ProgressBar bar(session.world());
    if (options.bytes) {
      place.on_bytes = [&](uint64_t done, uint64_t total) {
        bar.Show(done, total);
        return !session.world().interrupt.triggered();
      };
    }
    add(doctor::ExamineWorker(machine, place));
    bar.Clear();
    add({doctor::ExamineCredentialFolder(
        "worker's certificate", options.worker + "/tls", now,
        "start sink-worker, which joins; where the coordinator runs elsewhere, with --join FILE, a token of sinkctl "
        "worker token")});
  }
  return out;
}

Cell Mark(const std::string& level) {
  if (level == "fault") return {"fault", Style::kRed};
  if (level == "hint") return {"hint", Style::kYellow};
  return {"good", Style::kGreen};
}

const char* NameOf(Level level) { return level == Level::kFault ? "fault" : level == Level::kHint ? "hint" : "good"; }

// After Ctrl-C what was found until then is printed all the same: reading the data sets may have taken hours.
Outcome Doctor(Session& session, const DoctorOptions& options) {
  const absl::Time now = absl::FromUnixMillis(session.world().now_ms());
  std::vector<Finding> findings = ExamineHere(session, options, now);
  findings.push_back(ExamineOwn(session, now));
  auto fleet = ExamineFleet(session);
  const bool interrupted = session.world().interrupt.triggered();
  if (fleet.ok()) {
    std::move(fleet->begin(), fleet->end(), std::back_inserter(findings));
  } else if (!interrupted) {  // by which calls fail, too
    findings.push_back(doctor::ExamineRefusal(session.coordinator, Find(session.coordinator), fleet.status()));
  }

  Page page;
  Json rows = Json::array();
  int faults = 0;
  for (const Finding& finding : findings) {
    faults += finding.level == Level::kFault;
    rows.push_back({{"level", NameOf(finding.level)},
                    {"subject", finding.subject},
                    {"what", finding.what},
                    {"fix", finding.fix.empty() ? Json(nullptr) : Json(finding.fix)}});
  }
  for (const Json& row : rows) {
    page.blocks.push_back(TextBlock{{Mark(row["level"].get<std::string>()),
                                     {row["subject"].get<std::string>(), Style::kBold},
                                     {row["what"].get<std::string>()}}});
    if (!row["fix"].is_null())
      page.blocks.push_back(TextBlock{{{"       " + row["fix"].get<std::string>(), Style::kDim}}});
  }
  page.document = {{"faults", faults}, {"findings", std::move(rows)}};
  session.printer().Print(page);
  const std::string found = Counted(faults, "fault") + " found";
  if (interrupted) return {kInterrupted, "interrupted; " + found + " until then"};
  if (faults == 0) return {};
  return {kFailedWork, found};
}

}  // namespace

void AddDoctorCommand(Commands& commands) {
  args::Command command = commands.Add(
      "doctor", "Look for what is wrong with the coordinator, its workers and this machine, and say what to do",
      Names::kNothing,
      {"sinkctl doctor", "sinkctl doctor --worker ~/sink/worker --data-root ~/sink/data --trainer bin/sink-trainer"});
  auto options = std::make_shared<DoctorOptions>();
  const args::Option worker =
      command.AddOption("--worker", options->worker, "Also this machine, as a worker with this --data")
          .ValueText("DIR");
  command.AddOption("--data-root", options->data_root, "The worker's folder of packed sets (DIR/sets)")
      .ValueText("DIR");
  command.AddOption("--trainer", options->trainer, "The worker's trainer (sink-trainer beside this program)")
      .ValueText("PROGRAM");
  command
      .AddFlag("--bytes", options->bytes,
               "Also every byte of the worker's data sets, with their hashes: a second or more for each GB")
      .Needs(worker);
  command.AddOption("--coordinator-data", options->coordinator, "Also this machine, as a coordinator with this --data")
      .ValueText("DIR");
  commands.OnRun(command, [options](Session& session) { return Doctor(session, *options); });
}

}  // namespace sink::cli
