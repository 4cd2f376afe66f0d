// Work of the current CUDA device as a graph (model/backend/device_queue.h). Exported by the library of CUDA kernels.
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>

#include <type_traits>

#include "model/backend/device_queue.h"

namespace sink {
namespace {

class Graph : public Recording {
 public:
  // A stream other than the default one is captured, as CUDA wants it. Thread-local: the thread that writes a
  // checkpoint may wait for its copies meanwhile. Blocks that the allocator has cached cannot serve the graph, which
  // has memory of its own from then on, so they go first.
  explicit Graph(const std::function<void()>& work) {
    c10::cuda::device_synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();
    const c10::cuda::CUDAStreamGuard guard(c10::cuda::getStreamFromPool());
    graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      Abandon();
      throw;
    }
    graph_.capture_end();
  }

  void Repeat() override { graph_.replay(); }

 private:
  // Ends the capture, which complains of what went wrong in it.
  void Abandon() {
    try {
      graph_.capture_end();
    } catch (const std::exception&) {
    }
  }

  at::cuda::CUDAGraph graph_;
};

}  // namespace
}  // namespace sink

extern "C" sink::Recording* SinkCudaRecord(const std::function<void()>& work) { return new sink::Graph(work); }

static_assert(std::is_same_v<decltype(&SinkCudaRecord), sink::CudaRecordFunction>);
