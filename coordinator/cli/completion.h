// Answers a shell that completes a command line. Used on the main thread, by cli.cc.
#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/base/command.h"

namespace sink::cli {

// What may stand for the last of `words` (the command line after "sinkctl"; the last may be empty), one a line. Sweeps
// and jobs are asked of the coordinator; when it does not answer there are none.
void Complete(const std::vector<std::string>& words, const Commands& commands, Session& session);

}  // namespace sink::cli
