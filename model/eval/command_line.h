// sink-eval's options. Plain values, filled in by the parser; one thread.
#pragma once

#include <string>

#include "model/eval/evaluate.h"

namespace CLI {
class App;
}

namespace sink {

struct CommandLine {
  EvaluateOptions evaluate;
  std::string dump, heat_map;  // files to write; "" for none
  bool json = false, csv = false;
  int threads = 1;
};

// Declares the options on the program's parser, which fills `line` in. The combinations it cannot refuse itself throw
// CLI::ParseError when the parse ends.
void AddOptions(CLI::App& app, CommandLine& line);

}  // namespace sink
