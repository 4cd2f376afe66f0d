// sink-data: makes, packs, checks and shows the text that models are trained on. Exit codes: data_commands.h.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include "model/base/data_error.h"
#include "model/data/commands/data_commands.h"
#include "proto/args/command_line.h"

int main(int argc, char** argv) {
  using namespace sink::data;
  sink::args::CommandLine line("Makes, packs, checks and shows the text that models are trained on.", "sink-data");
  line.SetVersion("sink-data " SINK_VERSION);
  sink::args::Command program = line.root();
  program.RequireCommand();
  program.SetFooter(
      "Exit codes: 0 done, 1 bad data or files (nothing was written), 2 bad command line, 3 internal error.\n"
      "Example: sink-data sample-corpus --out corpus && sink-data pack --in corpus --out data/sample --tokenizer "
      "bytes");
  AddSampleCorpusCommand(program);
  AddPackCommand(program);
  AddInspectCommand(program);
  AddVerifyCommand(program);
  AddTrainTokenizerCommand(program);
  AddTokenizeCommand(program);
  AddProbeCommand(program);
  try {
    if (const auto status = line.Parse(argc, argv, kExitUsage)) return *status;
    if (std::fflush(stdout) != 0) throw DataError(std::string("cannot write standard output: ") + std::strerror(errno));
    if (std::ferror(stdout) != 0) throw DataError("cannot write standard output");  // what was printed before
    return kExitOk;
  } catch (const DataError& error) {
    std::fprintf(stderr, "sink-data: %s\n", error.what());
    return kExitData;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sink-data: internal error: %s\n", error.what());
    return kExitInternal;
  }
}
