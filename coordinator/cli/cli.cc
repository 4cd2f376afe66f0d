#include "coordinator/cli/cli.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "coordinator/cli/base/command.h"
#include "coordinator/cli/base/renewal.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/completion.h"
#include "coordinator/cli/print/terminal_text.h"
#include "proto/args/man_page.h"
#include "sweeps/diagnostics.h"

namespace sink::cli {
namespace {

constexpr char kDescription[] =
    "sinkctl: plan, submit and watch studies of attention sinks.\n"
    "Jobs are named by their id or its first four or more digits, sweeps by their name.";
constexpr char kDefaultCoordinator[] = "127.0.0.1:7070";
constexpr double kCompletionSeconds = 0.5;

void AddCommands(Commands& commands) {
  AddSubmitCommand(commands);
  AddPlanCommand(commands);
  AddCalibrateCommand(commands);
  AddStatusCommand(commands);
  AddTopCommand(commands);
  AddWaitCommand(commands);
  AddResultsCommand(commands);
  AddCurvesCommand(commands);
  AddReportCommand(commands);
  AddPlotCommand(commands);
  AddExportCommand(commands);
  AddJobsCommand(commands);
  AddJobCommand(commands);
  AddWhyCommand(commands);
  AddLogsCommand(commands);
  AddMetricsCommand(commands);
  AddCancelCommand(commands);
  AddRetryCommand(commands);
  AddDeleteCommand(commands);
  AddWorkersCommand(commands);
  AddDoctorCommand(commands);
  AddHoldCommands(commands);
  AddPriorityCommand(commands);
  AddCredentialCommands(commands);
  AddAuditCommand(commands);
  AddPageCommand(commands);
  AddCheckpointCommand(commands);
  AddGcCommand(commands);
  AddSlurmCommand(commands);
  AddCompletionCommand(commands);
  AddVersionCommand(commands);
}

// Declares the options of every command; returns --json.
args::Option AddGlobalOptions(args::Command root, Session& session) {
  const std::string address = session.world().Environment("SINK_COORDINATOR");
  session.coordinator = !address.empty()             ? address
                        : session.token() != nullptr ? session.token()->address
                                                     : kDefaultCoordinator;
  session.no_color = !session.world().Environment("NO_COLOR").empty();
  root.AddOption("--coordinator", session.coordinator,
                 "HOST:PORT of the coordinator; $SINK_COORDINATOR, else that of the token in $SINK_TOKEN or "
                 "$SINK_CREDENTIALS, else " +
                     std::string(kDefaultCoordinator))
      .ValueText("HOST:PORT");
  const args::Option json =
      root.AddFlag("--json", session.json, "Print JSON: a document, or one object a line for streams");
  root.AddFlag("--no-color", session.no_color, "No colours; as $NO_COLOR");
  root.AddOption("--timeout", session.timeout_s, "Seconds to wait for an answer (10)")
      .ValueText("SECONDS")
      .Check([](const std::string& text) {
        double seconds = 0;
        const bool valid = absl::SimpleAtod(text, &seconds) && seconds >= 0.1 && seconds <= 86400;
        return valid ? std::string() : text + " is not a number of seconds from 0.1 to 86400";
      });
  return json;
}

// `help [COMMAND...]` is `[COMMAND...] --help`, `--version` is `version`.
std::vector<std::string> Rewrite(std::vector<std::string> words) {
  if (words.empty()) return words;
  if (words[0] == "--version") words[0] = "version";
  if (words[0] == "help") {
    words.erase(words.begin());
    words.push_back("--help");
  }
  return words;
}

// A word that is no command, with the one that was meant.
std::string UnknownCommand(args::Command group, const std::string& word) {
  std::vector<std::string> names;
  for (const args::Command& command : group.commands()) names.push_back(command.name());
  return "there is no command " + Clean(word) + sweeps::Suggestion(word, names);
}

Outcome UsageError(const std::vector<std::string>& words, const args::Parsed& parsed) {
  const std::vector<std::string>& rest = parsed.unexpected;
  const auto first = std::find_if(words.begin(), words.end(), [&rest](const std::string& word) {
    return std::find(rest.begin(), rest.end(), word) != rest.end();
  });
  std::string what = Clean(parsed.mistake);
  if (first != words.end()) {
    const bool group = !parsed.command.commands().empty();
    what = group && !first->starts_with("-") ? UnknownCommand(parsed.command, *first)
                                             : "unexpected argument " + Clean(*first);
  } else if (parsed.command.needs_command()) {
    what = "a command is missing";
  }
  return {kUsage, what + "; see `" + parsed.command.path() + " --help`"};
}

Outcome Run(args::Command chosen, const Commands& commands, Session& session) {
  for (const Commands::Entry& entry : commands.entries()) {
    if (entry.command != chosen || !entry.run) continue;
    if (!entry.local)
      if (const absl::Status status = session.Connect(); !status.ok()) return FromStatus(status);
    Outcome outcome = entry.run(session);
    if (!entry.local && outcome.code != kUnreachable && outcome.code != kInterrupted) RenewCertificate(session);
    return outcome;
  }
  return {kUsage, "a command is missing; see `" + chosen.path() + " --help`"};
}

}  // namespace

int RunCli(const std::vector<std::string>& words, World& world) {
  args::CommandLine line(kDescription, "sinkctl");
  line.SetHelpText("Print this help");
  line.HideTypes();
  line.root().AllowOneCommand();
  line.root().SetFooter(
      std::string("Examples:\n  sinkctl submit sweeps/quickstart.yaml --follow\n  sinkctl status --watch\n\n") +
      kExitCodeHelp);
  Session session(world);
  const args::Option json = AddGlobalOptions(line.root(), session);
  Commands commands(line.root(), json);
  AddCommands(commands);

  if (!words.empty() && words[0] == "__complete") {
    session.timeout_s = kCompletionSeconds;
    Complete({words.begin() + 1, words.end()}, commands, session);
    return kOk;
  }
  if (words == std::vector<std::string>{"--man"}) {
    world.out << args::ManPage(line.root()) << std::flush;
    return kOk;
  }
  Outcome outcome;
  const args::Parsed parsed = line.Parse(Rewrite(words));
  switch (parsed.kind) {
    case args::Parsed::Kind::kRun:
      outcome = Run(parsed.command, commands, session);
      break;
    case args::Parsed::Kind::kHelp:
      world.out << parsed.command.Help() << std::flush;
      break;
    case args::Parsed::Kind::kMistake:
      outcome = UsageError(words, parsed);
      break;
  }
  if (!outcome.error.empty()) {
    for (const absl::string_view mistake : absl::StrSplit(outcome.error, '\n'))
      world.err << "sinkctl: " << Clean(std::string(mistake)) << "\n";
    world.err << std::flush;
  }
  return outcome.code;
}

}  // namespace sink::cli
