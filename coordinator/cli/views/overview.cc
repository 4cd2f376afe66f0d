#include "coordinator/cli/views/overview.h"

#include <optional>
#include <utility>

#include "coordinator/cli/views/views.h"
#include "coordinator/job/worker_state.h"
#include "proto/base/counted.h"

namespace sink::cli {
namespace {

int Count(const v1::Sweep& sweep, v1::JobState state) {
  const auto found = sweep.jobs_by_state().find(v1::JobState_Name(state));
  return found == sweep.jobs_by_state().end() ? 0 : found->second;
}

Column CountOf(std::string title, std::vector<v1::JobState> states, Style style, int drop) {
  return {{std::move(title), Align::kRight, 0, drop}, "states", [states, style](const Json& row) -> Cell {
            int64_t sum = 0;
            for (v1::JobState state : states) sum += row["states"].value(v1::JobState_Name(state), int64_t{0});
            return sum == 0 ? Cell{} : Cell{std::to_string(sum), style};
          }};
}

struct WorkerCounts {
  int connected = 0, missing = 0, devices = 0, free = 0;
};
WorkerCounts CountWorkers(const Overview& overview) {
  WorkerCounts out;
  for (const v1::Worker& worker : overview.workers.workers()) {
    const std::optional<WorkerState> state = ParseName<WorkerState>(worker.state());
    if (!state) continue;
    switch (*state) {
      case WorkerState::kConnected:
        ++out.connected;
        out.devices += worker.devices();
        out.free += worker.devices_free();
        break;
      case WorkerState::kDisconnected:
        ++out.missing;
        break;
      case WorkerState::kGone:
      case WorkerState::kStopped:
        break;
    }
  }
  return out;
}

std::vector<Cell> WorkersLine(const Overview& overview) {
  const WorkerCounts counts = CountWorkers(overview);
  std::vector<Cell> line = {{Counted(counts.connected, "worker")}};
  if (counts.connected > 0)
    line.push_back(
        {std::to_string(counts.devices - counts.free) + "/" + std::to_string(counts.devices) + " devices in use"});
  if (counts.missing > 0) line.push_back({std::to_string(counts.missing) + " disconnected", Style::kYellow});
  return line;
}

}  // namespace

absl::StatusOr<Overview> FetchOverview(Session& session) {
  Overview out;
  auto sweeps = session.client().ListSweeps({});
  if (!sweeps.ok()) return sweeps.status();
  out.sweeps = *std::move(sweeps);
  auto workers = session.client().ListWorkers({});
  if (!workers.ok()) return workers.status();
  out.workers = *std::move(workers);
  v1::ListJobsRequest request;
  for (v1::JobState state : {v1::LEASED, v1::RUNNING, v1::DISCONNECTED, v1::FINALIZING}) request.add_states(state);
  auto active = session.client().ListJobs(request);
  if (!active.ok()) return active.status();
  out.active = *std::move(active);
  return out;
}

int Outstanding(const Overview& overview) {
  int out = 0;
  for (const v1::Sweep& sweep : overview.sweeps.sweeps())
    out += sweep.jobs() - Count(sweep, v1::SUCCEEDED) - Count(sweep, v1::FAILED) - Count(sweep, v1::CANCELLED);
  return out;
}

Page OverviewPage(const Overview& overview, const std::string& coordinator, size_t max_rows) {
  Page page;
  Json sweeps = Json::array(), workers = Json::array(), active = Json::array();
  for (const v1::Sweep& sweep : overview.sweeps.sweeps()) sweeps.push_back(ToJson(sweep));
  for (const v1::Worker& worker : overview.workers.workers()) workers.push_back(ToJson(worker));
  for (const v1::Job& job : overview.active.jobs()) {
    active.push_back(ToJson(job));
    if (overview.sweeps.disk_full()) ForgetPace(&active.back());
  }
  const bool busy = !active.empty();
  const auto& warnings = overview.sweeps.warnings();
  page.document = {{"sweeps", std::move(sweeps)},
                   {"workers", std::move(workers)},
                   {"active_jobs", std::move(active)},
                   {"warnings", std::vector<std::string>(warnings.begin(), warnings.end())}};

  page.blocks.push_back(TableBlock{
      "sweeps",
      {TextColumn("SWEEP", "name", 12), IntegerColumn("JOBS", "jobs"),
       CountOf("RUNNING", {v1::RUNNING, v1::LEASED, v1::FINALIZING, v1::DISCONNECTED}, Style::kBlue, 0),
       CountOf("QUEUED", {v1::QUEUED, v1::LOST}, Style::kPlain, 0), CountOf("FAILED", {v1::FAILED}, Style::kRed, 0),
       CountOf("CANCELLED", {v1::CANCELLED}, Style::kDim, 2), CountOf("SUCCEEDED", {v1::SUCCEEDED}, Style::kGreen, 1),
       TimeColumn("SUBMITTED", "created_ms", 3)},
      "no sweeps yet; submit one: sinkctl submit sweeps/quickstart.yaml",
      max_rows});
  page.blocks.push_back(TextBlock{});
  if (busy) {
    page.blocks.push_back(TableBlock{"active_jobs", JobColumns(false), "", max_rows});
    page.blocks.push_back(TextBlock{});
  }
  if (CountWorkers(overview).connected == 0 && Outstanding(overview) > 0) {
    page.blocks.push_back(TextBlock{{{"no worker is connected, so nothing runs", Style::kYellow},
                                     {"start one: sink-worker --coordinator " + coordinator + " --data DIR"}}});
  } else {
    page.blocks.push_back(TextBlock{WorkersLine(overview)});
  }
  for (const std::string& warning : warnings) page.blocks.push_back(TextBlock{{{warning, Style::kRed}}});
  return page;
}

std::vector<Cell> OverviewLine(const Overview& overview) {
  std::vector<Cell> line;
  for (const v1::Sweep& sweep : overview.sweeps.sweeps()) {
    const int done = Count(sweep, v1::SUCCEEDED) + Count(sweep, v1::FAILED) + Count(sweep, v1::CANCELLED);
    line.push_back({sweep.name() + " " + std::to_string(done) + "/" + std::to_string(sweep.jobs()) + " jobs done"});
    if (const int failed = Count(sweep, v1::FAILED); failed > 0)
      line.push_back({std::to_string(failed) + " failed", Style::kRed});
  }
  const std::vector<Cell> workers = WorkersLine(overview);
  line.insert(line.end(), workers.begin(), workers.end());
  for (const std::string& warning : overview.sweeps.warnings()) line.push_back({warning, Style::kRed});
  return line;
}

}  // namespace sink::cli
