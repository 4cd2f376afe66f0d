// What a GPU's driver last said of it, as worker.proto tells it. A value; any thread.
#pragma once

#include <cstdint>

namespace sink {

struct GpuUse {
  int64_t memory_bytes = 0, memory_used_bytes = 0, busy_percent = 0;
};

}  // namespace sink
