// Names of the small enums of job.h.
#include "coordinator/job/job.h"

namespace sink {

std::string_view AttemptStateName(AttemptState state) {
  switch (state) {
    case AttemptState::kRunning:
      return "running";
    case AttemptState::kSucceeded:
      return "succeeded";
    case AttemptState::kFailed:
      return "failed";
    case AttemptState::kLost:
      return "lost";
    case AttemptState::kCancelled:
      return "cancelled";
  }
  return "";
}

std::string_view WorkerStateName(WorkerState state) {
  switch (state) {
    case WorkerState::kConnected:
      return "connected";
    case WorkerState::kDisconnected:
      return "disconnected";
    case WorkerState::kGone:
      return "gone";
  }
  return "";
}

}  // namespace sink
