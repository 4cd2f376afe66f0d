// Which of some jobs have changed since one looked last: what a topic renders anew. One thread.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "coordinator/core/change_feed.h"

namespace sink::web {

class ChangedJobs {
 public:
  // Before the store is read for the first time, so that no change falls between. The feed outlives it.
  explicit ChangedJobs(const ChangeFeed* feed) : feed_(feed), position_(feed->position()) {}

  void Watch(const std::string& id) { watched_.insert(id); }
  void Clear() { watched_.clear(); }

  struct News {
    bool unknown = false;             // more happened than is remembered: anything may have changed
    std::vector<std::string> jobs;    // those watched, each once
    std::vector<std::string> sweeps;  // each once: they have other jobs or another policy

    bool HasSweep(const std::string& name) const { return std::binary_search(sweeps.begin(), sweeps.end(), name); }
  };
  News Next() {
    ChangeFeed::News heard = feed_->Since(position_);
    position_ = heard.position;
    News news{.unknown = heard.incomplete, .jobs = std::move(heard.jobs), .sweeps = std::move(heard.sweeps)};
    std::erase_if(news.jobs, [this](const std::string& id) { return !watched_.contains(id); });
    for (auto* list : {&news.jobs, &news.sweeps}) {
      std::sort(list->begin(), list->end());
      list->erase(std::unique(list->begin(), list->end()), list->end());
    }
    return news;
  }

 private:
  const ChangeFeed* const feed_;
  uint64_t position_;
  absl::flat_hash_set<std::string> watched_;
};

}  // namespace sink::web
