// How much of something may happen in a while: a bucket that fills at a steady rate up to its depth, and from which
// each event takes. Time is passed in; one thread at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace sink {

struct Rate {
  double per_second = 0;
  double burst = 0;  // that much at once, after a pause
};

class TokenBucket {
 public:
  // Takes `amount` when it is there, or when the bucket is full, so that nothing is too large for ever: what is missing
  // then is owed.
  bool Take(const Rate& rate, double amount, int64_t now_ms) {
    Fill(rate, now_ms);
    if (rate.burst - taken_ < std::min(amount, rate.burst)) return false;
    taken_ += amount;
    return true;
  }
  // How long until Take gives `amount`, if nobody takes any in between.
  int64_t WaitMs(const Rate& rate, double amount, int64_t now_ms) {
    Fill(rate, now_ms);
    const double missing = std::min(amount, rate.burst) - (rate.burst - taken_);
    return static_cast<int64_t>(std::ceil(std::max(0.0, missing / rate.per_second * 1000)));
  }
  // How long nothing must be taken until half of the bucket is free again.
  int64_t PauseMs(const Rate& rate, int64_t now_ms) {
    Fill(rate, now_ms);
    return static_cast<int64_t>(std::ceil(std::max(0.0, (taken_ - rate.burst / 2) / rate.per_second * 1000)));
  }
  // Nothing was taken for so long that a new bucket is the same.
  bool IsFull(const Rate& rate, int64_t now_ms) {
    Fill(rate, now_ms);
    return taken_ <= 0;
  }

 private:
  void Fill(const Rate& rate, int64_t now_ms) {
    const double seconds = static_cast<double>(std::max<int64_t>(0, now_ms - filled_ms_)) / 1000;
    taken_ = std::max(0.0, taken_ - seconds * rate.per_second);
    filled_ms_ = std::max(filled_ms_, now_ms);
  }

  double taken_ = 0;
  int64_t filled_ms_ = 0;
};

}  // namespace sink
