// Whether a worker can be given jobs, as the coordinator's listings say it. Constants; any thread.
#pragma once

#include "proto/base/enum_names.h"

namespace sink {

enum class WorkerState {
  kConnected,
  kDisconnected,  // silent for longer than it may be
  kGone,          // silent for longer than a lease lasts
  kStopped,       // its daemon has ended, and said so
};
template <>
struct EnumNames<WorkerState> {
  using enum WorkerState;
  static constexpr EnumName<WorkerState> kTable[] = {
      {kConnected, "connected"}, {kDisconnected, "disconnected"}, {kGone, "gone"}, {kStopped, "stopped"}};
};

// Why a worker that is there is given no new jobs.
enum class WorkerHold {
  kNone = 0,
  kCordoned = 1,     // a person said so; what runs goes on
  kDraining = 2,     // a person said so; what runs is saved and goes back to the queue
  kQuarantined = 3,  // one job after the other failed there (core/worker_health.h); it is tried again after a while
};
template <>
struct EnumNames<WorkerHold> {
  using enum WorkerHold;
  static constexpr EnumName<WorkerHold> kTable[] = {
      {kNone, "none"}, {kCordoned, "cordoned"}, {kDraining, "draining"}, {kQuarantined, "quarantined"}};
};

}  // namespace sink
