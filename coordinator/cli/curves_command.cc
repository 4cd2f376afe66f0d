// sinkctl curves: one metric of every job of a sweep over its steps, as a line of blocks, all on one scale.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/study/metric_names.h"
#include "coordinator/cli/study/whole_sweep.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

constexpr size_t kCells = 30;  // of a curve

struct CurvesOptions {
  std::string sweep;
  std::string metric = "alpha_max/1";
};

// Values in order of their steps; not-a-number where a step's value is.
using Curve = std::vector<std::pair<int64_t, double>>;

// At most kCells blocks, each the mean of as many neighbours; eighths of the way from 0 (or the least value, if that is
// negative) to the largest.
std::string Draw(const Curve& curve, double least, double most) {
  static constexpr const char* kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string out;
  const size_t cells = std::min(kCells, curve.size());
  for (size_t cell = 0; cell < cells; ++cell) {
    const size_t first = cell * curve.size() / cells, last = (cell + 1) * curve.size() / cells;
    double sum = 0;
    for (size_t i = first; i < last; ++i) sum += curve[i].second;
    const double share = (sum / static_cast<double>(last - first) - least) / (most - least);
    out += std::isfinite(share) ? kBlocks[std::clamp(static_cast<int>(share * 8), 0, 7)] : "·";
  }
  return out;
}

Outcome Curves(Session& session, const CurvesOptions& options) {
  const auto status = ReadSweep(session, options.sweep);
  if (!status.ok()) return FromStatus(status.status());
  std::map<std::string, Curve> curves;  // by job
  std::set<std::string> ids;
  for (const v1::Job& job : status->jobs()) ids.insert(job.id());
  double least = 0, most = 0;
  const absl::Status read = VisitMetrics(session, options.sweep, ids.size(), ids, {options.metric},
                                         [&](const std::string& id, const v1::MetricPoint& point) {
                                           curves[id].emplace_back(point.step(), point.value());
                                           least = std::fmin(least, point.value());
                                           most = std::fmax(most, point.value());
                                         });
  if (session.world().interrupt.triggered()) return {kInterrupted, "interrupted"};
  if (!read.ok()) return FromStatus(read);
  if (const absl::Status known = ExpectMetric(*status, options.metric); curves.empty() && !known.ok())
    return FromStatus(known);

  Page page;
  Json rows = Json::array();
  for (int i = 0; i < status->jobs_size(); ++i) {
    const v1::Job& job = status->jobs(i);
    Curve& curve = curves[job.id()];
    std::sort(curve.begin(), curve.end());
    const v1::Membership place = PlaceIn(job, options.sweep);
    Json points = Json::array();
    for (const auto& [step, value] : curve) points.push_back({{"step", step}, {"value", Number(value)}});
    rows.push_back({{"id", job.id()},
                    {"experiment", place.experiment()},
                    {"label", place.label()},
                    {"step", curve.empty() ? Json(nullptr) : Json(curve.back().first)},
                    {"latest", curve.empty() ? Json(nullptr) : Number(curve.back().second)},
                    {"curve", Draw(curve, least, most)},
                    {"points", std::move(points)}});
  }
  page.document = {{"sweep", options.sweep}, {"metric", options.metric}, {"curves", std::move(rows)}};
  Column label = TextColumn("SETTING", "label", kLabelWidth, 1);
  label.show = [](const Json& row) -> Cell { return {ShortLabel(row["label"].get<std::string>())}; };
  page.blocks.push_back(TableBlock{
      "curves",
      {JobIdColumn("id"), TextColumn("EXPERIMENT", "experiment", 12, 2), std::move(label),
       TextColumn("CURVE", "curve", kCells), IntegerColumn("STEP", "step", 3), FixedColumn("LATEST", "latest", 3)},
      "no jobs"});
  page.blocks.push_back(TextBlock{
      {{options.metric, Style::kDim}, {"from " + FormatFixed(least, 3) + " to " + FormatFixed(most, 3), Style::kDim}}});
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddCurvesCommand(Commands& commands) {
  args::Command command =
      commands.Add("curves", "Draw one metric of every job of a sweep over its steps", Names::kSweep,
                   {"sinkctl curves quickstart", "sinkctl curves optimization --metric validation_loss/all"});
  auto options = std::make_shared<CurvesOptions>();
  command.AddOption("SWEEP", options->sweep, "A sweep's name").Required();
  command.AddOption("--metric", options->metric, "A metric's whole name (alpha_max/1: the strongest head's alpha_1)")
      .ValueText("NAME");
  commands.OnRun(command, [options](Session& session) { return Curves(session, *options); });
}

}  // namespace sink::cli
