#include "coordinator/core/inventory.h"

#include <algorithm>
#include <utility>

namespace sink {

Needs NeedsOf(const Job& job) { return {job.model, job.data_set, job.data_content}; }

bool Holdings::Cover(const Needs& needs) const {
  const std::string name = needs.model.substr(needs.model.find('/') + 1);
  const bool has_model = needs.model.empty() ||
                         std::any_of(models.begin(), models.end(),
                                     [&](const std::string& entry) { return entry == needs.model || entry == name; });
  const bool has_set = needs.set.empty() || !sets || std::any_of(sets->begin(), sets->end(), [&](const DataSet& set) {
                         const bool fits = set.content.empty() || needs.content.empty() || set.content == needs.content;
                         return set.name == needs.set && fits;
                       });
  return has_model && has_set;
}

void Inventory::Hear(const std::string& worker_id, Holdings holdings) {
  MutexLock lock(&mutex_);
  holdings_[worker_id] = std::move(holdings);
}

void Inventory::Forget(const std::string& worker_id) {
  MutexLock lock(&mutex_);
  holdings_.erase(worker_id);
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
