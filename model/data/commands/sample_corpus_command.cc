// sink-data sample-corpus: see sample_corpus.h.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <memory>

#include "model/data/commands/data_commands.h"
#include "model/data/corpus/sample_corpus.h"

namespace sink::data {

void AddSampleCorpusCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "sample-corpus", "Convert two of Debian's public-domain books (dict-gcide, bible-kjv) to a JSON-lines corpus");
  auto options = std::make_shared<SampleCorpusOptions>();
  command->add_option("--out", options->out, "Folder to make")->required();
  command->add_option("--dictionary", options->dictionary, "The dictionary's file")->capture_default_str();
  command->footer("Example: sink-data sample-corpus --out corpus");
  command->callback([options] {
    const SampleCorpusResult result = MakeSampleCorpus(*options);
    std::printf("%s: %s\n", options->out.c_str(), result.already_complete ? "already complete" : "done");
    for (const auto& [name, count] : result.documents) {
      std::printf("  %-12s %6lld documents\n", name.c_str(), static_cast<long long>(count));
    }
  });
}

}  // namespace sink::data
