// sinkctl plot: one figure of a sweep as an SVG file.
#include <memory>
#include <set>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/files/output_files.h"
#include "coordinator/cli/study/study_reader.h"
#include "coordinator/report/figures.h"
#include "proto/files/files.h"

namespace sink::cli {
namespace {

struct PlotOptions {
  std::string sweep;
  std::string metric;
  std::string heat_map;
  std::string experiment;
  std::string job;
  std::string x = "steps";
  std::string out;
};

// Every point once: the default setting may stand in several experiments. Named with its experiment where there are
// several of these.
std::vector<report::Point> PointsOf(const report::Study& study) {
  std::vector<report::Point> points;
  std::set<std::vector<std::string>> seen;
  for (const report::Experiment& experiment : study.experiments) {
    for (const report::Point& point : experiment.points) {
      if (!seen.insert(point.runs).second) continue;
      points.push_back(point);
      if (study.experiments.size() > 1) points.back().label = experiment.name + " " + point.label;
    }
  }
  return points;
}

absl::StatusOr<report::Chart> MakeChart(const report::Study& study, const PlotOptions& options) {
  const std::vector<report::Point> points = PointsOf(study);
  std::vector<const report::Point*> all;
  for (const report::Point& point : points) all.push_back(&point);
  if (!options.heat_map.empty()) {
    auto chart = report::MapChart(study, all, options.heat_map);
    if (!chart)
      return absl::NotFoundError("no heat map " + options.heat_map +
                                 " yet; there are alpha/1 and, with a bias, alpha/bias");
    chart->title = study.sweep + ": " + options.heat_map;
    return report::Chart(*chart);
  }
  const auto unit = options.x == "tokens" ? report::AxisUnit::kTokens : report::AxisUnit::kSteps;
  auto chart = report::MetricChart(study, all, options.metric, unit);
  if (!chart && unit == report::AxisUnit::kTokens && report::MetricChart(study, all, options.metric))
    return absl::NotFoundError("no job of " + study.sweep + " with a metric " + options.metric +
                               " trains on tokens; leave out --x tokens");
  if (!chart)
    return absl::NotFoundError("no job of " + study.sweep + " has a metric " + options.metric +
                               "; see `sinkctl metrics JOB` for their names");
  chart->title = study.sweep + ": " + options.metric;
  return report::Chart(*chart);
}

Outcome Plot(Session& session, const PlotOptions& options) {
  if (options.metric.empty() == options.heat_map.empty())
    return {kUsage, "give either --metric or --heatmap; see `sinkctl plot --help`"};
  StudyFilter filter{.metrics = {},
                     .curves = !options.metric.empty(),
                     .heat_maps = !options.heat_map.empty(),
                     .experiment = options.experiment,
                     .job = options.job};
  if (!options.metric.empty()) filter.metrics.push_back(options.metric);
  const auto study = ReadStudy(session, options.sweep, filter);
  if (!study.ok()) return FromStatus(study.status());
  const auto chart = MakeChart(*study, options);
  if (!chart.ok()) return FromStatus(chart.status());
  const absl::Status written = WriteFile(options.out, report::Draw(*chart, report::Placement::kStandalone));
  if (!written.ok()) return {kBadFile, std::string(written.message())};
  if (files::IsStandardOutput(options.out)) return {};
  Page page;
  page.document = {{"sweep", options.sweep}, {"file", options.out}};
  page.blocks.push_back(TextBlock{{{options.out}}});
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddPlotCommand(Commands& commands) {
  args::Command command =
      commands.Add("plot", "Draw one metric or heat map of a sweep into an SVG file", Names::kSweep,
                   {"sinkctl plot optimization --metric sink_rate/0.3/1 --experiment batch_size --out rate.svg",
                    "sinkctl plot quickstart --heatmap alpha/1 --out map.svg"});
  auto options = std::make_shared<PlotOptions>();
  command.AddOption("SWEEP", options->sweep, "A sweep's name").Required();
  command.AddOption("--metric", options->metric, "A metric's whole name: a line for each setting, a band over replicas")
      .ValueText("NAME");
  command.AddOption("--heatmap", options->heat_map, "alpha/1 or alpha/bias: importance by layer and head")
      .ValueText("NAME");
  command.AddOption("--experiment", options->experiment, "Only this experiment of the sweep").ValueText("NAME");
  command.AddOption("--job", options->job, "Only this job: its id or the first four or more digits of it")
      .ValueText("ID");
  command.AddOption("--x", options->x, "Unit of the x axis (steps)")
      .ValueText("steps|tokens")
      .OneOf({"steps", "tokens"});
  command.AddOption("--out", options->out, "The SVG file; - is standard output").ValueText("FILE").Required();
  commands.OnRun(command, [options](Session& session) { return Plot(session, *options); });
}

}  // namespace sink::cli
