#include "tests/testing/far_device.h"

#include <ATen/EmptyTensor.h>
#include <ATen/Functions.h>
#include <ATen/NativeFunctions.h>
#include <ATen/core/op_registration/adaption.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <sys/mman.h>
#include <torch/library.h>

#include <cstring>
#include <map>
#include <mutex>
#include <new>

namespace sink::testing {
namespace {

constexpr size_t kPage = 4096;

size_t Pages(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

class FarAllocator : public at::Allocator {
 public:
  at::DataPtr allocate(size_t bytes) override {
    void* data = nullptr;
    if (bytes > 0) {
      data = mmap(nullptr, Pages(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (data == MAP_FAILED) throw std::bad_alloc();
      const std::lock_guard lock(mutex_);
      sizes_[data] = Pages(bytes);
    }
    return {data, data, &Free, FarDevice()};
  }
  at::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    Allow(to, PROT_READ | PROT_WRITE);
    Allow(from, PROT_READ | PROT_WRITE);
    std::memcpy(to, from, bytes);
    Allow(from, PROT_NONE);
    Allow(to, PROT_NONE);
  }
  // Of the whole allocation that begins there.
  void Allow(const void* data, int rights) const {
    const std::lock_guard lock(mutex_);
    const auto size = sizes_.find(const_cast<void*>(data));
    if (size != sizes_.end()) mprotect(size->first, size->second, rights);
  }

 private:
  static void Free(void* data);

  mutable std::mutex mutex_;
  std::map<void*, size_t> sizes_;
};

FarAllocator& FarMemory() {
  static auto* allocator = new FarAllocator;
  return *allocator;
}

void FarAllocator::Free(void* data) {
  if (data == nullptr) return;
  FarAllocator& self = FarMemory();
  const std::lock_guard lock(self.mutex_);
  munmap(data, self.sizes_.at(data));
  self.sizes_.erase(data);
}

// The tensor's memory as a CPU tensor, as long as this lives.
class Reach {
 public:
  explicit Reach(const at::Tensor& x) : begin_(x.storage().mutable_data()) {
    if (x.is_cpu()) {
      cpu = x;
      return;
    }
    FarMemory().Allow(begin_, PROT_READ | PROT_WRITE);
    char* data = static_cast<char*>(begin_) + x.storage_offset() * static_cast<int64_t>(x.element_size());
    cpu = at::from_blob(data, x.sizes(), x.strides(), x.options().device(at::kCPU));
  }
  ~Reach() {
    if (begin_ != nullptr) FarMemory().Allow(begin_, PROT_NONE);
  }
  Reach(const Reach&) = delete;

  at::Tensor cpu;

 private:
  void* begin_;
};

at::Tensor CopyFrom(const at::Tensor& from, const at::Tensor& to, bool) {
  at::Tensor values;
  {
    const Reach source(from);
    values = source.cpu.to(to.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
  }
  const Reach target(to);
  target.cpu.copy_(values);
  return to;
}

at::Tensor CopyFromAndResize(const at::Tensor& from, const at::Tensor& to) {
  to.resize_(from.sizes());
  return CopyFrom(from, to, false);
}

at::Tensor Empty(c10::IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &FarMemory(), c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   at::dtype_or_default(type), format);
}

at::Tensor EmptyStrided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<at::ScalarType> type,
                        std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(
      size, stride, &FarMemory(), c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), at::dtype_or_default(type));
}

// Nothing here makes a tensor larger than it began, except an empty one of an `out` argument.
const at::Tensor& Resize(const at::Tensor& x, c10::IntArrayRef size, std::optional<at::MemoryFormat>) {
  if (x.sizes() == size) return x;
  const at::Tensor fresh = at::empty(size, x.options());
  x.unsafeGetTensorImpl()->set_storage_keep_dtype(fresh.storage());
  x.unsafeGetTensorImpl()->set_sizes_contiguous(size);
  return x;
}

struct FarHooks : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(at::DeviceIndex) const override { return true; }
};

void Fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) { at::native::cpu_fallback(op, stack); }

[[maybe_unused]] const bool kRegistered = [] {
  c10::register_privateuse1_backend("far");
  c10::SetAllocator(c10::DeviceType::PrivateUse1, &FarMemory());
  at::RegisterPrivateUse1HooksInterface(new FarHooks);
  return true;
}();

// One device with one stream, on which everything is done when a call returns.
struct FarGuard : c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::PrivateUse1> {
  at::Device exchangeDevice(at::Device) const override { return FarDevice(); }
  at::Device getDevice() const override { return FarDevice(); }
  c10::Stream getStream(at::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, FarDevice()); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, FarDevice());
  }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, FarGuard);

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", TORCH_FN(Empty));
  m.impl("empty_strided", TORCH_FN(EmptyStrided));
  m.impl("_copy_from", TORCH_FN(CopyFrom));
  m.impl("_copy_from_and_resize", TORCH_FN(CopyFromAndResize));
  m.impl("resize_", TORCH_FN(Resize));
  m.impl("as_strided", TORCH_FN(at::native::as_strided_tensorimpl));
  m.impl("view", TORCH_FN(at::native::view));
  m.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&Fallback>()); }

}  // namespace

at::Device FarDevice() { return {at::DeviceType::PrivateUse1, 0}; }

}  // namespace sink::testing
