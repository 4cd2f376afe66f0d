// Work of a CUDA device as a graph (model/backend/device_queue.h). Exported by the library of CUDA kernels.
#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>

#include <map>
#include <mutex>
#include <optional>
#include <type_traits>

#include "model/backend/device_queue.h"

namespace sink {
namespace {

// One for all graphs of a device: cuBLAS keeps a workspace for every stream that it has been called on.
c10::cuda::CUDAStream CaptureStream(at::DeviceIndex device) {
  static std::mutex mutex;
  static auto& streams = *new std::map<at::DeviceIndex, c10::cuda::CUDAStream>;
  const std::lock_guard lock(mutex);
  if (const auto found = streams.find(device); found != streams.end()) return found->second;
  return streams.emplace(device, c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)).first->second;
}

class Graph : public Recording {
 public:
  // A stream other than the default one is captured, as CUDA wants it. Thread-local: the thread that writes a
  // checkpoint may wait for its copies meanwhile. Blocks that the allocator has cached cannot serve the graph, which
  // has memory of its own from then on, so they go first.
  Graph(at::DeviceIndex device, const std::function<void()>& work) {
    const c10::cuda::CUDAGuard device_guard(device);
    c10::cuda::device_synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();
    const c10::cuda::CUDAStreamGuard guard(CaptureStream(device));
    const c10::MempoolId_t pool = at::cuda::graph_pool_handle();
    graph_.emplace();
    graph_->capture_begin(pool, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      Abandon(device, pool);
      throw;
    }
    try {
      graph_->capture_end();
    } catch (...) {
      GiveBack(device, pool);
      throw;
    }
  }

  void Repeat() override { graph_->replay(); }

 private:
  // Ends the capture, which complains of what went wrong in it.
  void Abandon(at::DeviceIndex device, c10::MempoolId_t pool) {
    try {
      graph_->capture_end();
    } catch (const std::exception&) {
      GiveBack(device, pool);
    }
  }

  // A capture that could not be ended leaves the allocators in the belief that it goes on, and they then free nothing
  // when memory runs out. They complain where they had been told already.
  static void GiveBack(at::DeviceIndex device, c10::MempoolId_t pool) {
    try {
      c10::cuda::CUDACachingAllocator::endAllocateToPool(device, pool);
      at::getHostAllocator(at::kCUDA)->end_allocate_to_pool(pool);
      c10::cuda::CUDACachingAllocator::releasePool(device, pool);
      at::getHostAllocator(at::kCUDA)->release_pool(pool);
    } catch (const std::exception&) {
    }
  }

  std::optional<at::cuda::CUDAGraph> graph_;
};

}  // namespace
}  // namespace sink

extern "C" sink::Recording* SinkCudaRecord(at::DeviceIndex device, const std::function<void()>& work) {
  return new sink::Graph(device, work);
}

static_assert(std::is_same_v<decltype(&SinkCudaRecord), sink::CudaRecordFunction>);
