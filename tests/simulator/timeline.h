// Simulated time and chance: events in the order of their time, and one generator from which everything random is
// drawn, so that a seed gives one schedule. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace sink::simulator {

inline constexpr int64_t kMs = 1000;  // times are in microseconds
inline constexpr int64_t kSecond = 1000 * kMs;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {  // splitmix64
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  int64_t Below(int64_t n) { return static_cast<int64_t>(Next() % static_cast<uint64_t>(n)); }
  int64_t Between(int64_t least, int64_t most) { return least + Below(most - least + 1); }
  bool Chance(double p) { return static_cast<double>(Next() >> 11) * 0x1p-53 < p; }

 private:
  uint64_t state_;
};

class Timeline {
 public:
  int64_t now() const { return now_; }

  void After(int64_t delay, std::function<void()> action) { queue_.push({now_ + delay, ++count_, std::move(action)}); }

  // Runs the next event; false when there is none before `end`.
  bool RunOne(int64_t end) {
    if (queue_.empty() || queue_.top().at > end) return false;
    now_ = queue_.top().at;
    const std::function<void()> action = std::move(const_cast<Event&>(queue_.top()).action);
    queue_.pop();
    action();
    return true;
  }

 private:
  struct Event {
    int64_t at;
    uint64_t order;  // of events at one time
    std::function<void()> action;

    bool operator<(const Event& other) const { return at != other.at ? at > other.at : order > other.order; }
  };

  int64_t now_ = 0;
  uint64_t count_ = 0;
  std::priority_queue<Event> queue_;
};

}  // namespace sink::simulator
