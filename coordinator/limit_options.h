// The options of sink-coordinator that say how much of something there may be: connections, jobs of a user, points of a
// job that has ended, reading for the sake of checkpoints. One thread.
#pragma once

#include "coordinator/server.h"
#include "proto/args/command_line.h"

namespace sink {

// As values of `options`, which outlive the command line. Takes the root's CheckTogether.
void AddLimitOptions(args::Command root, ServerOptions& options);

}  // namespace sink
