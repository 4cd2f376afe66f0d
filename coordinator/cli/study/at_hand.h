// What the workers that are there can run of a sweep at once, for `sinkctl plan`. Pure; any thread.
#pragma once

#include <string>

#include "coordinator/cli/print/printer.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

// Of the workers that are connected and given new jobs.
struct AtHand {
  int workers = 0;
  int devices = 0;  // busy ones, too
  int jobs = 0;     // that run at once, of so many devices a job
};

// A job takes `devices`, in groups of `per_worker`, each on one worker; 0: all on one.
AtHand CountAtHand(const v1::ListWorkersResponse& response, int devices, int per_worker);

// {"workers", "devices", "jobs"}
Json ToJson(const AtHand& at_hand);
// "2 workers with 8 devices are at hand: 4 jobs at once".
std::string AtHandText(const AtHand& at_hand);

}  // namespace sink::cli
