// sinkctl workers: the machines.
#include <map>
#include <string>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/views/views.h"
#include "coordinator/job/data_set.h"
#include "coordinator/job/worker_state.h"

namespace sink::cli {
namespace {

// A line for each data set that is not the same on all workers that have it.
void AddDifferingSets(const v1::ListWorkersResponse& response, Page* page) {
  std::map<std::string, std::map<std::string, std::string>> copies;  // name -> content -> workers
  for (const v1::Worker& worker : response.workers()) {
    const auto state = ParseName<WorkerState>(worker.state());
    if (state == WorkerState::kGone || state == WorkerState::kStopped) continue;
    for (const v1::DataSet& set : worker.sets()) {
      std::string& workers = copies[set.name()][set.content().substr(0, kShortId)];
      workers += (workers.empty() ? "" : ", ") + worker.name();
    }
  }
  for (const auto& [name, contents] : copies) {
    if (contents.size() < 2) continue;
    std::string text = "data set " + name + " is not the same everywhere:";
    for (const auto& [content, workers] : contents)
      text += (text.back() == ':' ? " " : "; ") + content + " on " + workers;
    page->blocks.push_back(TextBlock{{{text, Style::kYellow}}});
  }
}

Outcome Workers(Session& session) {
  const auto response = session.client().ListWorkers({});
  if (!response.ok()) return FromStatus(response.status());
  Page page;
  Json workers = Json::array();
  for (const v1::Worker& worker : response->workers()) workers.push_back(ToJson(worker));
  page.document = {{"workers", std::move(workers)}};
  // A user's clock may be wrong; a coordinator of an older version does not say.
  const int64_t now_ms = response->now_ms() > 0 ? response->now_ms() : session.world().now_ms();
  page.blocks.push_back(
      TableBlock{"workers",
                 {TextColumn("WORKER", "name", 8),
                  WorkerStateColumn(),
                  IntegerColumn("DEVICES", "devices"),
                  IntegerColumn("FREE", "devices_free"),
                  TextColumn("KIND", "device_kind", 6, 2),
                  {{"JOBS", Align::kLeft, 8, 0},
                   "job_ids",
                   [](const Json& row) -> Cell {
                     std::string ids;
                     for (const Json& id : row["job_ids"])
                       ids += (ids.empty() ? "" : " ") + id.get<std::string>().substr(0, kShortId);
                     return {ids};
                   }},
                  {{"SEEN", Align::kRight, 0, 1},
                   "last_seen_ms",
                   [now_ms](const Json& row) -> Cell {
                     if (row["last_seen_ms"].is_null()) return {};
                     const double ms = static_cast<double>(now_ms - row["last_seen_ms"].get<int64_t>());
                     return {FormatDuration(ms < 0 ? 0 : ms / 1000) + " ago"};
                   }},
                  TextColumn("ADDRESS", "address", 8, 3),
                  TextColumn("VERSION", "version", 0, 4)},
                 "no workers yet; start one: sink-worker --coordinator " + session.coordinator + " --data DIR"});
  for (const v1::Worker& worker : response->workers()) {
    if (worker.hold_reason().empty()) continue;
    page.blocks.push_back(
        TextBlock{{{worker.name() + " is " + worker.hold() + ": " + worker.hold_reason(), Style::kRed},
                   {"sinkctl uncordon " + worker.name() + " lets it go on", Style::kDim}}});
  }
  for (const v1::Worker& worker : response->workers()) {
    if (ParseName<WorkerState>(worker.state()) != WorkerState::kConnected) continue;  // it takes no jobs at all
    const auto add = [&](const std::string& thing, const v1::IncompleteCopy& copy) {
      const auto use = static_cast<CopyUse>(copy.use());
      const std::string jobs = use == CopyUse::kWithoutTokenizer ? "jobs that read texts" : "jobs";
      page.blocks.push_back(TextBlock{
          {{thing + " " + copy.name() + " of " + worker.name() + " " + WhyUnused(copy.gap(), use), Style::kYellow},
           {worker.name() + " takes no " + jobs + " for it meanwhile", Style::kDim}}});
    };
    for (const v1::IncompleteCopy& set : worker.incomplete_sets()) add("data set", set);
    for (const v1::IncompleteCopy& model : worker.incomplete_models()) add("model", model);
  }
  AddDifferingSets(*response, &page);
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddWorkersCommand(Commands& commands) {
  args::Command command = commands.Add("workers", "List the workers, their devices and what they run", Names::kNothing,
                                       {"sinkctl workers", "sinkctl workers --json"});
  commands.OnRun(command, [](Session& session) { return Workers(session); });
}

}  // namespace sink::cli
