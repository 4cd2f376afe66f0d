// Which of some jobs have changed since one looked last: what a topic renders anew. However many changed, only so many
// are told at once, those that have waited longest; the others come next time. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "coordinator/core/change_feed.h"

namespace sink::web {

class ChangedJobs {
 public:
  static constexpr size_t kAtOnce = 500;

  // Before the store is read for the first time, so that no change falls between. The feed outlives it.
  explicit ChangedJobs(const ChangeFeed* feed) : feed_(feed), position_(feed->position()) {}

  void WatchAll() { all_ = true; }
  void Watch(const std::string& id) { watched_.insert(id); }
  // Forgets whom to watch, and what has not been told of them.
  void Clear() {
    watched_.clear();
    waiting_.clear();
    waits_.clear();
  }

  struct News {
    bool unknown = false;             // more happened than is remembered: anything may have changed
    bool more = false;                // jobs have changed that are not told yet
    std::vector<std::string> jobs;    // those watched, each once, the first that changed first
    std::vector<std::string> sweeps;  // each once: they have other jobs or another policy

    bool HasSweep(const std::string& name) const { return std::binary_search(sweeps.begin(), sweeps.end(), name); }
  };
  News Next() {
    ChangeFeed::News heard = feed_->Since(position_);
    position_ = heard.position;
    News news{.unknown = heard.incomplete, .sweeps = std::move(heard.sweeps)};
    std::sort(news.sweeps.begin(), news.sweeps.end());
    news.sweeps.erase(std::unique(news.sweeps.begin(), news.sweeps.end()), news.sweeps.end());
    if (news.unknown) {
      waiting_.clear();
      waits_.clear();
    }
    for (std::string& id : heard.jobs) {
      if ((all_ || watched_.contains(id)) && waits_.insert(id).second) waiting_.push_back(std::move(id));
    }
    const size_t told = std::min(waiting_.size(), kAtOnce);
    news.jobs.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(waiting_.begin() + told));
    waiting_.erase(waiting_.begin(), waiting_.begin() + told);
    for (const std::string& id : news.jobs) waits_.erase(id);
    news.more = !waiting_.empty();
    return news;
  }

 private:
  const ChangeFeed* const feed_;
  uint64_t position_;
  bool all_ = false;
  absl::flat_hash_set<std::string> watched_;
  std::deque<std::string> waiting_;         // to be told, in order
  absl::flat_hash_set<std::string> waits_;  // the same
};

}  // namespace sink::web
