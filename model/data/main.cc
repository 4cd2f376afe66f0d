// sink-data: makes, packs, checks and shows the text that models are trained on. Exit codes: commands.h.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "model/base/data_error.h"
#include "model/data/commands/data_commands.h"

int main(int argc, char** argv) {
  using namespace sink::data;
  CLI::App app("Makes, packs, checks and shows the text that models are trained on.", "sink-data");
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 bad data or files (nothing was written), 2 bad command line, 3 internal error.\n"
      "Example: sink-data sample-corpus --out corpus && sink-data pack --in corpus --out data/sample --tokenizer "
      "bytes");
  AddSampleCorpusCommand(app);
  AddPackCommand(app);
  AddInspectCommand(app);
  AddVerifyCommand(app);
  AddTrainTokenizerCommand(app);
  AddTokenizeCommand(app);
  AddProbeCommand(app);
  try {
    app.parse(argc, argv);
    if (std::fflush(stdout) != 0) throw DataError("cannot write the output");
    return kExitOk;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  } catch (const DataError& error) {
    std::fprintf(stderr, "sink-data: %s\n", error.what());
    return kExitData;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sink-data: internal error: %s\n", error.what());
    return kExitInternal;
  }
}
