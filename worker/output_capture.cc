// See output_capture.h.
#include "worker/output_capture.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proto/base/counted.h"

namespace sink::worker {

void OutputCapture::Add(std::string_view bytes, absl::Duration now, const LineHandler& handler) {
  total_bytes_ += bytes.size();
  const size_t to_head = std::min(bytes.size(), kHeadBytes - head_.size());
  head_.append(bytes.substr(0, to_head));
  tail_.append(bytes.substr(to_head));
  if (tail_.size() > 2 * kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
  lines_.Add(bytes, [&](std::string_view line, bool overlong) { Admit(line, overlong, now, handler); });
}

void OutputCapture::Finish(absl::Duration now, const LineHandler& handler) {
  lines_.Finish([&](std::string_view line, bool overlong) { Admit(line, overlong, now, handler); });
  if (suppressed_lines_ > 0) handler(absl::StrCat("(", Counted(suppressed_lines_, "line"), " left out)"));
  suppressed_lines_ = 0;
}

void OutputCapture::Admit(std::string_view line, bool overlong, absl::Duration now, const LineHandler& handler) {
  if (line.empty()) return;
  allowance_ = std::min(kBurstLines, allowance_ + absl::ToDoubleSeconds(now - refilled_at_) * kLinesPerSecond);
  refilled_at_ = now;
  if (allowance_ < 1) {
    ++suppressed_lines_;
    return;
  }
  allowance_ -= 1;
  if (suppressed_lines_ > 0)
    handler(absl::StrCat("(", Counted(suppressed_lines_, "line"), " left out: too many at once)"));
  suppressed_lines_ = 0;
  handler(overlong ? std::string(line) + " (line cut)" : std::string(line));
}

std::string OutputCapture::Excerpt() const {
  const std::string tail = tail_.substr(tail_.size() - std::min(tail_.size(), kTailBytes));
  const size_t between = total_bytes_ - head_.size() - tail.size();
  return between == 0 ? head_ + tail : absl::StrCat(head_, "\n(", between, " bytes left out)\n", tail);
}

}  // namespace sink::worker
