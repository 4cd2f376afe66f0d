// A sweep file, its chain of bases and its profiles, read and checked but not yet expanded. Values only; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sweeps/expand.h"
#include "sweeps/experiment.h"
#include "sweeps/settings.h"

namespace sink::sweeps {

struct ProportionalKey {
  FieldIndex field;
  Location at;
};

struct SweepSpec {
  Settings settings;                          // the chain of bases, then the sweep's own sections
  Settings profile;                           // the profiles' sections, in order
  std::vector<ProportionalKey> proportional;  // what the profiles list; no key twice
  std::vector<Experiment> experiments;
  int replicas = 1;
  int profile_replicas = 0;  // the same as the last profile has it, for a sweep that trains; 0: none says so
  Location max_jobs_at;      // where limits.max_jobs was set; the sweep file as a whole otherwise
  ExpandedSweep header;      // the name, resources, retry and limits; no jobs yet
};

// Errors: INVALID_ARGUMENT with the place.
absl::StatusOr<SweepSpec> LoadSweep(const SweepInput& input);

}  // namespace sink::sweeps
