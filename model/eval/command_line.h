// sink-eval's options. Plain values, filled in by the parser; one thread.
#pragma once

#include <string>

#include "model/eval/evaluate.h"
#include "proto/args/command_line.h"

namespace sink {

struct CommandLine {
  EvaluateOptions evaluate;
  std::string dump, heat_map;  // files to write; "" for none
  std::string bos = "auto";    // --bos as it was written; becomes part of evaluate.inputs
  bool json = false, csv = false;
  int threads = 1;
};

// Declares the options of the program, which fill `line` in, and the combinations of them that it refuses.
void AddOptions(args::Command root, CommandLine& line);

}  // namespace sink
