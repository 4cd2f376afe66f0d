// A device's queue of work, as the training loop needs it: what is queued returns at once, and these say when it is
// done, copy beside it, and repeat it. A CPU is done when a call returns, so that everything here is trivial on one.
// The current queue is the calling thread's current stream of the device. No file outside this folder knows streams. An
// object belongs to one thread at a time.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

namespace sink {

// Whether work outlives the call that queues it, so that there is something to overlap.
bool HasQueue(at::Device device);

// Host memory that the device copies from and to while both go on; plain where there is no queue.
at::Tensor HostBuffer(at::IntArrayRef shape, at::ScalarType type, at::Device device);

// A place in a queue.
class Milestone {
 public:
  explicit Milestone(at::Device device);

  void Set();          // here, in the current queue; moves it
  void Await() const;  // returns when everything before it is done
  void Block() const;  // what comes next in the current queue waits for it

 private:
  const at::Device device_;
  std::optional<c10::Event> event_;
};

// A copy of a device's tensor on the host: begun by the constructor, behind what is queued.
class HostCopy {
 public:
  explicit HostCopy(const at::Tensor& x);

  // Waits for the copy.
  const at::Tensor& Await() const;

 private:
  at::Tensor copy_;
  std::unique_ptr<Milestone> done_;
};

// A second queue of the device.
class SideQueue {
 public:
  explicit SideQueue(at::Device device);

  // Runs `work` with this one as the current queue of the calling thread.
  void Run(const std::function<void()>& work) const;

 private:
  std::optional<c10::Stream> stream_;
};

// Work that was queued once and can be queued again at the cost of one call: a CUDA graph. The same tensors are read
// and written every time.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void Repeat() = 0;
};

// Records what `work` queues, which is not done by that. Null where the device cannot record; an exception where it
// could not record this work, which has then done nothing, and must have run a few times before.
std::unique_ptr<Recording> Record(at::Device device, const std::function<void()>& work);

// What the library of CUDA kernels exports for it, under the name kCudaRecordSymbol: the recording, owned by the
// caller.
using CudaRecordFunction = Recording* (*)(at::DeviceIndex device, const std::function<void()>& work);
inline constexpr char kCudaRecordSymbol[] = "SinkCudaRecord";
void UseCudaRecorder(CudaRecordFunction record);

}  // namespace sink
