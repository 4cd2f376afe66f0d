// sinkctl logs: what a job's trainer and worker said, made safe for a terminal.
#include <memory>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/study/targets.h"
#include "coordinator/cli/views/documents.h"

namespace sink::cli {
namespace {

constexpr int kTries = 60;  // a second apart, while a followed coordinator is away

struct LogsOptions {
  std::string id;
  bool follow = false;
  int tail = 0;
};

void PrintLine(Session& session, const v1::LogLine& line) {
  Style style = Style::kPlain;
  if (line.level() == "warning") style = Style::kYellow;
  if (line.level() == "error") style = Style::kRed;
  std::string level = line.level();
  level.resize(std::max<size_t>(level.size(), 7), ' ');
  session.printer().PrintItem(ToJson(line), {{FormatTime(line.time_ms()), Style::kDim}, {level, style}, {line.text()}});
}

Outcome Logs(Session& session, const LogsOptions& options) {
  if (const absl::Status named = ExpectJob(session, options.id); !named.ok()) return FromStatus(named);
  const Interrupt& interrupt = session.world().interrupt;
  v1::ReadLogsRequest request;
  request.set_job_id(options.id);
  request.set_tail(options.tail);
  request.set_follow(options.follow);
  for (int tries = 0;;) {
    const absl::Status status = session.client().ReadLogs(request, [&](const v1::LogLine& line) {
      PrintLine(session, line);
      request.set_after(line.cursor());  // where to go on after an outage
      request.set_tail(0);
      tries = 0;
      return !interrupt.triggered();
    });
    if (interrupt.triggered()) break;
    if (status.ok()) return {};
    if (!options.follow || !absl::IsUnavailable(status) || ++tries > kTries) return FromStatus(status);
    if (!interrupt.Sleep(absl::Seconds(1))) break;
  }
  return {kInterrupted, options.follow ? "stopped reading; the job goes on" : "interrupted"};
}

}  // namespace

void AddLogsCommand(Commands& commands) {
  args::Command command = commands.Add("logs", "Print a job's log", Names::kJob,
                                       {"sinkctl logs 3f2a91c0 --tail 50", "sinkctl logs 3f2a91c0 -f"});
  auto options = std::make_shared<LogsOptions>();
  command.AddOption("ID", options->id, "A job's id, or the first four or more digits of it").Required();
  command.AddFlag("-f,--follow", options->follow, "Go on until the job has ended");
  command.AddOption("--tail", options->tail, "Only the last N lines").ValueText("N").Within(1, 100'000);
  commands.OnRun(command, [options](Session& session) { return Logs(session, *options); });
}

}  // namespace sink::cli
