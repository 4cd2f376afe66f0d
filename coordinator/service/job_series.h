// One job as Prometheus sees it. The overview is what a table of many jobs needs and costs about 15 samples; the
// details are by layer, position and domain and may cost hundreds. Label values that come from metric names are
// checked: those that are not plain are left out. Pure; any thread.
#pragma once

#include <cstdint>

#include "coordinator/job/job.h"
#include "coordinator/service/families.h"
#include "proto/config/model_flops.h"

namespace sink {

struct ShownJob {
  Job job;
  int64_t checkpoint_step = 0;  // of the newest committed one; 0 before
  int64_t most_tokens = 0;      // that any of its attempts has reached: what a restart repeats does not count twice
  TokenFlops token_flops;       // of one token in training; 0: not known yet, or it does not train
  double peak_flops = 0;        // FLOP/s of all its devices; 0: not known
};

inline constexpr size_t kMaxPlacesShown = 16;  // of one job in sweeps, each a sample of sink_job_info

// Step, tokens, losses, learning rate, gradient norm, and sink rate and alpha of the first position; a sample of
// sink_job_info{job,sweep,experiment,setting} for each of its places in sweeps.
void AddOverview(const ShownJob& shown, Families* families);
// The rest of the trainer's metrics.
void AddDetails(const ShownJob& shown, Families* families);

}  // namespace sink
