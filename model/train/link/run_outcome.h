// How a run that did not fail has ended. Plain values.
#pragma once

#include <exception>

namespace sink::train {

enum class RunOutcome { kFinished, kStopped };

// Thrown where a run is asked to stop before it has anything to save: its outcome is kStopped.
struct StoppedBeforeStart : std::exception {
  const char* what() const noexcept override { return "asked to stop before it began"; }
};

}  // namespace sink::train
