// sink-data sample-corpus: see sample_corpus.h.
#include <cstdio>
#include <memory>

#include "model/data/commands/data_commands.h"
#include "model/data/corpus/sample_corpus.h"

namespace sink::data {

void AddSampleCorpusCommand(args::Command program) {
  args::Command command = program.AddCommand(
      "sample-corpus", "Convert two of Debian's public-domain books (dict-gcide, bible-kjv) to a JSON-lines corpus");
  auto options = std::make_shared<SampleCorpusOptions>();
  command.AddOption("--out", options->out, "Folder to make").Required();
  command.AddOption("--dictionary", options->dictionary, "The dictionary's file").ShowDefault();
  command.SetFooter("Example: sink-data sample-corpus --out corpus");
  command.OnParsed([options] {
    const SampleCorpusResult result = MakeSampleCorpus(*options);
    std::printf("%s: %s\n", options->out.c_str(), result.already_complete ? "already complete" : "done");
    for (const auto& [name, count] : result.documents) {
      std::printf("  %-12s %6lld documents\n", name.c_str(), static_cast<long long>(count));
    }
  });
}

}  // namespace sink::data
