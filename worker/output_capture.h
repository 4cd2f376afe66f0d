// What becomes of a trainer's stdout or stderr: lines for the job's log, capped in length and rate so that a chatty
// trainer cannot fill the coordinator's disk, and, for the failure message, the first 16 and last 64 KiB as they were.
// Belongs to one thread.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "worker/line_splitter.h"

namespace sink::worker {

class OutputCapture {
 public:
  static constexpr size_t kMaxLineBytes = 8 << 10;
  static constexpr size_t kHeadBytes = 16 << 10;
  static constexpr size_t kTailBytes = 64 << 10;
  static constexpr double kLinesPerSecond = 100;
  static constexpr double kBurstLines = 1000;

  using LineHandler = std::function<void(std::string_view line)>;

  OutputCapture() : lines_(kMaxLineBytes) {}

  // `now` grows from call to call; it only refills the rate limit. Blank lines are not handed on.
  void Add(std::string_view bytes, absl::Duration now, const LineHandler& handler);
  void Finish(absl::Duration now, const LineHandler& handler);

  // The first kHeadBytes and the last kTailBytes, with a note about what lies between.
  std::string Excerpt() const;

 private:
  void Admit(std::string_view line, bool overlong, absl::Duration now, const LineHandler& handler);

  LineSplitter lines_;
  std::string head_;
  std::string tail_;  // at most 2 * kTailBytes, trimmed when it gets there
  size_t total_bytes_ = 0;
  double allowance_ = kBurstLines;
  absl::Duration refilled_at_ = absl::ZeroDuration();
  size_t suppressed_lines_ = 0;
};

}  // namespace sink::worker
