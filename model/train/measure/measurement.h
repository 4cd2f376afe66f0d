// What was measured on a model, as records for the worker. Plain values; pure functions of tensors, any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "model/eval/sink_metric.h"
#include "proto/pipe/events.h"

namespace sink::train {

// Names as proto/pipe/events.h lists them; steps are left for the caller to fill in.
struct Measurement {
  pipe::Metrics metrics;
  std::vector<pipe::Heatmap> heatmaps;  // "alpha/1"; "alpha/bias" where there is one
};

// Sink rates and alphas of the first `positions` columns (the bias is one), norm ratios by layer, the named metrics.
Measurement MeasurementOf(const SinkReport& report, int64_t positions);

}  // namespace sink::train
