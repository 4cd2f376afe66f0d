#include "model/backend/device.h"

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstdlib>
#include <string_view>

#include "model/backend/backend.h"
#include "model/backend/device_queue.h"
#include "model/base/model_error.h"

namespace sink {
namespace {

constexpr std::string_view kCuda = "cuda:";

// The library lies beside the program. A build with LibTorch for GPUs has it; without it every operation would quietly
// take the slow path.
void LoadKernels(const std::string& name, c10::DeviceIndex device) {
  void* library = dlopen(kCudaKernelsLibrary, RTLD_NOW | RTLD_LOCAL);
  const auto find = [library](const char* symbol) {
    void* found = library == nullptr ? nullptr : dlsym(library, symbol);
    if (found == nullptr) throw DeviceError(std::string("cannot use the CUDA kernels: ") + dlerror());
    return found;
  };
  ExpectCapable(name, reinterpret_cast<CudaCapabilityFunction>(find(kCudaCapabilitySymbol))(device));
  UseCudaKernels(reinterpret_cast<CudaKernelsFunction>(find(kCudaKernelsSymbol)));
  UseCudaRecorder(reinterpret_cast<CudaRecordFunction>(find(kCudaRecordSymbol)));
}

// LibTorch's allocator reads it when its CUDA half is loaded. Segments that grow do not leave the gaps into which
// neither a graph's memory nor a larger micro-batch would fit.
void PrepareAllocator() {
  if (std::getenv("PYTORCH_CUDA_ALLOC_CONF") == nullptr)
    setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True", /*overwrite=*/0);
}

}  // namespace

bool IsDeviceName(const std::string& name) {
  if (name == "cpu") return true;
  if (name.rfind(kCuda, 0) != 0) return false;
  const std::string index = name.substr(kCuda.size());
  return !index.empty() && index.size() <= 3 && index.find_first_not_of("0123456789") == std::string::npos;
}

at::Device OpenDevice(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  PrepareAllocator();
  const bool loaded = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr;
  const std::string why = loaded ? "" : " (" + std::string(dlerror()) + ")";
  if (!at::hasCUDA())
    throw DeviceError("device " + name + ": this machine, or this build, has no CUDA device; use cpu" + why);
  const int index = std::stoi(name.substr(kCuda.size()));
  const auto devices = static_cast<int>(at::getNumGPUs());
  if (index >= devices)
    throw DeviceError("device " + name + ": this machine has " + std::to_string(devices) +
                      " CUDA devices, from cuda:0");
  const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(index));
  LoadKernels(name, device.index());
  c10::impl::VirtualGuardImpl(at::kCUDA).setDevice(device);
  return device;
}

void ExpectCapable(const std::string& name, int capability) {
  const auto text = [](int times_ten) { return std::to_string(times_ten / 10) + "." + std::to_string(times_ten % 10); };
  if (capability < kLowestCapability)
    throw DeviceError("device " + name + ": its compute capability is " + text(capability) +
                      ", the CUDA kernels need at least " + text(kLowestCapability) +
                      " (Ampere); use cpu or another GPU");
}

at::ScalarType FastType(at::Device device) { return device.is_cuda() ? at::kBFloat16 : at::kFloat; }

bool RefusesWhatDoesNotFit(at::Device device) { return device.is_cuda(); }

Collectives CollectivesOf(at::Device device) { return device.is_cpu() ? Collectives::kGloo : Collectives::kNccl; }

}  // namespace sink
