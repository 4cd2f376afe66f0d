// The subcommands of sink-data, one file each. Every Add... hangs one on the program; what it runs does the work on
// the main thread and throws DataError for what a person can put right. Results go to stdout, notes to stderr.
#pragma once

#include "proto/args/command_line.h"

namespace sink::data {

// Exit codes of sink-data.
inline constexpr int kExitOk = 0;
inline constexpr int kExitData = 1;      // unreadable, damaged or unfitting data; nothing was written
inline constexpr int kExitUsage = 2;     // the command line
inline constexpr int kExitInternal = 3;  // a bug, or the machine (memory)

void AddSampleCorpusCommand(args::Command program);
void AddPackCommand(args::Command program);
void AddInspectCommand(args::Command program);
void AddVerifyCommand(args::Command program);
void AddTokenizeCommand(args::Command program);
void AddProbeCommand(args::Command program);
void AddTrainTokenizerCommand(args::Command program);

}  // namespace sink::data
