// See line_splitter.h.
#include "worker/line_splitter.h"

#include <algorithm>

namespace sink::worker {

void LineSplitter::Add(std::string_view bytes, const Handler& handler) {
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const std::string_view part = bytes.substr(0, newline);
    const size_t room = max_bytes_ - line_.size();
    if (!skipping_) line_.append(part.substr(0, room));
    if (!skipping_ && part.size() > room) {
      handler(line_, true);
      line_.clear();
      skipping_ = true;
    }
    if (newline == std::string_view::npos) return;
    if (!skipping_) {
      if (!line_.empty() && line_.back() == '\r') line_.pop_back();
      handler(line_, false);
    }
    line_.clear();
    skipping_ = false;
    bytes.remove_prefix(newline + 1);
  }
}

void LineSplitter::Finish(const Handler& handler) {
  if (!line_.empty()) handler(line_, false);
  line_.clear();
  skipping_ = false;
}

}  // namespace sink::worker
