// sink-eval's work: a model directory measured on inputs. One call at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "model/eval/evaluation_report.h"
#include "model/eval/inputs.h"
#include "model/open/open_model.h"

namespace sink {

struct EvaluateOptions {
  std::filesystem::path model;  // a folder of ours, or of Hugging Face (open_model.h)
  InputOptions inputs;
  SinkOptions sink_options;
  std::string device = "cpu";      // a name of device.h
  std::string precision = "fp32";  // of an open model's products; or bf16
  bool activations = false;        // print norms by layer and position
  bool loss = true;                // without it the head, which sinks do not need, is left out
  bool keep_logits = false;        // for a dump; needs the loss
  // Called with the model's sizes before its first layer, and after each layer (of a model of ours, after the last).
  // What they throw ends the measurement.
  std::function<void(int64_t parameters, int64_t layers)> on_model;
  OnLayer on_layer;
};

// ModelError or data::DataError on a model, inputs or ids that do not fit each other, DeviceError as OpenDevice.
Evaluation Evaluate(const EvaluateOptions& options);

}  // namespace sink
