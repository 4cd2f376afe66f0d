#include "model/backend/backend.h"

#include <atomic>

#include "model/backend/cpu_kernels.h"

namespace sink {
namespace {

constexpr Kernels kNone{};

std::atomic<CudaKernelsFunction> cuda_tables = nullptr;

const Kernels& CudaTable(at::ScalarType dtype) {
  const CudaKernelsFunction tables = cuda_tables.load(std::memory_order_acquire);
  const Kernels* table = tables == nullptr ? nullptr : tables(dtype);
  return table == nullptr ? kNone : *table;
}

}  // namespace

const Kernels& KernelsFor(at::Device device, at::ScalarType dtype) {
  if (device.is_cpu()) return dtype == at::kFloat ? CpuKernels() : kNone;
  return device.is_cuda() ? CudaTable(dtype) : kNone;
}

void UseCudaKernels(CudaKernelsFunction tables) { cuda_tables.store(tables, std::memory_order_release); }

}  // namespace sink
