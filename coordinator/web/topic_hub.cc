// See topic_hub.h.
#include "coordinator/web/topic_hub.h"

#include <time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/web/json_text.h"

namespace sink::web {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kRemembered = 30;  // frames; who is further behind gets the whole
constexpr size_t kTopicsAPage = 8;
constexpr size_t kTopics = 256;
// After a look at every topic the thread rests for so many times what that took of a processor: however many jobs
// change, most of the machine is theirs.
constexpr int kRest = 24;
constexpr std::chrono::seconds kLongestRest{10};

// What this thread has had of a processor.
std::chrono::nanoseconds Worked() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

Frame MakeFrame(absl::string_view event, const std::string& topic, absl::string_view key, const std::string& json) {
  return std::make_shared<const std::string>(
      absl::StrCat("event: ", event, "\ndata: {\"topic\":", Quoted(topic), ",\"", key, "\":", json, "}\n\n"));
}

}  // namespace

TopicHub::TopicHub(Maker make, const ChangeSignal* changes, std::chrono::milliseconds interval,
                   std::chrono::milliseconds unasked)
    : make_(std::move(make)), changes_(changes), interval_(interval), unasked_(unasked), thread_([this] { Loop(); }) {}

void TopicHub::Close() {
  {
    MutexLock lock(&mutex_);
    closed_ = true;
    wanted_.SignalAll();
    told_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

bool TopicHub::closed() const {
  MutexLock lock(&mutex_);
  return closed_;
}

absl::StatusOr<std::unique_ptr<TopicHub::Watch>> TopicHub::Subscribe(std::vector<std::string> topics) {
  std::sort(topics.begin(), topics.end());
  topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
  if (topics.empty() || topics.size() > kTopicsAPage) {
    return absl::InvalidArgumentError(absl::StrCat("a page watches 1 to ", kTopicsAPage, " topics"));
  }
  MutexLock lock(&mutex_);
  std::map<std::string, std::unique_ptr<Topic>> made;
  for (const std::string& name : topics) {
    if (entries_.contains(name)) continue;
    if (entries_.size() + made.size() >= kTopics) {
      return absl::ResourceExhaustedError("too many pages are open; close some");
    }
    std::unique_ptr<Topic> topic = make_(name);
    if (topic == nullptr) return absl::InvalidArgumentError(absl::StrCat("there is no topic ", name));
    made.emplace(name, std::move(topic));
  }
  // Only now, so that a refusal above leaves nothing behind: the thread, which forgets what nobody watches, may sleep.
  for (auto& [name, topic] : made) entries_[name].topic = std::move(topic);
  for (const std::string& name : topics) {
    Entry& entry = entries_[name];
    ++entry.watchers;
    const bool can_catch_up = entry.whole_at > 0 && entry.newest - entry.whole_at <= entry.recent.size();
    if (!can_catch_up) entry.whole_wanted = true;
  }
  wanted_.SignalAll();
  return std::unique_ptr<Watch>(new Watch(this, std::move(topics)));
}

bool TopicHub::AnyWanted() const {
  return std::any_of(entries_.begin(), entries_.end(), [](const auto& entry) { return entry.second.whole_wanted; });
}

void TopicHub::Loop() {
  uint64_t seen = 0;
  bool behind = false;  // a topic has more to tell than it told
  Clock::time_point next = Clock::now();
  Clock::time_point look_anyway = next + unasked_;
  for (;;) {
    struct Task {
      std::string name;
      std::shared_ptr<Topic> topic;
      bool whole;
    };
    std::vector<Task> tasks;
    bool due = false;
    {
      MutexLock lock(&mutex_);
      while (!closed_ && !AnyWanted()) {
        if (entries_.empty()) {
          wanted_.Wait(&mutex_);
        } else if (!wanted_.WaitUntil(&mutex_, next)) {
          break;
        }
      }
      if (closed_) return;
      std::erase_if(entries_, [](const auto& entry) { return entry.second.watchers == 0; });
      due = Clock::now() >= next;
      if (due && Clock::now() >= look_anyway) {
        look_anyway = Clock::now() + unasked_;
        seen = changes_->version() - 1;  // as if there had been a change
      }
      for (auto& [name, entry] : entries_) {
        if (!entry.gone && (due || entry.whole_wanted)) tasks.push_back({name, entry.topic, entry.whole_wanted});
        entry.whole_wanted = false;
      }
    }
    const auto begin = Clock::now();
    const std::chrono::nanoseconds worked = Worked();
    if (due) {
      const uint64_t version = changes_->version();
      if (std::exchange(seen, version) == version && !behind) {
        std::erase_if(tasks, [](const Task& task) { return !task.whole; });
      }
      behind = false;
    }
    for (const Task& task : tasks) behind |= Render(task.name, task.topic, task.whole);
    if (due) {
      const std::chrono::nanoseconds rest =
          std::min<std::chrono::nanoseconds>(kRest * (Worked() - worked), kLongestRest);
      next = begin + std::max<std::chrono::nanoseconds>(interval_, rest);
    }
    // Once for all topics, and only for news: hundreds of threads may wait.
    MutexLock lock(&mutex_);
    if (std::exchange(news_, false)) told_.SignalAll();
  }
}

// Changes come before a new watcher's whole, so that the others miss nothing and it misses nothing after it.
bool TopicHub::Render(const std::string& name, const std::shared_ptr<Topic>& topic, bool whole_wanted) {
  bool begun, behind = false;
  {
    MutexLock lock(&mutex_);
    begun = entries_[name].newest > 0;
  }
  if (begun) {
    const absl::StatusOr<Change> change = topic->Changes();
    if (!change.ok() || !change->json.empty()) Publish(name, change);
    behind = change.ok() && change->behind;
    if (!change.ok() || change->whole) return behind;
  }
  if (!whole_wanted) return behind;
  absl::StatusOr<std::string> whole = topic->Whole();
  if (!whole.ok()) {
    Publish(name, whole.status());
    return false;
  }
  Frame frame = MakeFrame("whole", name, "data", *whole);
  MutexLock lock(&mutex_);
  Entry& entry = entries_[name];
  entry.newest = std::max<uint64_t>(entry.newest, 1);
  entry.whole = std::move(frame);
  entry.whole_at = entry.newest;
  news_ = true;
  return behind;
}

void TopicHub::Publish(const std::string& name, const absl::StatusOr<Change>& change) {
  const bool whole = !change.ok() || change->whole;
  Frame frame = change.ok() ? MakeFrame(whole ? "whole" : "change", name, "data", change->json)
                            : MakeFrame("gone", name, "message", Quoted(std::string(change.status().message())));
  MutexLock lock(&mutex_);
  news_ = true;
  Entry& entry = entries_[name];
  ++entry.newest;
  if (whole) {
    entry.recent.clear();
    entry.whole = std::move(frame);
    entry.whole_at = entry.newest;
    entry.gone = !change.ok();
  } else {
    entry.recent.push_back(std::move(frame));
    if (entry.recent.size() > kRemembered) entry.recent.pop_front();
  }
}

bool TopicHub::Take(Watch::Place* place, std::vector<Frame>* frames) {
  const auto found = entries_.find(place->topic);
  if (found == entries_.end()) return false;
  Entry& entry = found->second;
  if (place->told == entry.newest) return false;
  // What is remembered are the frames (newest - recent.size(), newest].
  const uint64_t before = entry.newest - entry.recent.size();
  if (place->told == 0 || place->told < before) {
    if (entry.whole_at < before || entry.whole_at == 0) {
      entry.whole_wanted = true;
      wanted_.SignalAll();
      return false;
    }
    if (place->told < entry.whole_at) {
      frames->push_back(entry.whole);
      place->told = entry.whole_at;
    }
  }
  for (; place->told < entry.newest; ++place->told) frames->push_back(entry.recent[place->told - before]);
  return true;
}

TopicHub::Watch::Watch(TopicHub* hub, std::vector<std::string> topics) : hub_(hub) {
  for (std::string& topic : topics) places_.push_back({.topic = std::move(topic)});
}

TopicHub::Watch::~Watch() {
  MutexLock lock(&hub_->mutex_);
  for (const Place& place : places_) {
    if (const auto found = hub_->entries_.find(place.topic); found != hub_->entries_.end()) --found->second.watchers;
  }
}

std::vector<Frame> TopicHub::Watch::Next(std::chrono::milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  std::vector<Frame> frames;
  MutexLock lock(&hub_->mutex_);
  do {
    if (hub_->closed_) return {};
    for (Place& place : places_) hub_->Take(&place, &frames);
  } while (frames.empty() && hub_->told_.WaitUntil(&hub_->mutex_, deadline));
  return frames;
}

}  // namespace sink::web
