// What a run measures on its model every eval.every steps: the loss on held-out text, and the attention sinks of
// held-out probes. Both texts are the same at every step and for every job of a study. The loss is the training loss:
// it leaves out the targets that train.ignore_loss leaves out (sink-eval's does not). Belongs to the training thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/data/loader/loader.h"
#include "model/network/transformer.h"
#include "model/train/measure/measurement.h"
#include "model/train/run/job_file.h"

namespace sink::train {

class Evaluator {
 public:
  // Opens the "valid" split and reads the probes. data::DataError when there is too little of it. `rows`: sequences of
  // a forward pass.
  Evaluator(const JobFile& job, at::Device device, int64_t rows);

  // Calls go_on between forward passes; nothing when it answered false. Where the device's memory runs out, calls
  // make_room with what was said of that, and begins once more.
  std::optional<Measurement> Measure(Transformer& model, const std::function<bool()>& go_on,
                                     const std::function<void(const std::string& why)>& make_room);

 private:
  struct Domain {
    std::string name;
    data::Loader loader;
    int64_t sequences;
  };

  std::optional<Measurement> MeasureOnce(Transformer& model, const std::function<bool()>& go_on);
  bool MeasureLosses(Transformer& model, const std::function<bool()>& go_on, pipe::Metrics& metrics);

  const JobConfig config_;
  const at::Device device_;
  const int64_t rows_;
  std::vector<Domain> domains_;
  at::Tensor probe_NT_;
};

}  // namespace sink::train
