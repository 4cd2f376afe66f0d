// See progress_line.h.
#include "model/data/commands/progress_line.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace sink::data {
namespace {

bool IsDumb() {
  const char* terminal = std::getenv("TERM");
  return terminal != nullptr && std::string_view(terminal) == "dumb";
}

}  // namespace

using std::chrono::steady_clock;

ProgressLine::ProgressLine(std::string what)
    : what_(std::move(what)), terminal_(::isatty(STDERR_FILENO) == 1 && !IsDumb()) {}

ProgressLine::~ProgressLine() { Wipe(); }

void ProgressLine::Update(uint64_t done, uint64_t total, const std::string& detail) {
  constexpr int kWidth = 20;
  const auto now = steady_clock::now();
  if (!started_) start_ = now, first_done_ = done, started_ = true;
  if (!terminal_ || total == 0 || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done - std::min(done, first_done_)) / seconds : 0;
  const int filled = static_cast<int>(part * kWidth);
  std::fprintf(stderr, "\r%s [%.*s%*s] %3.0f%%  %.1f MB/s", what_.c_str(), filled, "####################",
               kWidth - filled, "", part * 100, rate / 1e6);
  if (rate > 0) {
    const auto left = static_cast<long long>(static_cast<double>(total - std::min(done, total)) / rate);
    std::fprintf(stderr, "  ETA %lld:%02lld", left / 60, left % 60);
  }
  std::fprintf(stderr, "%s%s\033[K", detail.empty() ? "" : "  ", detail.c_str());
  drawn_ = true;
}

void ProgressLine::Note(const std::string& sentence) {
  Wipe();
  std::fprintf(stderr, "sink-data: %s\n", sentence.c_str());
}

void ProgressLine::Wipe() {
  if (drawn_) std::fprintf(stderr, "\r\033[K");
  drawn_ = false;
}

}  // namespace sink::data
