// sink-eval's work: a model directory measured on a probe. One call at a time.
#pragma once

#include <filesystem>

#include "model/eval/probe.h"
#include "model/eval/report.h"

namespace sink {

struct EvaluateOptions {
  std::filesystem::path model, probe;
  ProbeOptions probe_options;
  SinkOptions sink_options;
  bool keep_logits = false;  // for a dump
};

// ModelError or data::DataError on a model, a probe or ids that do not fit each other.
Evaluation Evaluate(const EvaluateOptions& options);

}  // namespace sink
