// Runs that are one training, told twice: a study's experiments meet in the same settings, and seeds draw the same
// numbers. Who counts runs as draws of what settings do counts such only once. Pure; any thread.
#pragma once

#include "coordinator/report/study.h"

namespace sink::report {

// Of the same seed, and the same in what both measured at the steps that both have (alpha_1 of the strongest head,
// Sink_1 and loss), so that a run which only goes on where another ends is the same; or the same in every setting that
// bears on the result, where a window at least as long as the sequences is none: the windowed kernel computes the same
// but for rounding, which grows over a training. A run whose seed nobody knows is no other's.
bool AreOneTraining(const Run& a, const Run& b);

}  // namespace sink::report
