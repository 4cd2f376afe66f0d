#include "coordinator/core/model_places.h"

#include <algorithm>

namespace sink {

void ModelPlaces::Hear(const std::string& worker_id, const std::vector<std::string>& models) {
  MutexLock lock(&mutex_);
  models_[worker_id] = models;
}

void ModelPlaces::Forget(const std::string& worker_id) {
  MutexLock lock(&mutex_);
  models_.erase(worker_id);
}

std::vector<std::string> ModelPlaces::Of(const std::string& worker_id) {
  MutexLock lock(&mutex_);
  const auto said = models_.find(worker_id);
  return said == models_.end() ? std::vector<std::string>() : said->second;
}

std::vector<bool> ModelPlaces::Having(const std::string& model, const std::vector<std::string>& worker_ids) {
  const std::string name = model.substr(model.find('/') + 1);
  MutexLock lock(&mutex_);
  std::vector<bool> having;
  for (const std::string& id : worker_ids) {
    const auto said = models_.find(id);
    having.push_back(said == models_.end() ||
                     std::any_of(said->second.begin(), said->second.end(),
                                 [&](const std::string& entry) { return entry == model || entry == name; }));
  }
  return having;
}

}  // namespace sink
