// sink-eval's work: a model directory measured on inputs. One call at a time.
#pragma once

#include <filesystem>

#include "model/eval/inputs.h"
#include "model/eval/report.h"

namespace sink {

struct EvaluateOptions {
  std::filesystem::path model;  // a folder of ours, or of Hugging Face (open_model.h)
  InputOptions inputs;
  SinkOptions sink_options;
  bool activations = false;  // print norms by layer and position
  bool keep_logits = false;  // for a dump
};

// ModelError or data::DataError on a model, inputs or ids that do not fit each other.
Evaluation Evaluate(const EvaluateOptions& options);

}  // namespace sink
