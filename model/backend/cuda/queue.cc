#include "model/backend/cuda/queue.h"

#include <c10/cuda/CUDAStream.h>

namespace sink::cuda {

void* CurrentStream() { return c10::cuda::getCurrentCUDAStream().stream(); }

}  // namespace sink::cuda
