// sinkctl export: a sweep's measurements for other people's tools.
#include <filesystem>
#include <memory>
#include <utility>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/files/output_files.h"
#include "coordinator/cli/files/wandb_export.h"
#include "coordinator/cli/study/study_reader.h"
#include "coordinator/export/export.h"
#include "proto/base/counted.h"
#include "proto/files/files.h"

namespace sink::cli {
namespace {

struct ExportOptions {
  std::string sweep;
  std::string format;
  std::string out;
  std::string python = "python3";
};

absl::Status Write(const report::Study& study, const ExportOptions& options) {
  if (options.format == "csv") return WriteFile(options.out, exports::ToCsv(study));
  if (options.format == "json") return WriteFile(options.out, exports::ToJson(study));
  if (options.format == "tensorboard") return WriteFolder(options.out, exports::ToTensorBoard(study));
  if (options.format == "mlflow")
    return WriteFolder(options.out,
                       exports::ToMlflow(study, std::filesystem::absolute(options.out).lexically_normal()));
  return ExportToWandb(study, options.python, options.out);
}

// A word of a shell's command line.
std::string ShellWord(const std::string& text) {
  const bool plain =
      text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./_-:=@%+,") ==
      std::string::npos;
  if (plain && !text.empty()) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// The commands by which the tool opens it, a line each.
std::vector<std::string> NextSteps(const ExportOptions& options) {
  std::string folder = options.out;
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  const std::string out = ShellWord(folder), database = ShellWord("sqlite:///" + folder + ".db");
  if (options.format == "tensorboard") return {"open it with: tensorboard --logdir " + out};
  if (options.format == "mlflow")  // whose newer versions serve databases alone
    return {"open it with: mlflow migrate-filestore --source " + out + " --target " + database,
            "        then: mlflow ui --backend-store-uri " + database};
  if (options.format == "wandb")
    return {"open it with: wandb leet " + out + "/wandb", "or upload it: wandb sync " + out + "/wandb/offline-run-*"};
  return {};
}

Outcome Export(Session& session, const ExportOptions& options) {
  const auto study = ReadStudy(session, options.sweep, {.heat_maps = options.format == "json"});
  if (!study.ok()) return FromStatus(study.status());
  const absl::Status written = Write(*study, options);
  if (absl::IsInvalidArgument(written)) return {kBadFile, std::string(written.message())};
  if (!written.ok()) return FromStatus(written);
  if (files::IsStandardOutput(options.out)) return {};
  int64_t points = 0;
  for (const auto& [id, run] : study->runs)
    for (const auto& [name, curve] : run.curves) points += static_cast<int64_t>(curve.size());
  Page page;
  page.document = {{"sweep", options.sweep},
                   {"format", options.format},
                   {"path", options.out},
                   {"jobs", study->runs.size()},
                   {"points", points}};
  page.blocks.push_back(TextBlock{
      {{options.out}, {Counted(study->runs.size(), "job"), Style::kDim}, {Counted(points, "point"), Style::kDim}}});
  for (std::string& next : NextSteps(options)) page.blocks.push_back(TextBlock{{{std::move(next)}}});
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddExportCommand(Commands& commands) {
  args::Command command = commands.Add("export", "Write a sweep's measurements for another tool", Names::kSweep,
                                       {"sinkctl export optimization --format csv --out optimization.csv",
                                        "sinkctl export optimization --format tensorboard --out runs"});
  auto options = std::make_shared<ExportOptions>();
  command.AddOption("SWEEP", options->sweep, "A sweep's name").Required();
  command
      .AddOption("--format", options->format,
                 "csv: a row a job, metric and step; json: everything; mlflow: a file store; wandb: offline runs")
      .ValueText("csv|json|tensorboard|mlflow|wandb")
      .Required()
      .OneOf({"csv", "json", "tensorboard", "mlflow", "wandb"});
  command.AddOption("--out", options->out, "The file (csv, json; - is standard output) or a new folder")
      .ValueText("PATH")
      .Required();
  command.AddOption("--python", options->python, "For wandb: a Python that has it (python3)").ValueText("PROGRAM");
  commands.OnRun(command, [options](Session& session) { return Export(session, *options); });
}

}  // namespace sink::cli
