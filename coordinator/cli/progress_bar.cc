// See progress_bar.h.
#include "coordinator/cli/progress_bar.h"

#include <algorithm>
#include <ostream>
#include <string>

#include "coordinator/cli/print/terminal_text.h"

namespace sink::cli {
namespace {

constexpr int64_t kRedrawMs = 100;
constexpr int kBarColumns = 30;

}  // namespace

void ProgressBar::Show(uint64_t done, uint64_t total) {
  const int64_t now = world_.now_ms();
  if (!world_.err_is_terminal || (done < total && now - drawn_ms_ < kRedrawMs)) return;
  drawn_ms_ = now;
  const double fraction = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
  std::string bar;
  for (int i = 0; i < kBarColumns; ++i) bar += i < fraction * kBarColumns ? "\u2501" : "\u2500";
  const double rate = 1000.0 * static_cast<double>(done) / static_cast<double>(std::max<int64_t>(1, now - start_ms_));
  world_.err << "\r\x1b[K" << bar << "  " << FormatBytes(static_cast<double>(done)) << " of "
             << FormatBytes(static_cast<double>(total)) << "  " << FormatBytes(rate) << "/s" << std::flush;
}

void ProgressBar::Clear() {
  if (world_.err_is_terminal && drawn_ms_ > 0) world_.err << "\r\x1b[K" << std::flush;
}

}  // namespace sink::cli
