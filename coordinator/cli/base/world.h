// The world outside a command of sinkctl: its streams, the terminal, the environment, the clock. A plain value, made
// by main.cc and by tests; used by the main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <memory>
#include <ostream>
#include <string>

#include "coordinator/cli/base/full_screen.h"
#include "coordinator/cli/base/interrupt.h"

namespace sink::cli {

struct WindowSize {
  int columns = 0;  // 0: unknown
  int rows = 0;
};

// What a command may know of the world outside its arguments.
struct World {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  std::function<WindowSize()> window;                   // asked before every redraw
  std::function<const char*(const char* name)> getenv;  // nullptr when not set
  std::function<int64_t()> now_ms;                      // Unix milliseconds
  Interrupt& interrupt;
  std::function<std::unique_ptr<FullScreen>()> full_screen = [] { return nullptr; };  // null where there is none

  // The variable's value, empty when it is not set.
  std::string Environment(const char* name) const {
    const char* value = getenv(name);
    return value == nullptr ? "" : value;
  }
};

}  // namespace sink::cli
