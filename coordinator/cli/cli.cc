#include "coordinator/cli/cli.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/numbers.h"
#include "coordinator/cli/base/command.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/completion.h"
#include "coordinator/cli/print/terminal_text.h"
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
  AddStatusCommand(commands);
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
  AddWorkersCommand(commands);
  AddCheckpointCommand(commands);
  AddSlurmCommand(commands);
  AddCompletionCommand(commands);
  AddVersionCommand(commands);
}

// CLI11's help without its type system: "--tail N" instead of "--tail INT:INT in [1 - 1000000]".
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_positional() || option->get_type_size() == 0 ? "" : " " + option->get_option_text();
  }
};

void AddGlobalOptions(CLI::App& app, Session& session) {
  const std::string address = session.world().Environment("SINK_COORDINATOR");
  session.coordinator = address.empty() ? kDefaultCoordinator : address;
  session.no_color = !session.world().Environment("NO_COLOR").empty();
  app.formatter(std::make_shared<HelpFormatter>());
  app.add_option("--coordinator", session.coordinator,
                 "HOST:PORT of the coordinator; $SINK_COORDINATOR, else " + std::string(kDefaultCoordinator))
      ->option_text("HOST:PORT");
  app.add_flag("--json", session.json, "Print JSON: a document, or one object a line for streams");
  app.add_flag("--no-color", session.no_color, "No colours; as $NO_COLOR");
  app.add_option("--timeout", session.timeout_s, "Seconds to wait for an answer (10)")
      ->option_text("SECONDS")
      ->check([](const std::string& text) {
        double seconds = 0;
        const bool valid = absl::SimpleAtod(text, &seconds) && seconds >= 0.1 && seconds <= 86400;
        return valid ? std::string() : text + " is not a number of seconds from 0.1 to 86400";
      });
}

// The innermost command that the arguments chose.
const CLI::App* Chosen(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

std::string CommandLine(const CLI::App* app) {
  std::string names;
  for (; app != nullptr && app->get_parent() != nullptr; app = app->get_parent()) names = " " + app->get_name() + names;
  return "sinkctl" + names;
}

// `help [COMMAND...]` is `[COMMAND...] --help`.
std::vector<std::string> Rewrite(std::vector<std::string> args) {
  if (!args.empty() && args[0] == "help") {
    args.erase(args.begin());
    args.push_back("--help");
  }
  return args;
}

// A word that is no command, with the one that was meant.
std::string UnknownCommand(const CLI::App* app, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app->get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  return "there is no command " + Clean(word) + sweeps::Suggestion(word, names);
}

Outcome UsageError(const CLI::App& root, const std::vector<std::string>& args, const CLI::ParseError& error) {
  const CLI::App* app = Chosen(&root);
  const std::vector<std::string> rest = root.remaining(/*recurse=*/true);
  const auto first = std::find_if(args.begin(), args.end(), [&rest](const std::string& arg) {
    return std::find(rest.begin(), rest.end(), arg) != rest.end();
  });
  std::string what = Clean(error.what());
  if (first != args.end()) {
    const bool group = !app->get_subcommands([](const CLI::App*) { return true; }).empty();
    what = group && !first->starts_with("-") ? UnknownCommand(app, *first) : "unexpected argument " + Clean(*first);
  } else if (app->get_require_subcommand_min() > 0 && app->get_subcommands().empty()) {
    what = "a command is missing";
  }
  return {kUsage, what + "; see `" + CommandLine(app) + " --help`"};
}

Outcome Run(const CLI::App& root, const Commands& commands, Session& session) {
  const CLI::App* chosen = Chosen(&root);
  for (const Commands::Entry& entry : commands.entries()) {
    if (entry.app != chosen || !entry.run) continue;
    if (!entry.local)
      if (const absl::Status status = session.Connect(); !status.ok()) return {kUsage, std::string(status.message())};
    return entry.run(session);
  }
  return {kUsage, "a command is missing; see `" + CommandLine(chosen) + " --help`"};
}

}  // namespace

int RunCli(const std::vector<std::string>& args, World& world) {
  CLI::App app(kDescription, "sinkctl");
  app.require_subcommand(0, 1);
  app.set_help_flag("-h,--help", "Print this help");
  app.footer(std::string("Examples:\n  sinkctl submit sweeps/quickstart.yaml --follow\n  sinkctl status --watch\n\n") +
             kExitCodeHelp);
  Session session(world);
  AddGlobalOptions(app, session);
  Commands commands(app);
  AddCommands(commands);

  if (!args.empty() && args[0] == "__complete") {
    session.timeout_s = kCompletionSeconds;
    Complete({args.begin() + 1, args.end()}, commands, session);
    return kOk;
  }
  Outcome outcome;
  try {
    std::vector<std::string> reversed = Rewrite(args);
    std::reverse(reversed.begin(), reversed.end());
    app.parse(std::move(reversed));
    outcome = Run(app, commands, session);
  } catch (const CLI::CallForHelp&) {
    const CLI::App* chosen = Chosen(&app);
    const std::string prefix = chosen->get_parent() == nullptr ? "" : CommandLine(chosen->get_parent());
    world.out << chosen->help(prefix, CLI::AppFormatMode::Normal) << std::flush;
  } catch (const CLI::ParseError& error) {
    outcome = UsageError(app, args, error);
  }
  if (!outcome.error.empty()) world.err << "sinkctl: " << Clean(outcome.error) << std::endl;
  return outcome.code;
}

}  // namespace sink::cli
