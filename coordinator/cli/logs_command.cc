// sinkctl logs: what a job's trainer and worker said, made safe for a terminal.
#include <memory>
#include <string>
#include <utility>
#include <vector>

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

// How far the job is, for lines that are said while it is followed: asked at a line, once for those that come together.
// The coordinator sends new ones ten times a second at most: what was asked for some is not told beside later ones.
class LiveProgress {
 public:
  LiveProgress(Session& session, std::string id)
      : session_(session), id_(std::move(id)), since_ms_(session.world().now_ms()) {}

  // "step 120/1000  loss 2.310"; empty for a line of before, and while it is not known.
  std::string At(const v1::LogLine& line) {
    if (line.time_ms() < since_ms_) return "";
    if (const int64_t now = session_.world().now_ms(); asked_ms_ == 0 || now - asked_ms_ >= kAskEveryMs) {
      asked_ms_ = now;
      v1::GetJobRequest request;
      request.set_id(id_);
      if (const auto response = session_.client().GetJob(request); response.ok()) text_ = TextOf(response->job());
    }
    return text_;
  }

 private:
  static constexpr int64_t kAskEveryMs = 20;

  static std::string TextOf(const v1::Job& job) {
    const v1::Progress& progress = job.progress();
    std::string text = "step " + std::to_string(progress.step());
    if (progress.max_steps() > 0) text += "/" + std::to_string(progress.max_steps());
    if (const auto loss = Measure(progress).train_loss) text += "  loss " + FormatFixed(*loss, 3);
    return text;
  }

  Session& session_;
  const std::string id_;
  const int64_t since_ms_;
  int64_t asked_ms_ = 0;
  std::string text_;
};

void PrintLine(Session& session, const v1::LogLine& line, const std::string& progress) {
  Style style = Style::kPlain;
  if (line.level() == "warning") style = Style::kYellow;
  if (line.level() == "error") style = Style::kRed;
  std::string level = line.level();
  level.resize(std::max<size_t>(level.size(), 7), ' ');
  std::vector<Cell> cells = {{FormatTime(line.time_ms()), Style::kDim}, {level, style}};
  if (!progress.empty()) cells.push_back({progress, Style::kBlue});
  cells.push_back({line.text()});
  session.printer().PrintItem(ToJson(line), cells);
}

Outcome Logs(Session& session, const LogsOptions& options) {
  if (const absl::Status named = ExpectJob(session, options.id); !named.ok()) return FromStatus(named);
  const Interrupt& interrupt = session.world().interrupt;
  v1::ReadLogsRequest request;
  request.set_job_id(options.id);
  request.set_tail(options.tail);
  request.set_follow(options.follow);
  LiveProgress progress(session, options.id);
  const bool tell_progress = options.follow && session.format() == Format::kTable;
  for (int tries = 0;;) {
    const absl::Status status = session.client().ReadLogs(request, [&](const v1::LogLine& line) {
      PrintLine(session, line, tell_progress ? progress.At(line) : "");
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
  command.AddFlag("-f,--follow", options->follow,
                  "Go on until the job has ended; new lines begin with its step and loss");
  command.AddOption("--tail", options->tail, "Only the last N lines").ValueText("N").Within(1, 100'000);
  commands.OnRun(command, [options](Session& session) { return Logs(session, *options); });
}

}  // namespace sink::cli
