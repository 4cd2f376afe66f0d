#include "coordinator/core/inventory.h"

#include <algorithm>
#include <utility>

namespace sink {

namespace {

// What is read under a worker's --data-root is a set where the job trains, and a file where it measures a model.
Needs MakeNeeds(const std::string& model, const std::string& data, const std::string& content) {
  if (model.empty()) return {.set = data, .content = content};
  return {.model = model, .texts = !data.empty(), .file = data};
}

}  // namespace

Needs NeedsOf(const Job& job) { return MakeNeeds(job.model, job.data_set, job.data_content); }
Needs NeedsOf(const store::QueueHead& head) { return MakeNeeds(head.model, head.data_set, head.data_content); }

bool Holdings::Cover(const Needs& needs) const {
  const auto is_it = [&](const std::string& entry) { return StandsFor(entry, needs.model); };
  const auto is_enough = [&](const IncompleteCopy& copy) {
    return copy.use == CopyUse::kWithoutTokenizer && !needs.texts && is_it(copy.name);
  };
  const bool has_model = needs.model.empty() || std::any_of(models.begin(), models.end(), is_it) ||
                         std::any_of(incomplete_models.begin(), incomplete_models.end(), is_enough);
  const bool has_set = needs.set.empty() || !sets || std::any_of(sets->begin(), sets->end(), [&](const DataSet& set) {
                         const bool fits = set.content.empty() || needs.content.empty() || set.content == needs.content;
                         return set.name == needs.set && fits;
                       });
  const bool has_file =
      needs.file.empty() || !files || std::find(files->begin(), files->end(), needs.file) != files->end();
  return has_model && has_set && has_file;
}

void Inventory::Hear(const std::string& worker_id, Holdings holdings) {
  MutexLock lock(&mutex_);
  holdings_[worker_id] = std::move(holdings);
}

void Inventory::Forget(const std::string& worker_id) {
  MutexLock lock(&mutex_);
  holdings_.erase(worker_id);
}

bool Inventory::HasSaid(const std::string& worker_id) {
  MutexLock lock(&mutex_);
  return holdings_.contains(worker_id);
}

Holdings Inventory::Of(const std::string& worker_id) {
  MutexLock lock(&mutex_);
  const auto said = holdings_.find(worker_id);
  return said == holdings_.end() ? Holdings() : said->second;
}

std::string Inventory::ContentOf(const std::string& worker_id, const std::string& set) {
  MutexLock lock(&mutex_);
  const auto said = holdings_.find(worker_id);
  if (said == holdings_.end() || !said->second.sets) return "";
  const std::vector<DataSet>& sets = *said->second.sets;
  const auto found = std::find_if(sets.begin(), sets.end(), [&](const DataSet& entry) { return entry.name == set; });
  return found == sets.end() ? "" : found->content;
}

std::vector<bool> Inventory::Having(const Needs& needs, const std::vector<std::string>& worker_ids) {
  MutexLock lock(&mutex_);
  std::vector<bool> having;
  for (const std::string& id : worker_ids) {
    const auto said = holdings_.find(id);
    having.push_back(said == holdings_.end() || said->second.Cover(needs));
  }
  return having;
}

}  // namespace sink
