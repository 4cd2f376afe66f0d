// sinkctl report: the paper's tables beside ours, its takeaways judged, figures; as Markdown, HTML and SVG files.
#include <memory>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/files/output_files.h"
#include "coordinator/cli/study/study_reader.h"
#include "coordinator/cli/views/views.h"
#include "coordinator/report/report.h"
#include "proto/files/files.h"

namespace sink::cli {
namespace {

struct ReportOptions {
  std::string sweep;
  std::string out;
  std::string format = "both";
};

// Returns the paths, in the order in which they were written: figures first, so that no report links to a missing one.
absl::StatusOr<std::vector<std::string>> WriteReport(const report::Document& document, const ReportOptions& options) {
  std::vector<exports::OutputFile> files;
  for (const report::DocumentBlock& block : document.blocks)
    if (const auto* figure = std::get_if<report::FigureBlock>(&block))
      files.push_back({"figures/" + figure->figure.name + ".svg",
                       report::Draw(figure->figure.chart, report::Placement::kStandalone)});
  if (options.format != "html") files.push_back({"report.md", report::ToMarkdown(document)});
  if (options.format != "markdown") files.push_back({"report.html", report::ToHtml(document)});
  std::vector<std::string> paths;
  for (const exports::OutputFile& file : files) {
    paths.push_back(options.out + "/" + file.path);
    if (absl::Status status = WriteFile(paths.back(), file.bytes); !status.ok()) return status;
  }
  return paths;
}

Style StyleOf(const std::string& verdict) {
  return verdict == "holds" ? Style::kGreen : verdict == "does not hold" ? Style::kRed : Style::kYellow;
}

Outcome Report(Session& session, ReportOptions options) {
  if (files::IsStandardOutput(options.out)) return {kUsage, "--out: a report is several files; name a folder for them"};
  if (options.out.empty()) options.out = "reports/" + options.sweep;
  auto study = ReadStudy(session, options.sweep, {});
  if (!study.ok()) return FromStatus(study.status());
  study->command = "sinkctl report " + options.sweep;
  const std::vector<report::ExperimentResult> results = report::Evaluate(*study);
  const auto paths = WriteReport(report::MakeReport(*study, results), options);
  if (!paths.ok()) return {kBadFile, std::string(paths.status().message())};

  Page page;
  page.document = report::ReportJson(*study, results);
  page.document["files"] = *paths;
  Json rows = Json::array();
  for (const Json& experiment : page.document["experiments"])
    for (const Json& takeaway : experiment["takeaways"])
      rows.push_back(
          {{"experiment", experiment["name"]}, {"verdict", takeaway["verdict"]}, {"statement", takeaway["statement"]}});
  page.document["verdicts"] = std::move(rows);
  Column verdict = TextColumn("VERDICT", "verdict", 15);
  verdict.show = [](const Json& row) -> Cell {
    const auto text = row["verdict"].get<std::string>();
    return {text, StyleOf(text)};
  };
  page.blocks.push_back(TableBlock{"verdicts",
                                   {TextColumn("EXPERIMENT", "experiment", 12), std::move(verdict),
                                    TextColumn("TAKEAWAY OF THE PAPER", "statement", 20)},
                                   "this sweep has none of the paper's experiments"});
  TextBlock footer;
  for (const std::string& path : *paths)
    if (path.find("/figures/") == std::string::npos) footer.pieces.push_back({path});
  footer.pieces.push_back({std::to_string(paths->size() - footer.pieces.size()) + " figures", Style::kDim});
  page.blocks.push_back(std::move(footer));
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddReportCommand(Commands& commands) {
  args::Command command = commands.Add(
      "report", "Write a report of a sweep: the paper's tables beside ours, its takeaways judged, figures",
      Names::kSweep, {"sinkctl report optimization", "sinkctl report quickstart --out quickstart --format html"});
  auto options = std::make_shared<ReportOptions>();
  command.AddOption("SWEEP", options->sweep, "A sweep's name").Required();
  command.AddOption("--out", options->out, "Folder of report.md, report.html and figures/ (reports/SWEEP)")
      .ValueText("DIR");
  command.AddOption("--format", options->format, "What to write (both)")
      .ValueText("markdown|html|both")
      .OneOf({"markdown", "html", "both"});
  commands.OnRun(command, [options](Session& session) { return Report(session, *options); });
}

}  // namespace sink::cli
