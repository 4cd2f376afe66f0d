// What speaks against taking the runs of settings for a sample of what the settings do: seeds that were stopped, that
// diverged or are still to come, and runs on other data. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "coordinator/report/study.h"

namespace sink::report {

// That training diverges is an outcome of a run, not an accident: it failed of that, or what it measured last is not
// finite.
bool Diverged(const Run& run);

struct Flaws {
  int cancelled = 0;             // runs beside others of their setting that succeeded; early stopping cancels a run by
                                 // what it measures, so those that are left are no sample of the setting's seeds
  int diverged = 0;              // seeds
  std::string all_diverged;      // settings of which none is left: "learning_rate=1"; they narrow what is compared
  int awaited = 0;               // seeds that have not ended, beside others of their setting that succeeded
  bool mostly_diverged = false;  // more than half of the seeds of a setting of which others are left
  bool mixed_data = false;       // one data set held different things for different runs
};

// Of settings that are held against each other. A run that several of them have counts once.
Flaws FlawsOf(const Study& study, const std::vector<const Point*>& points);

// In a few words why such runs decide nothing; empty where they may.
std::string WhyNoSample(const Flaws& flaws);
// "6 seeds diverged (all of learning_rate=1), 1 seed is still to come"; empty where all have ended well.
std::string SeedsWithoutValue(const Flaws& flaws);

}  // namespace sink::report
