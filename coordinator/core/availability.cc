#include "coordinator/core/availability.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

// What the jobs of a submission come to, each name once, in expansion order.
struct Wishes {
  std::vector<std::string> models, sets, files;                                // of jobs that have not ended
  std::set<std::string> readers;                                               // of the models, those that read texts
  std::map<std::pair<std::string, std::string>, std::set<std::string>> found;  // (set, content) -> stored jobs
};

void AddOnce(std::vector<std::string>* names, const std::string& name) {
  if (!name.empty() && std::find(names->begin(), names->end(), name) == names->end()) names->push_back(name);
}

absl::StatusOr<Wishes> ReadWishes(store::Snapshot& rows, const SubmitRequest& request, const SubmitResult& result) {
  Wishes wanted;
  for (size_t i = 0; i < request.jobs.size(); ++i) {
    const SubmitJob& job = request.jobs[i];
    if (result.stored[i]) {
      SINK_ASSIGN_OR_RETURN(const Job stored, rows.GetJob(job.id));
      if (!stored.data_content.empty()) wanted.found[{job.data_set, stored.data_content}].insert(job.id);
      if (IsFinal(stored.state)) continue;
    }
    AddOnce(&wanted.models, job.model);
    if (!job.model.empty() && !job.data_set.empty()) wanted.readers.insert(job.model);
    AddOnce(job.model.empty() ? &wanted.sets : &wanted.files, job.data_set);
  }
  return wanted;
}

}  // namespace

absl::Status TellAvailability(CoreContext* context, JobQueries* queries, const SubmitRequest& request, Now now,
                              SubmitResult* result) {
  Wishes wanted;
  SINK_RETURN_IF_ERROR(context->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(wanted, ReadWishes(rows, request, *result));
    return absl::OkStatus();
  }));
  if (wanted.models.empty() && wanted.sets.empty() && wanted.found.empty()) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(std::vector<Worker> workers, queries->ListWorkers(now));
  std::erase_if(workers, [](const Worker& worker) { return worker.state != WorkerState::kConnected; });
  if (workers.empty()) return absl::OkStatus();

  std::vector<std::string> ids;
  std::map<std::string, DifferingSet> copies;  // by the set's name
  for (const Worker& worker : workers) {
    ids.push_back(worker.id);
    for (const DataSet& set : worker.sets)
      if (!set.content.empty()) copies[set.name].workers[set.content].push_back(worker.name);
  }
  const auto nobody_has = [&](const Needs& needs) {
    const std::vector<bool> having = context->inventory().Having(needs, ids);
    return std::find(having.begin(), having.end(), true) == having.end();
  };
  for (const std::string& model : wanted.models)
    if (nobody_has({.model = model, .texts = wanted.readers.contains(model)})) result->missing_models.push_back(model);
  for (const std::string& set : wanted.sets) {
    if (nobody_has({.set = set})) result->missing_sets.push_back(set);
    if (copies[set].workers.size() > 1) result->differing_sets.push_back({set, copies[set].workers});
  }
  for (const std::string& file : wanted.files)
    if (nobody_has({.file = file})) result->missing_sets.push_back(file);
  for (const auto& [set, jobs] : wanted.found) {
    const auto& [name, then] = set;
    if (copies[name].workers.empty() || !nobody_has({.set = name, .content = then})) continue;
    result->changed_sets.push_back({name, then, copies[name].workers.begin()->first, static_cast<int>(jobs.size())});
  }
  return absl::OkStatus();
}

}  // namespace sink
