// Whether a worker can be given jobs, as the coordinator's listings say it. Constants; any thread.
#pragma once

#include "proto/base/enum_names.h"

namespace sink {

enum class WorkerState { kConnected, kDisconnected, kGone };
template <>
struct EnumNames<WorkerState> {
  using enum WorkerState;
  static constexpr EnumName<WorkerState> kTable[] = {
      {kConnected, "connected"}, {kDisconnected, "disconnected"}, {kGone, "gone"}};
};

}  // namespace sink
