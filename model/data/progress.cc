// See progress.h.
#include "model/data/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace sink::data {

using std::chrono::steady_clock;

Progress::Progress(std::string what)
    : what_(std::move(what)), terminal_(::isatty(STDERR_FILENO) == 1), start_(steady_clock::now()), last_(start_) {}

Progress::~Progress() { Wipe(); }

void Progress::Update(uint64_t done, uint64_t total) {
  constexpr int kWidth = 30;
  const auto now = steady_clock::now();
  if (!terminal_ || total == 0 || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const int filled = static_cast<int>(part * kWidth);
  std::fprintf(stderr, "\r%s [%.*s%*s] %3.0f%%  %.1f MB/s ", what_.c_str(), filled, "##############################",
               kWidth - filled, "", part * 100, static_cast<double>(done) / seconds / 1e6);
  drawn_ = true;
}

void Progress::Note(const std::string& sentence) {
  Wipe();
  std::fprintf(stderr, "sink-data: %s\n", sentence.c_str());
}

void Progress::Wipe() {
  if (drawn_) std::fprintf(stderr, "\r%79s\r", "");
  drawn_ = false;
}

}  // namespace sink::data
