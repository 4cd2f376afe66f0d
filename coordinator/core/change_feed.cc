// See change_feed.h.
#include "coordinator/core/change_feed.h"

#include <utility>

namespace sink {

void ChangeFeed::Publish(const store::Changes& changes) {
  if (changes.jobs.empty() && changes.sweeps.empty()) return;
  {
    MutexLock lock(&mutex_);
    for (const std::string& id : changes.jobs) Add({id, false});
    for (const std::string& name : changes.sweeps) Add({name, true});
  }
  signal_.Bump();
}

void ChangeFeed::Add(Change change) {
  ++position_;
  changes_.push_back(std::move(change));
  if (changes_.size() > remembered_) changes_.pop_front();
}

uint64_t ChangeFeed::position() const {
  MutexLock lock(&mutex_);
  return position_;
}

ChangeFeed::News ChangeFeed::Since(uint64_t position) const {
  News news;
  MutexLock lock(&mutex_);
  news.position = position_;
  const uint64_t count = position_ - position;
  if (count > changes_.size()) {
    news.incomplete = true;
    return news;
  }
  for (size_t i = changes_.size() - count; i < changes_.size(); ++i) {
    (changes_[i].is_sweep ? news.sweeps : news.jobs).push_back(changes_[i].name);
  }
  return news;
}

}  // namespace sink
