// The live part of the pages: one thread renders what is new of every topic that is watched, at most once in an
// interval, and each watcher sends the frames on. A topic that nobody watches costs nothing, and all of them together
// take no more than a twenty-fifth of a core, in which they come less often. Owned by the server; any thread.
//
// A frame is a server-sent event: "whole" or "change", whose data is {"topic": its name, "data": what Topic gave}, or
// "gone", {"topic", "message"}, after which no more comes of that topic.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "coordinator/core/change_signal.h"
#include "coordinator/job/mutex.h"
#include "coordinator/web/topic.h"

namespace sink::web {

using Frame = std::shared_ptr<const std::string>;

class TopicHub {
 public:
  // Nothing: no topic is called so.
  using Maker = std::function<std::unique_ptr<Topic>(const std::string& name)>;

  // `changes` grows when a topic may have news; it outlives the hub. `unasked`: how often topics are looked at all the
  // same, for what time alone brings, with nothing written: a worker that has died, a disk that is full.
  TopicHub(Maker make, const ChangeSignal* changes, std::chrono::milliseconds interval,
           std::chrono::milliseconds unasked = std::chrono::seconds(5));
  ~TopicHub() { Close(); }

  // What one page watches, until it goes. One thread; the hub outlives it.
  class Watch {
   public:
    ~Watch();
    // Waits until there is something to send, and returns it: nothing after `patience`, or when the hub has closed.
    std::vector<Frame> Next(std::chrono::milliseconds patience);

   private:
    friend class TopicHub;
    struct Place {
      std::string topic;
      uint64_t told = 0;  // number of the last frame that was taken; 0: the whole comes first
    };
    Watch(TopicHub* hub, std::vector<std::string> topics);

    TopicHub* const hub_;
    std::vector<Place> places_;
  };

  // INVALID_ARGUMENT: a name that no topic has, or too many; RESOURCE_EXHAUSTED: too many are watched as it is.
  absl::StatusOr<std::unique_ptr<Watch>> Subscribe(std::vector<std::string> topics) ABSL_LOCKS_EXCLUDED(mutex_);

  // Every Next returns. Repeatable.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);
  bool closed() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry {
    std::shared_ptr<Topic> topic;  // touched by the thread alone
    int watchers = 0;
    bool whole_wanted = false;
    uint64_t newest = 0;  // number of the newest frame
    std::deque<Frame> recent;
    Frame whole;            // as of frame number `whole_at`
    uint64_t whole_at = 0;  // 0: there is none
    bool gone = false;      // `whole` says why
  };

  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);
  bool AnyWanted() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True when the topic has more to tell than it told.
  bool Render(const std::string& name, const std::shared_ptr<Topic>& topic, bool whole_wanted)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Publish(const std::string& name, const absl::StatusOr<Change>& change) ABSL_LOCKS_EXCLUDED(mutex_);
  bool Take(Watch::Place* place, std::vector<Frame>* frames) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Maker make_;
  const ChangeSignal* const changes_;
  const std::chrono::milliseconds interval_;
  const std::chrono::milliseconds unasked_;

  mutable Mutex mutex_;
  CondVar wanted_;  // something is for the thread to do
  CondVar told_;    // there are frames to take
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool news_ ABSL_GUARDED_BY(mutex_) = false;  // there are frames that nobody was woken for
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace sink::web
