#include "coordinator/cli/top/render_top.h"

#include <algorithm>
#include <optional>

#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/views/views.h"
#include "proto/base/counted.h"

namespace sink::cli {
namespace {

constexpr int kNarrowSpark = 6, kWideSpark = 24;
constexpr int kWideWindow = 140;
constexpr size_t kLeastJobs = 3;
constexpr char kKeys[] = "q quit  j k choose  Enter log  s sweep  / filter  o order  r reverse  ? help";

// How the lines of a window are shared out.
struct Layout {
  size_t sweeps = 0, jobs = 0, workers = 0;  // rows of each table, without its heading
  size_t first_job = 0;                      // of the jobs shown
};

// Lines beside the rows of tables: headline, three headings with an empty line above each, what jobs these are, the
// keys.
constexpr size_t kOtherLines = 9;

Layout ShareOut(const TopState& state, int rows, const std::vector<const Json*>& jobs) {
  if (rows == 0) return {state.sweeps.size(), jobs.size(), state.workers.size(), 0};
  const size_t other = kOtherLines + state.warnings.size() + (state.help ? 4 : 0);
  const size_t room = static_cast<size_t>(rows) > other + kLeastJobs ? static_cast<size_t>(rows) - other : kLeastJobs;
  Layout out;
  out.sweeps = std::min<size_t>(state.sweeps.size(), std::max<size_t>(1, room / 4));
  out.workers = std::min<size_t>(state.workers.size(), std::max<size_t>(1, room / 5));
  const size_t taken = out.sweeps + out.workers;
  out.jobs = std::min(jobs.size(), room > taken + kLeastJobs ? room - taken : kLeastJobs);
  const auto chosen =
      std::find_if(jobs.begin(), jobs.end(), [&](const Json* job) { return (*job)["id"] == state.selected; });
  if (chosen != jobs.end()) {
    const size_t place = static_cast<size_t>(chosen - jobs.begin());
    if (place >= out.jobs) out.first_job = place + 1 - out.jobs;
  }
  return out;
}

void AddTable(const std::vector<Column>& columns, const std::vector<const Json*>& rows, int width, bool color,
              std::vector<std::string>* lines) {
  std::vector<TableColumn> layouts;
  for (const Column& column : columns) layouts.push_back(column.layout);
  std::vector<std::vector<Cell>> cells;
  for (const Json* row : rows) {
    std::vector<Cell>& line = cells.emplace_back();
    for (const Column& column : columns) line.push_back(column.show(*row));
  }
  for (std::string& line : LayOutTable(layouts, cells, width, color)) lines->push_back(std::move(line));
}

Column CountOfStates(std::string title, std::vector<std::string> states, Style style, int drop) {
  return {{std::move(title), Align::kRight, 0, drop}, "states", [states, style](const Json& row) -> Cell {
            int64_t sum = 0;
            for (const std::string& state : states) sum += row["states"].value(state, int64_t{0});
            return sum == 0 ? Cell{} : Cell{std::to_string(sum), style};
          }};
}

// Marks what is chosen, also where there is no colour.
Column Marked(Column column, const std::string& chosen) {
  column.layout.title.insert(0, " ");
  column.show = [show = column.show, field = column.field, chosen](const Json& row) -> Cell {
    Cell cell = show(row);
    const bool is_it = row[field] == chosen;
    return {(is_it ? ">" : " ") + cell.text, is_it ? Style::kBold : cell.style};
  };
  return column;
}

Column SparkColumn(std::string title, const TopState& state, Curve JobCurves::*curve, int width, int drop) {
  return {{std::move(title), Align::kLeft, 0, drop}, "id", [&state, curve, width](const Json& row) -> Cell {
            const auto found = state.curves.find(row["id"].get<std::string>());
            return found == state.curves.end() ? Cell{} : Cell{(found->second.*curve).Sparkline(width), Style::kBlue};
          }};
}

// "learning_rate", where that is what all the settings begin with; a column is then named by it, and has room for what
// varies.
std::string CommonKey(const std::vector<const Json*>& jobs) {
  std::string key;
  for (const Json* job : jobs) {
    const std::string label = ShortLabel((*job)["label"].get<std::string>());
    const size_t end = label.find('=');
    if (end == std::string::npos || (!key.empty() && label.substr(0, end) != key)) return "";
    key = label.substr(0, end);
  }
  return key;
}

Column SettingColumn(const std::vector<const Json*>& jobs) {
  const std::string key = CommonKey(jobs);
  Column column = TextColumn(key.empty() ? "SETTING" : key, "label", 12, 0);
  column.show = [skip = key.empty() ? 0 : key.size() + 1](const Json& row) -> Cell {
    return {ShortLabel(row["label"].get<std::string>()).substr(skip)};
  };
  return column;
}

std::vector<Column> TopJobColumns(const TopState& state, const std::vector<const Json*>& jobs, int width, bool keys) {
  const int spark = width >= kWideWindow ? kWideSpark : kNarrowSpark;
  std::vector<Column> columns;
  columns.push_back(keys ? Marked(JobIdColumn("id"), state.selected) : JobIdColumn("id"));
  const bool one_sweep = !state.sweep.empty();
  columns.push_back(one_sweep ? TextColumn("EXPERIMENT", "experiment", 10, 6)
                              : Column{{"SWEEP", Align::kLeft, 8, 6}, "sweeps", [](const Json& row) -> Cell {
                                         return row["sweeps"].empty()
                                                    ? Cell{}
                                                    : Cell{row["sweeps"][0]["sweep"].get<std::string>()};
                                       }});
  columns.push_back(SettingColumn(jobs));
  columns.push_back(StateColumn());
  columns.push_back({{"STEP", Align::kRight, 0, 0}, "step", [](const Json& row) -> Cell {
                       const std::string step = Compact(row["step"]);
                       return {row["max_steps"].is_null() ? (step == "0" ? "" : step)
                                                          : step + "/" + Compact(row["max_steps"])};
                     }});
  columns.push_back(FixedColumn("LOSS", "train_loss", 3, 0));
  columns.push_back(SparkColumn("", state, &JobCurves::loss, spark, 2));
  columns.push_back(FixedColumn("ALPHA1", "alpha_mean_1", 3, 0));
  columns.push_back(SparkColumn("", state, &JobCurves::alpha, spark, 3));
  columns.push_back(FixedColumn("SINK%", "sink_rate_percent", 1, 4));
  columns.push_back(DurationColumn("ETA", "eta_seconds", 5));
  columns.push_back(TextColumn("WORKER", "worker", 6, 7));
  return columns;
}

std::vector<Column> TopWorkerColumns() {
  return {TextColumn("WORKER", "name", 8),
          WorkerStateColumn(),
          {{"IN USE", Align::kRight},
           "devices",
           [](const Json& row) -> Cell {
             const int64_t all = row["devices"].get<int64_t>();
             return {std::to_string(all - row["devices_free"].get<int64_t>()) + "/" + std::to_string(all)};
           }},
          TextColumn("KIND", "device_kind", 6, 1),
          {{"JOBS", Align::kLeft, 8, 2}, "job_ids", [](const Json& row) -> Cell {
             std::string ids;
             for (const Json& id : row["job_ids"])
               ids += (ids.empty() ? "" : " ") + id.get<std::string>().substr(0, kShortId);
             return {ids};
           }}};
}

std::vector<const Json*> RowsOf(const Json& rows, size_t count) {
  std::vector<const Json*> out;
  for (const Json& row : rows) {
    if (out.size() == count) break;
    out.push_back(&row);
  }
  return out;
}

std::string More(size_t all, size_t shown) {
  return all > shown ? ", " + std::to_string(shown) + " of " + std::to_string(all) + " shown" : "";
}

// What is above the jobs: which, in what order.
std::string JobsHeadline(const TopState& state, size_t shown, size_t matching) {
  std::string text = state.sweep.empty() ? "jobs of all sweeps" : "jobs of " + state.sweep;
  if (!state.filter.empty() || state.typing) text += ", with \"" + state.filter + (state.typing ? "_" : "") + "\"";
  if (state.order > 0 || state.reverse)
    text += ", by " + TopOrders()[state.order] + (state.reverse ? ", the largest first" : "");
  return text + More(matching, shown);
}

std::string Headline(const TopState& state, int width, bool color) {
  size_t devices = 0, in_use = 0, connected = 0;
  for (const Json& worker : state.workers) {
    if (!IsConnected(worker)) continue;
    ++connected;
    devices += worker["devices"].get<size_t>();
    in_use += worker["devices"].get<size_t>() - worker["devices_free"].get<size_t>();
  }
  std::string text = "sink at " + state.coordinator + "  " + Counted(connected, "worker") + ", " +
                     std::to_string(in_use) + "/" + std::to_string(devices) + " devices in use";
  const std::string time = FormatTime(state.now_ms);
  const int gap = width - DisplayWidth(text) - DisplayWidth(time);
  if (gap >= 2 && width < 1000) text += std::string(static_cast<size_t>(gap), ' ') + time;
  return Paint(Ellipsize(text, width), Style::kBold, color);
}

void AddHelp(int width, bool color, std::vector<std::string>* lines) {
  for (const char* line :
       {"j k, arrows, PageUp, PageDown, Home, End: choose a job    Enter, l: its log (Escape: back)",
        "s S: the next sweep, the one before    /: only jobs that have a text somewhere (Escape: all)",
        "o: order by the next column    r: the other way round    q, Ctrl-C: quit, jobs go on"})
    lines->push_back(Paint(Ellipsize(line, width), Style::kDim, color));
}

std::vector<std::string> RenderLog(const TopState& state, WindowSize window, bool color) {
  std::vector<std::string> lines;
  const size_t room = static_cast<size_t>(std::max(3, window.rows)) - 2;
  const size_t end = state.log.size() - std::min(state.log_back, state.log.size());
  const size_t begin = end > room ? end - room : 0;
  lines.push_back(
      Paint(Ellipsize("log of " + state.log_of.substr(0, kShortId) +
                          (state.log_back > 0 ? ", " + std::to_string(state.log_back) + " lines below" : ""),
                      window.columns),
            Style::kBold, color));
  for (size_t i = begin; i < end; ++i) {
    const v1::LogLine& line = state.log[i];
    const Style style = line.level() == "error"     ? Style::kRed
                        : line.level() == "warning" ? Style::kYellow
                                                    : Style::kPlain;
    const std::string text = FormatTime(line.time_ms()) + "  " + line.level() + "  " + Clean(line.text());
    lines.push_back(Paint(Ellipsize(text, window.columns), style, color));
  }
  if (state.log.empty()) lines.push_back("it has said nothing yet");
  while (lines.size() < room + 1) lines.push_back("");
  const std::string keys =
      state.trouble.empty() ? "Escape back  j k PageUp PageDown scroll  End newest" : state.trouble;
  lines.push_back(Paint(Ellipsize(keys, window.columns), state.trouble.empty() ? Style::kDim : Style::kRed, color));
  return lines;
}

}  // namespace

std::vector<std::string> VisibleJobs(const TopState& state, WindowSize window) {
  const std::vector<const Json*> jobs = ShownJobs(state);
  const Layout layout = ShareOut(state, window.rows, jobs);
  std::vector<std::string> ids;
  for (size_t i = layout.first_job; i < layout.first_job + layout.jobs; ++i)
    ids.push_back((*jobs[i])["id"].get<std::string>());
  return ids;
}

size_t PageOf(const TopState& state, WindowSize window) {
  if (!state.log_of.empty()) return static_cast<size_t>(std::max(3, window.rows)) - 2;
  return std::max<size_t>(1, ShareOut(state, window.rows, ShownJobs(state)).jobs);
}

std::vector<std::string> RenderTop(const TopState& state, WindowSize window, bool color) {
  const bool keys = window.rows > 0;
  if (!state.log_of.empty()) return RenderLog(state, window, color);
  const int width = window.columns;
  const std::vector<const Json*> jobs = ShownJobs(state);
  const Layout layout = ShareOut(state, window.rows, jobs);
  std::vector<std::string> lines = {Headline(state, width, color)};
  for (const std::string& warning : state.warnings)
    lines.push_back(Paint(Ellipsize(Clean(warning), width), Style::kRed, color));
  lines.push_back("");

  const Column name = TextColumn("SWEEP", "name", 12);
  const std::vector<Column> sweeps = {
      keys ? Marked(name, state.sweep) : name,
      IntegerColumn("JOBS", "jobs"),
      CountOfStates("RUNNING", {"RUNNING", "LEASED", "FINALIZING", "DISCONNECTED"}, Style::kBlue, 0),
      CountOfStates("QUEUED", {"QUEUED", "LOST"}, Style::kPlain, 0),
      CountOfStates("FAILED", {"FAILED"}, Style::kRed, 0),
      CountOfStates("CANCELLED", {"CANCELLED"}, Style::kDim, 2),
      CountOfStates("SUCCEEDED", {"SUCCEEDED"}, Style::kGreen, 1),
      TimeColumn("SUBMITTED", "created_ms", 3)};
  AddTable(sweeps, RowsOf(state.sweeps, layout.sweeps), width, color, &lines);

  lines.push_back("");
  const std::vector<const Json*> shown(jobs.begin() + static_cast<std::ptrdiff_t>(layout.first_job),
                                       jobs.begin() + static_cast<std::ptrdiff_t>(layout.first_job + layout.jobs));
  lines.push_back(Paint(Ellipsize(JobsHeadline(state, shown.size(), jobs.size()), width), Style::kDim, color));
  AddTable(TopJobColumns(state, shown, width, keys), shown, width, color, &lines);

  lines.push_back("");
  AddTable(TopWorkerColumns(), RowsOf(state.workers, layout.workers), width, color, &lines);
  if (!keys) return lines;
  if (state.help) {
    lines.push_back("");
    AddHelp(width, color, &lines);
  }
  const size_t rows = static_cast<size_t>(window.rows);
  lines.resize(rows - 1);
  const Style style = state.trouble.empty() ? Style::kDim : Style::kRed;
  lines.push_back(Paint(Ellipsize(state.trouble.empty() ? kKeys : state.trouble, width), style, color));
  return lines;
}

}  // namespace sink::cli
