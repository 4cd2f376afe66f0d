// sinkctl report: the paper's tables beside ours, its takeaways judged, figures; as Markdown, HTML and SVG files. Of
// several sweeps, a folder each and a page that compares the takeaways of all.
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <memory>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/files/output_files.h"
#include "coordinator/cli/study/study_reader.h"
#include "coordinator/cli/views/views.h"
#include "coordinator/report/comparison.h"
#include "coordinator/report/report.h"
#include "proto/files/files.h"
#include "proto/files/hash.h"

namespace sink::cli {
namespace {

struct ReportOptions {
  std::vector<std::string> sweeps;
  std::string out;
  std::string format = "both";
  std::string command, machine;  // of report::Origin
};

// Equal for studies that measured the same, bit for bit: every sample and every map of every run, whoever ran it when.
std::string NumbersOf(const std::vector<const report::Study*>& studies) {
  std::map<std::string, const report::Run*> runs;  // by id, each once
  for (const report::Study* study : studies)
    for (const auto& [id, run] : study->runs) runs.emplace(id, &run);
  files::Hasher hasher;
  size_t samples = 0;
  const auto add = [&hasher](const std::string& name, int64_t step) {
    hasher.Update(name);
    hasher.Update(" " + std::to_string(step) + "\n");
  };
  const auto add_value = [&](double value) {
    const double known = std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value;
    hasher.Update(std::to_string(std::bit_cast<uint64_t>(known)) + "\n");
    ++samples;
  };
  for (const auto& [id, run] : runs) {
    hasher.Update(id + "\n");
    for (const auto& [name, curve] : run->curves)
      for (const report::Sample& sample : curve) {
        add(name, sample.step);
        add_value(sample.value);
      }
    for (const report::HeatMap& map : run->heat_maps) {
      add(map.name, map.step);
      for (const double value : map.values) add_value(value);
    }
  }
  return hasher.Digest() + " (XXH3-128 of " + std::to_string(samples) + " values of " + std::to_string(runs.size()) +
         " runs; the same wherever the same was measured)";
}

std::string Folder(const ReportOptions& options) { return options.out.empty() ? "reports" : options.out; }

// Writes figures first, so that no report links to a missing one, then NAME.md and NAME.html. Appends the paths in that
// order.
absl::Status WriteDocument(const report::Document& document, const std::string& folder, const std::string& name,
                           const std::string& format, std::vector<std::string>* paths) {
  std::vector<exports::OutputFile> files;
  for (const report::DocumentBlock& block : document.blocks)
    if (const auto* figure = std::get_if<report::FigureBlock>(&block))
      files.push_back({"figures/" + figure->figure.name + ".svg",
                       report::Draw(figure->figure.chart, report::Placement::kStandalone)});
  if (format != "html") files.push_back({name + ".md", report::ToMarkdown(document)});
  if (format != "markdown") files.push_back({name + ".html", report::ToHtml(document)});
  for (const exports::OutputFile& file : files) {
    paths->push_back(folder + "/" + file.path);
    if (absl::Status status = WriteFile(paths->back(), file.bytes); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// The report's text and tables without its figures, which are what takes room.
absl::Status WriteText(report::Document document, const std::string& path, std::vector<std::string>* paths) {
  std::erase_if(document.blocks, [](const auto& block) { return std::holds_alternative<report::FigureBlock>(block); });
  paths->push_back(path);
  return WriteFile(path, report::ToMarkdown(document));
}

// takeaways.md and .html, with their figures, and results.csv.
absl::Status WriteComparison(const std::vector<report::Study>& studies, const std::vector<report::EvaluatedStudy>& all,
                             const ReportOptions& options, std::vector<std::string>* paths) {
  const std::string folder = Folder(options);
  std::vector<const report::Study*> together;
  for (const report::Study& study : studies) together.push_back(&study);
  const report::Origin origin = {options.command, options.machine, NumbersOf(together)};
  absl::Status status = WriteDocument(report::MakeComparison(all, origin), folder, "takeaways", options.format, paths);
  if (!status.ok()) return status;
  paths->push_back(folder + "/results.csv");
  return WriteFile(paths->back(), exports::ToResults(together));
}

Style StyleOf(const std::string& verdict) {
  return verdict == "holds" ? Style::kGreen : verdict == "does not hold" ? Style::kRed : Style::kYellow;
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

Outcome Report(Session& session, const ReportOptions& options) {
  if (files::IsStandardOutput(options.out)) return {kUsage, "--out: a report is several files; name a folder for them"};
  const bool one = options.sweeps.size() == 1, page_alone = options.format == "page";
  std::vector<report::Study> studies;
  for (const std::string& sweep : options.sweeps) {
    auto study = ReadStudy(session, sweep, {});
    if (!study.ok()) return FromStatus(study.status());
    study->command = "sinkctl report " + Joined(options.sweeps);
    study->origin = {options.command, options.machine, NumbersOf({&*study})};
    studies.push_back(*std::move(study));
  }
  std::vector<std::vector<report::ExperimentResult>> results;
  for (const report::Study& study : studies) results.push_back(report::Evaluate(study));

  std::vector<std::string> paths;
  std::vector<report::EvaluatedStudy> all;
  Json documents = Json::array(), rows = Json::array();
  for (size_t i = 0; i < studies.size(); ++i) {
    const std::string folder = one && !options.out.empty() ? options.out : Folder(options) + "/" + options.sweeps[i];
    const report::Document document = report::MakeReport(studies[i], results[i]);
    const absl::Status status = page_alone
                                    ? WriteText(document, Folder(options) + "/" + options.sweeps[i] + ".md", &paths)
                                    : WriteDocument(document, folder, "report", options.format, &paths);
    if (!status.ok()) return {kBadFile, std::string(status.message())};
    const std::string& name = options.sweeps[i];
    all.push_back({&studies[i], &results[i], page_alone ? name + ".md" : name + "/report.md",
                   page_alone ? name + ".md" : name + "/report.html"});
    documents.push_back(report::ReportJson(studies[i], results[i]));
    for (const Json& experiment : documents.back()["experiments"])
      for (const Json& takeaway : experiment["takeaways"])
        rows.push_back({{"experiment", experiment["name"]},
                        {"verdict", takeaway["verdict"]},
                        {"statement", takeaway["statement"]}});
  }
  if (!one || page_alone) {
    if (absl::Status status = WriteComparison(studies, all, options, &paths); !status.ok())
      return {kBadFile, std::string(status.message())};
  }

  Page page;
  page.document = one ? documents[0] : Json{{"sweeps", documents}};
  page.document["files"] = paths;
  page.document["verdicts"] = std::move(rows);
  Column verdict = TextColumn("VERDICT", "verdict", 15);
  verdict.show = [](const Json& row) -> Cell {
    const auto text = row["verdict"].get<std::string>();
    return {text, StyleOf(text)};
  };
  page.blocks.push_back(TableBlock{"verdicts",
                                   {TextColumn("EXPERIMENT", "experiment", 12), std::move(verdict),
                                    TextColumn("TAKEAWAY OF THE PAPER", "statement", 20)},
                                   "there are none of the paper's experiments"});
  TextBlock footer;
  for (const std::string& path : paths)
    if (path.find("/figures/") == std::string::npos) footer.pieces.push_back({path});
  footer.pieces.push_back({std::to_string(paths.size() - footer.pieces.size()) + " figures", Style::kDim});
  page.blocks.push_back(std::move(footer));
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddReportCommand(Commands& commands) {
  args::Command command =
      commands.Add("report", "Write a report of a sweep: the paper's tables beside ours, its takeaways judged, figures",
                   Names::kSweep,
                   {"sinkctl report optimization", "sinkctl report quickstart --out quickstart --format html",
                    "sinkctl report optimization loss_function model_architecture   # and one page of all takeaways",
                    "sinkctl report optimization loss_function --format page --out kept   # that page, to be kept"});
  auto options = std::make_shared<ReportOptions>();
  command
      .AddOption("SWEEP", options->sweeps,
                 "A sweep's name; of several, takeaways.md and .html compare the takeaways of all, and results.csv has "
                 "what each run came to")
      .Required();
  command
      .AddOption("--out", options->out,
                 "Folder of report.md, report.html and figures/ (reports/SWEEP); of several sweeps, of a folder each")
      .ValueText("DIR");
  command
      .AddOption("--format", options->format,
                 "What to write (both); page: takeaways.md, takeaways.html, results.csv and each report's text, for a "
                 "repository")
      .ValueText("markdown|html|both|page")
      .OneOf({"markdown", "html", "both", "page"});
  command.AddOption("--command", options->command, "The command that ran the sweeps, for the reports to say")
      .ValueText("TEXT");
  command.AddOption("--machine", options->machine, "What they ran on, for the reports to say").ValueText("TEXT");
  commands.OnRun(command, [options](Session& session) { return Report(session, *options); });
}

}  // namespace sink::cli
