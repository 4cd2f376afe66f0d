// The table of a CPU's kernels on floats: kernels/ shared among ATen's threads. Any thread.
#pragma once

#include "model/backend/backend.h"

namespace sink {

const Kernels& CpuKernels();

}  // namespace sink
