// sinkctl as a function: arguments and a world in, text and an exit code out, so that tests need no process.
// Called by main.cc, once, on the main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "coordinator/cli/interrupt.h"

namespace sink::cli {

struct WindowSize {
  int columns = 0;  // 0: unknown
  int rows = 0;
};

// What a command may know of the world outside its arguments.
struct World {
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  std::function<WindowSize()> window;                   // asked before every redraw
  std::function<const char*(const char* name)> getenv;  // nullptr when not set
  std::function<int64_t()> now_ms;                      // Unix milliseconds
  Interrupt& interrupt;
};

// `args` without the program's name. Returns an ExitCode. Never throws.
int RunCli(const std::vector<std::string>& args, World& world);

}  // namespace sink::cli
