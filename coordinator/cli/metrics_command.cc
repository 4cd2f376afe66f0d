// sinkctl metrics: the newest value of each series of a job, or every point for a program.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/study/targets.h"
#include "coordinator/cli/views/documents.h"
#include "coordinator/cli/views/views.h"
#include "proto/base/counted.h"

namespace sink::cli {
namespace {

constexpr int kTimesRead = 3;  // of a job whose points are thinned while they are read

struct MetricsOptions {
  std::string id;
  std::vector<std::string> names;
  int64_t from_step = 0;
  bool csv = false;
};

struct Series {
  int64_t points = 0, numbers = 0, step = 0;
  double latest = 0, least = NAN, most = NAN;  // the latter two of the points that are numbers
};

std::string Significant(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", value);
  return text;
}

// "hidden_norm_ratio/10" after "hidden_norm_ratio/9".
bool NaturalLess(const std::string& a, const std::string& b) {
  const size_t slash_a = a.rfind('/'), slash_b = b.rfind('/');
  if (slash_a != std::string::npos && slash_a == slash_b && a.compare(0, slash_a, b, 0, slash_b) == 0 &&
      a.size() != b.size())
    return a.size() < b.size();
  return a < b;
}

Column ValueColumn(std::string title, std::string field, int drop) {
  Column column = FixedColumn(std::move(title), field, 0, drop);
  column.show = [field](const Json& row) -> Cell {
    if (!row[field].is_number()) return {row[field].get<std::string>(), Style::kRed};
    return {Significant(row[field].get<double>())};
  };
  return column;
}

Page LatestPage(const std::vector<v1::MetricPoint>& points) {
  std::map<std::string, Series, decltype(&NaturalLess)> series(&NaturalLess);
  for (const v1::MetricPoint& point : points) {
    Series& s = series[point.name()];
    ++s.points;
    if (!std::isnan(point.value())) ++s.numbers;
    if (point.step() >= s.step) {
      s.step = point.step();
      s.latest = point.value();
    }
    s.least = std::fmin(s.least, point.value());
    s.most = std::fmax(s.most, point.value());
  }
  size_t with_nan = 0;
  for (const auto& [name, s] : series) with_nan += s.numbers < s.points ? 1 : 0;
  Page page;
  Json rows = Json::array();
  for (const auto& [name, s] : series)
    rows.push_back({{"name", name},
                    {"step", s.step},
                    {"latest", Number(s.latest)},
                    {"least", Number(s.least)},
                    {"most", Number(s.most)},
                    {"points", s.points},
                    {"numbers", s.numbers}});
  page.document = {{"series", std::move(rows)}};
  page.blocks.push_back(TableBlock{
      "series",
      {TextColumn("METRIC", "name", 16), IntegerColumn("STEP", "step"), ValueColumn("LATEST", "latest", 0),
       ValueColumn("LEAST", "least", 2), ValueColumn("MOST", "most", 2), IntegerColumn("POINTS", "points", 3)},
      "no points yet"});
  if (with_nan > 0) {
    const std::string note =
        Counted(with_nan, "metric has", "metrics have") + " points that are NaN; LEAST and MOST are of the others";
    page.blocks.push_back(TextBlock{{Cell{note, Style::kRed}}});
  }
  return page;
}

Page PointsPage(const std::vector<v1::MetricPoint>& points) {
  Page page;
  Json rows = Json::array();
  for (const v1::MetricPoint& point : points) rows.push_back(ToJson(point));
  page.document = {{"points", std::move(rows)}};
  page.blocks.push_back(TableBlock{"points",
                                   {TextColumn("NAME", "name"), IntegerColumn("STEP", "step"),
                                    ValueColumn("VALUE", "value", 0), IntegerColumn("ATTEMPT", "attempt")},
                                   ""});
  return page;
}

Outcome Metrics(Session& session, const MetricsOptions& options) {
  session.csv = options.csv;
  if (const absl::Status named = ExpectJob(session, options.id); !named.ok()) return FromStatus(named);
  v1::ReadMetricsRequest request;
  request.set_job_id(options.id);
  request.set_from_step(options.from_step);
  for (const std::string& name : options.names) request.add_names(name);
  std::vector<v1::MetricPoint> points;
  absl::Status status = absl::AbortedError("not read yet");
  for (int times = 0; times < kTimesRead && absl::IsAborted(status); ++times) {
    points.clear();
    status = session.client().ReadMetrics(request, [&](const v1::MetricPoints& batch) {
      points.insert(points.end(), batch.points().begin(), batch.points().end());
      return !session.world().interrupt.triggered();
    });
  }
  if (session.world().interrupt.triggered()) return {kInterrupted, "interrupted"};
  if (!status.ok()) return FromStatus(status);
  session.printer().Print(session.format() == Format::kTable ? LatestPage(points) : PointsPage(points));
  return {};
}

}  // namespace

void AddMetricsCommand(Commands& commands) {
  args::Command command =
      commands.Add("metrics", "Print a job's metrics: the newest values, or every point with --csv or --json",
                   Names::kJob, {"sinkctl metrics 3f2a91c0", "sinkctl metrics 3f2a91c0 --name 'sink_rate/*' --csv"});
  auto options = std::make_shared<MetricsOptions>();
  command.AddOption("ID", options->id, "A job's id, or the first four or more digits of it").Required();
  command.AddOption("--name", options->names, "Only this metric; a trailing * matches any ending; may be repeated")
      .ValueText("NAME")
      .OneValueEach();
  command.AddOption("--from-step", options->from_step, "Only points of this step and later")
      .ValueText("N")
      .NotNegative();
  command.AddFlag("--csv", options->csv, "Every point as comma-separated values").Excludes(commands.json());
  commands.OnRun(command, [options](Session& session) { return Metrics(session, *options); });
}

}  // namespace sink::cli
