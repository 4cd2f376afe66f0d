// sinkctl as a function: arguments and a world in, text and an exit code out, so that tests need no process.
// Called by main.cc, once, on the main thread.
#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/base/world.h"

namespace sink::cli {

// `words` without the program's name. Returns an ExitCode. Never throws.
int RunCli(const std::vector<std::string>& words, World& world);

}  // namespace sink::cli
