// A job as a row of a long list: a JSON array, a tenth of what the whole job takes. Pure; any thread.
#pragma once

#include <optional>
#include <string>

#include "coordinator/job/job.h"

namespace sink::web {

// The names of a row's places, as a JSON array.
extern const char kJobColumns[];

// Appends the row. Experiment, label and index are those of the job's first membership.
void AppendJobRow(const Job& job, std::string* out);

// What the newest metrics of a job say of it; their names are told in proto/pipe/metric_name.h.
struct Measured {
  std::optional<double> train_loss;
  std::optional<double> validation_loss;    // of all domains
  std::optional<double> sink_rate;          // 0..1, position 1, the best epsilon by pipe::IsBetterEpsilon
  std::optional<double> alpha_mean;         // position 1
  std::optional<double> alpha_max;          // position 1
  std::optional<double> hidden_norm_ratio;  // the largest over layers
};
Measured Measure(const LatestValues& latest);

}  // namespace sink::web
