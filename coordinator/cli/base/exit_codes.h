// What sinkctl's exit status means. Scripts depend on these numbers: never renumber them.
#pragma once

namespace sink::cli {

enum ExitCode : int {
  kOk = 0,
  kFailedWork = 1,    // the command did its work, and something that it reports has failed (a job of a followed sweep)
  kUsage = 2,         // unknown command or option, missing or malformed argument
  kBadFile = 3,       // the sweep file or a file that it names is wrong, or an output could not be written
  kNotFound = 4,      // no such sweep, job or checkpoint
  kUnreachable = 5,   // the coordinator did not answer in time, or had no room for the call; worth another try
  kRefused = 6,       // the coordinator understood and refused: wrong state, conflict, over a limit
  kInternal = 7,      // a fault of sinkctl or the coordinator, or damaged data; worth a report
  kInterrupted = 130  // Ctrl-C, or a closed terminal; jobs are left running
};

inline constexpr char kExitCodeHelp[] =
    "Exit codes:\n"
    "  0    done\n"
    "  1    done, but what the command looked at is not well: a job that it waited for has failed or was cancelled,\n"
    "       doctor found a fault, a checkpoint is damaged\n"
    "  2    wrong usage\n"
    "  3    the sweep file is wrong, or an output file cannot be written\n"
    "  4    no such sweep, job or checkpoint\n"
    "  5    the coordinator does not answer, or has no room for the call now\n"
    "  6    refused: wrong state, conflict or limit\n"
    "  7    internal fault or damaged data\n"
    "  130  interrupted; jobs go on running\n";

}  // namespace sink::cli
