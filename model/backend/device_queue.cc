#include "model/backend/device_queue.h"

#include <ATen/ops/empty.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <atomic>

namespace sink {
namespace {

std::atomic<CudaRecordFunction> cuda_recorder = nullptr;

c10::Stream CurrentQueue(at::Device device) { return c10::impl::VirtualGuardImpl(device.type()).getStream(device); }

}  // namespace

bool HasQueue(at::Device device) { return device.is_cuda(); }

at::Tensor HostBuffer(at::IntArrayRef shape, at::ScalarType type, at::Device device) {
  return at::empty(shape, at::TensorOptions().dtype(type).pinned_memory(HasQueue(device)));
}

Milestone::Milestone(at::Device device) : device_(device) {
  if (HasQueue(device)) event_.emplace(device.type());
}

void Milestone::Set() {
  if (event_) event_->record(CurrentQueue(device_));
}

void Milestone::Await() const {
  if (event_) event_->synchronize();
}

void Milestone::Block() const {
  if (event_) event_->block(CurrentQueue(device_));
}

HostCopy::HostCopy(const at::Tensor& x)
    : copy_(HostBuffer(x.sizes(), x.scalar_type(), x.device())), done_(std::make_unique<Milestone>(x.device())) {
  copy_.copy_(x, /*non_blocking=*/true);
  done_->Set();
}

const at::Tensor& HostCopy::Await() const {
  done_->Await();
  return copy_;
}

SideQueue::SideQueue(at::Device device) {
  if (HasQueue(device)) stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

void SideQueue::Run(const std::function<void()>& work) const {
  if (!stream_) return work();
  const c10::StreamGuard guard(*stream_);
  work();
}

std::unique_ptr<Recording> Record(at::Device device, const std::function<void()>& work) {
  const CudaRecordFunction record = device.is_cuda() ? cuda_recorder.load(std::memory_order_acquire) : nullptr;
  return std::unique_ptr<Recording>(record == nullptr ? nullptr : record(device.index(), work));
}

void UseCudaRecorder(CudaRecordFunction record) { cuda_recorder.store(record, std::memory_order_release); }

}  // namespace sink
