// How far a command that moves many bytes has come. Used by the main thread.
#pragma once

#include <cstdint>

#include "coordinator/cli/base/world.h"

namespace sink::cli {

// One line on standard error, redrawn in place; nothing when that is not a terminal.
class ProgressBar {
 public:
  explicit ProgressBar(World& world) : world_(world), start_ms_(world.now_ms()) {}
  void Show(uint64_t done, uint64_t total);
  void Clear();

 private:
  World& world_;
  const int64_t start_ms_;
  int64_t drawn_ms_ = 0;
};

}  // namespace sink::cli
