#include "coordinator/cli/views/views.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/job/job_state.h"
#include "coordinator/job/worker_state.h"
#include "proto/base/counted.h"

namespace sink::cli {
namespace {

// The number that a document holds, also where it had to be written as a string (see Number).
double AsDouble(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "Infinity") return INFINITY;
  if (value == "-Infinity") return -INFINITY;
  return NAN;
}

template <typename Format>
Column NumberColumn(std::string title, const std::string& field, int drop, Format format) {
  return {{std::move(title), Align::kRight, 0, drop}, field, [field, format](const Json& row) -> Cell {
            const auto value = row.find(field);
            if (value == row.end() || value->is_null()) return {};
            const double number = AsDouble(*value);
            return {format(number), std::isfinite(number) ? Style::kPlain : Style::kRed};
          }};
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

Column StepColumn() {
  return {{"STEP", Align::kRight, 0, 0}, "step", [](const Json& row) -> Cell {
            const std::string step = Compact(row["step"]);
            return {row["max_steps"].is_null() ? (step == "0" ? "" : step) : step + "/" + Compact(row["max_steps"])};
          }};
}

// The state of the job that a document describes; nothing where only a newer coordinator knows it.
std::optional<JobState> StateOf(const Json& row) { return ParseName<JobState>(row["state"].get<std::string>()); }

Style StyleOf(JobState state) {
  switch (state) {
    case JobState::kRunning:
    case JobState::kLeased:
    case JobState::kFinalizing:
      return Style::kBlue;
    case JobState::kSucceeded:
      return Style::kGreen;
    case JobState::kFailed:
      return Style::kRed;
    case JobState::kDisconnected:
    case JobState::kLost:
      return Style::kYellow;
    case JobState::kQueued:
    case JobState::kCancelled:
      return Style::kDim;
  }
  return Style::kPlain;
}

// The rate of a job that does not run is history.
Column RateColumn(int drop) {
  Column column = CountColumn("TOK/S", "tokens_per_second", drop);
  column.show = [show = column.show](const Json& row) {
    return StateOf(row) == JobState::kRunning && row["tokens_per_second"] != 0.0 ? show(row) : Cell{};
  };
  return column;
}

Column EtaColumn() {
  Column column = DurationColumn("ETA", "eta_seconds", 2);
  column.show = [show = column.show](const Json& row) {
    const bool live = row["finished_ms"].is_null() && StateOf(row) == JobState::kRunning;
    return live ? show(row) : Cell{};
  };
  return column;
}

std::string Bar(double fraction, int width) {
  const int full = static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * width));
  std::string bar;
  for (int i = 0; i < width; ++i) bar += i < full ? "\u2501" : "\u2500";
  return bar;
}

// Running and failed jobs before waiting ones before finished ones.
int Interest(const v1::Job& job) {
  if (job.state() == v1::QUEUED) return 1;
  return job.state() == v1::SUCCEEDED || job.state() == v1::CANCELLED ? 2 : 0;
}

}  // namespace

Column TextColumn(std::string title, std::string field, int min_width, int drop) {
  return {{std::move(title), Align::kLeft, min_width, drop}, field, [field](const Json& row) -> Cell {
            const auto value = row.find(field);
            if (value == row.end() || value->is_null()) return {};
            return {value->is_string() ? value->get<std::string>() : Compact(*value)};
          }};
}

Column FixedColumn(std::string title, std::string field, int decimals, int drop) {
  return NumberColumn(std::move(title), field, drop, [decimals](double x) { return FormatFixed(x, decimals); });
}

Column CountColumn(std::string title, std::string field, int drop) {
  return NumberColumn(std::move(title), field, drop, FormatCount);
}

Column PowerColumn(std::string title, std::string field, int drop) {
  return NumberColumn(std::move(title), field, drop, FormatPower);
}

Column IntegerColumn(std::string title, std::string field, int drop) {
  return NumberColumn(std::move(title), field, drop, [](double x) { return std::to_string(static_cast<int64_t>(x)); });
}

Column BytesColumn(std::string title, std::string field, int drop) {
  return NumberColumn(std::move(title), field, drop, FormatBytes);
}

Column DurationColumn(std::string title, std::string field, int drop) {
  return NumberColumn(std::move(title), field, drop, FormatDuration);
}

Column TimeColumn(std::string title, std::string field, int drop) {
  Column column =
      NumberColumn(std::move(title), field, drop, [](double x) { return FormatTime(static_cast<int64_t>(x)); });
  column.layout.align = Align::kLeft;
  return column;
}

Column JobIdColumn(std::string field) {
  return {{"JOB"}, field, [field](const Json& row) -> Cell {
            const auto value = row.find(field);
            if (value == row.end() || !value->is_string()) return {};
            return {value->get<std::string>().substr(0, kShortId)};
          }};
}

Column StateColumn() {
  return {{"STATE"}, "state", [](const Json& row) { return StateCell(row["state"].get<std::string>()); }};
}

bool IsConnected(const Json& worker) {
  return ParseName<WorkerState>(Lower(worker["state"].get<std::string>())) == WorkerState::kConnected;
}

Column WorkerStateColumn() {
  return {{"STATE"}, "state", [](const Json& row) -> Cell {
            const std::string state = Lower(row["state"].get<std::string>());
            if (const std::string hold = row["hold"].get<std::string>(); !hold.empty())
              return {IsConnected(row) ? hold : state + ", " + hold, Style::kRed};
            const bool missed = ParseName<WorkerState>(state) == WorkerState::kDisconnected;
            return {state, IsConnected(row) ? Style::kGreen : missed ? Style::kYellow : Style::kDim};
          }};
}

Column MarkColumn() {
  return {{"MARK"}, "pinned", [](const Json& row) -> Cell {
            std::vector<std::string> marks;
            if (!row["damage"].is_null()) marks.push_back("damaged");
            if (row["pinned"] == true) marks.push_back("pinned");
            if (row["best"] == true) marks.push_back("best");
            return {absl::StrJoin(marks, ", "), row["damage"].is_null() ? Style::kPlain : Style::kRed};
          }};
}

Cell StateCell(const std::string& state) {
  const std::optional<JobState> known = ParseName<JobState>(state);
  return {Lower(state), known ? StyleOf(*known) : Style::kPlain};
}

std::vector<Column> JobColumns(bool in_sweep) {
  std::vector<Column> columns = {JobIdColumn("id")};
  if (in_sweep) {
    columns.push_back(TextColumn("EXPERIMENT", "experiment", 12, 6));
    Column label = TextColumn("SETTING", "label", kLabelWidth, 1);
    label.show = [](const Json& row) -> Cell { return {ShortLabel(row["label"].get<std::string>())}; };
    columns.push_back(std::move(label));
  } else {
    columns.push_back({{"SWEEP", Align::kLeft, 8, 1}, "sweeps", [](const Json& row) -> Cell {
                         std::string names, last;  // places come by sweep
                         for (const Json& place : row["sweeps"]) {
                           const std::string name = place["sweep"].get<std::string>();
                           if (name != last) names += (names.empty() ? "" : ", ") + name;
                           last = name;
                         }
                         return {names};
                       }});
    columns.push_back({{"SETTING", Align::kLeft, kLabelWidth, 1}, "label", [](const Json& row) -> Cell {
                         if (row["sweeps"].empty()) return {};
                         return {ShortLabel(row["sweeps"][0]["label"].get<std::string>())};
                       }});
  }
  columns.push_back(StateColumn());
  columns.push_back(StepColumn());
  columns.push_back(FixedColumn("LOSS", "train_loss", 3, 4));
  columns.push_back(FixedColumn("VALID", "validation_loss", 3, 5));
  columns.push_back(FixedColumn("SINK%", "sink_rate_percent", 1, 3));
  columns.push_back(FixedColumn("ALPHA1", "alpha_mean_1", 3, 7));
  columns.push_back(FixedColumn("NORM", "hidden_norm_ratio", 1, 8));
  columns.push_back(RateColumn(9));
  columns.push_back(EtaColumn());
  return columns;
}

SweepTotals Total(const v1::GetSweepResponse& status, int64_t now_ms) {
  SweepTotals out;
  double fraction = 0;
  for (const v1::Job& job : status.jobs()) {
    const v1::Progress& p = job.progress();
    const bool left = IsLeftToOthers(job, status.sweep().name());
    const bool over = left || IsFinal(job.state());
    const bool stopped = job.state() == v1::CANCELLED && job.stopped_early();
    ++out.jobs;
    out.done += over;
    out.stopped_early += stopped;
    out.failed += left || job.state() == v1::FAILED || (job.state() == v1::CANCELLED && !stopped);
    fraction += over ? 1 : p.max_steps() > 0 ? static_cast<double>(p.step()) / static_cast<double>(p.max_steps()) : 0;
    if (!left && EtaSeconds(job) && job.state() == v1::RUNNING && !status.disk_full())
      out.tokens_per_second += p.tokens_per_second();
  }
  if (out.jobs > 0) out.fraction = fraction / out.jobs;
  if (!status.disk_full() || out.done == out.jobs) out.left = EstimateTimeLeft(status, now_ms);
  return out;
}

v1::Membership PlaceIn(const v1::Job& job, const std::string& sweep) {
  for (const v1::Membership& place : job.sweeps())
    if (place.sweep() == sweep) return place;
  return {};
}

void AddJobsOfOthers(const v1::GetSweepResponse& status, JobsOfOthers* kept) {
  const std::string& sweep = status.sweep().name();
  for (const v1::Job& job : status.jobs()) {
    if (!IsLeftToOthers(job, sweep)) continue;
    for (const v1::Membership& place : job.sweeps()) {
      if (place.withdrawn()) continue;
      kept->jobs.insert(job.id());
      kept->sweeps.insert(place.sweep());
    }
  }
}

std::string GoesOnText(const JobsOfOthers& kept) {
  constexpr size_t kNamed = 3;
  std::string names;
  for (auto name = kept.sweeps.begin(); name != std::next(kept.sweeps.begin(), std::min(kNamed, kept.sweeps.size()));
       ++name)
    names += (names.empty() ? "" : ", ") + *name;
  if (kept.sweeps.size() > kNamed) names += " and " + std::to_string(kept.sweeps.size() - kNamed) + " more";
  return Counted(kept.jobs.size(), "job goes on", "jobs go on") + ": " +
         (kept.sweeps.size() == 1 ? "sweep " + names + " wants " : "sweeps " + names + " want ") +
         (kept.jobs.size() == 1 ? "it" : "them");
}

std::vector<Cell> StateCounts(const Json& states) {
  std::vector<Cell> cells;
  for (const char* state :
       {"RUNNING", "LEASED", "FINALIZING", "DISCONNECTED", "LOST", "QUEUED", "FAILED", "CANCELLED", "SUCCEEDED"}) {
    const auto count = states.find(state);
    if (count == states.end()) continue;
    Cell cell = StateCell(state);
    cell.text = Compact(*count) + " " + cell.text;
    cells.push_back(std::move(cell));
  }
  return cells;
}

Page SweepPage(const v1::GetSweepResponse& status, int64_t now_ms, size_t max_rows) {
  const std::string& name = status.sweep().name();
  const SweepTotals totals = Total(status, now_ms);
  std::vector<const v1::Job*> jobs;
  for (const v1::Job& job : status.jobs()) jobs.push_back(&job);
  if (jobs.size() > max_rows)
    std::stable_sort(jobs.begin(), jobs.end(), [](auto* a, auto* b) { return Interest(*a) < Interest(*b); });

  Page page;
  Json rows = Json::array();
  std::string epsilon;
  TextBlock failures;
  for (const v1::Job* job : jobs) {
    const v1::Membership place = PlaceIn(*job, name);
    rows.push_back(ToJson(*job, place));
    if (status.disk_full()) ForgetPace(&rows.back());
    if (const std::string e = Measure(job->progress()).epsilon; !e.empty()) epsilon = e;
    if (job->state() == v1::FAILED && failures.pieces.size() < 5)
      failures.pieces.push_back({job->id().substr(0, kShortId) + " failed: " + job->message(), Style::kRed});
  }
  page.document = {
      {"sweep", ToJson(status.sweep())},
      {"warnings", std::vector<std::string>(status.warnings().begin(), status.warnings().end())},
      {"jobs", std::move(rows)},
      {"totals",
       {{"jobs", totals.jobs},
        {"done", totals.done},
        {"failed", totals.failed},
        {"stopped_early", totals.stopped_early},
        {"fraction", totals.fraction},
        {"eta_seconds", totals.left ? Json(totals.left->seconds) : Json(nullptr)},
        {"eta_seconds_range", totals.left ? Json::array({totals.left->least, totals.left->most}) : Json(nullptr)},
        {"tokens_per_second", status.disk_full() ? Json(nullptr) : Json(totals.tokens_per_second)}}}};

  const bool finished = totals.done == totals.jobs;
  TextBlock headline = {{{name, Style::kBold},
                         {Bar(totals.fraction, 24), finished && totals.failed == 0 ? Style::kGreen : Style::kBlue},
                         {FormatFixed(std::floor(100 * totals.fraction), 0) + "%"},
                         {std::to_string(totals.done) + "/" + std::to_string(totals.jobs) + " jobs done"}}};
  if (!finished && totals.left) headline.pieces.push_back({FormatTimeLeft(*totals.left)});

  TextBlock footer = {StateCounts(page.document["sweep"]["states"])};
  if (totals.tokens_per_second > 0) footer.pieces.push_back({FormatCount(totals.tokens_per_second) + " tokens/s"});
  if (!epsilon.empty()) footer.pieces.push_back({"SINK%, ALPHA1: position 1, epsilon " + epsilon, Style::kDim});
  page.blocks = {headline, TableBlock{"jobs", JobColumns(true), "no jobs", max_rows}, footer};
  JobsOfOthers kept;
  AddJobsOfOthers(status, &kept);
  if (!kept.jobs.empty())
    page.blocks.push_back(TextBlock{{{"this sweep is cancelled", Style::kYellow}, {GoesOnText(kept)}}});
  for (const std::string& warning : status.warnings()) page.blocks.push_back(TextBlock{{{warning, Style::kRed}}});
  for (const Cell& failure : failures.pieces) page.blocks.push_back(TextBlock{{failure}});
  return page;
}

}  // namespace sink::cli
