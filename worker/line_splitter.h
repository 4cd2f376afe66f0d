// Cuts a byte stream into lines with a limit on their length. Belongs to one thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace sink::worker {

class LineSplitter {
 public:
  // `overlong`: the line exceeded the limit and was cut there; the rest of it is skipped.
  using Handler = std::function<void(std::string_view line, bool overlong)>;

  explicit LineSplitter(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Calls `handler` for each line that `bytes` completes, without its newline (a "\r" before it is dropped too).
  void Add(std::string_view bytes, const Handler& handler);
  // The stream has ended: what is left counts as a line.
  void Finish(const Handler& handler);

 private:
  const size_t max_bytes_;
  std::string line_;       // the incomplete line so far, at most max_bytes_
  bool skipping_ = false;  // the incomplete line was overlong and has been handed out
};

}  // namespace sink::worker
