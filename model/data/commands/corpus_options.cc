// See corpus_options.h.
#include "model/data/commands/corpus_options.h"

namespace sink::data {

void AddTextKeyOption(args::Command command, std::string& key) {
  command.AddOption("--text-key", key, "The field of a line's object that holds its text").ShowDefault();
}

void AddCorpusOptions(args::Command command, CorpusOptions& options) {
  AddTextKeyOption(command, options.text_key);
  command.AddFlag("--ignore-others", options.ignore_others,
                  "Pass over what is no JSON-lines file beside those in train/ and valid/");
}

}  // namespace sink::data
