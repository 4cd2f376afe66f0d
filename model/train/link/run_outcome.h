// How a run that did not fail has ended. A plain value.
#pragma once

namespace sink::train {

enum class RunOutcome { kFinished, kStopped };

}  // namespace sink::train
