// The options that all commands with a corpus have. Main thread.
#pragma once

#include <string>

#include "model/data/corpus/corpus.h"
#include "proto/args/command_line.h"

namespace sink::data {

// Declares --text-key and --ignore-others, which fill `options` in.
void AddCorpusOptions(args::Command command, CorpusOptions& options);
// --text-key alone.
void AddTextKeyOption(args::Command command, std::string& key);

}  // namespace sink::data
