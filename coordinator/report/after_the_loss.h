// Judges whether the loss falls before the sink emerges: see AfterTheLoss in claims.h. Pure; any thread.
#pragma once

#include "coordinator/report/claims.h"
#include "coordinator/report/study.h"

namespace sink::report {

// The effect is the mean lag of emergence.h, over settings or over the seeds of one where there are few.
Judgement JudgeAfterTheLoss(const Study& study, const Experiment& experiment);

}  // namespace sink::report
