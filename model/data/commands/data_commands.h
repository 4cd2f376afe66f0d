// The subcommands of sink-data, one file each. Every Add... hangs one on the application; its callback does the work on
// the main thread and throws DataError for what a person can put right. Results go to stdout, notes to stderr.
#pragma once

#include <CLI/App.hpp>

namespace sink::data {

// Exit codes of sink-data.
inline constexpr int kExitOk = 0;
inline constexpr int kExitData = 1;      // unreadable, damaged or unfitting data; nothing was written
inline constexpr int kExitUsage = 2;     // the command line
inline constexpr int kExitInternal = 3;  // a bug, or the machine (memory)

void AddSampleCorpusCommand(CLI::App& app);
void AddPackCommand(CLI::App& app);
void AddInspectCommand(CLI::App& app);
void AddVerifyCommand(CLI::App& app);
void AddTokenizeCommand(CLI::App& app);
void AddProbeCommand(CLI::App& app);
void AddTrainTokenizerCommand(CLI::App& app);

}  // namespace sink::data
