// The calls of NVML that we need, declared here because its header comes with the CUDA toolkit only.
#include "worker/nvml.h"

#include <dlfcn.h>

#include <algorithm>

#include "absl/memory/memory.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace sink::worker {
namespace {

constexpr unsigned kTextBytes = 96;

// nvmlMemory_t and nvmlUtilization_t.
struct Memory {
  unsigned long long total, free, used;
};
struct Utilisation {
  unsigned gpu, memory;
};

}  // namespace

template <typename... Arguments>
bool Nvml::Call(const char* name, Arguments... arguments) {
  auto* function = reinterpret_cast<int (*)(Arguments...)>(dlsym(library_, name));
  return function != nullptr && function(arguments...) == 0;
}

absl::StatusOr<std::unique_ptr<Nvml>> Nvml::Open(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return absl::FailedPreconditionError(absl::StrCat("no GPU driver (", dlerror(), ")"));
  auto nvml = absl::WrapUnique(new Nvml(handle));
  if (!nvml->Call("nvmlInit_v2")) return absl::FailedPreconditionError("the GPU driver does not start (NVML)");
  return nvml;
}

Nvml::~Nvml() {
  Call("nvmlShutdown");
  dlclose(library_);
}

std::vector<Nvml::Gpu> Nvml::List() {
  std::vector<Gpu> gpus;
  unsigned count = 0;
  Call("nvmlDeviceGetCount_v2", &count);
  for (unsigned i = 0; i < count; ++i) {
    Device device = nullptr;
    char name[kTextBytes] = {}, uuid[kTextBytes] = {};
    if (!Call("nvmlDeviceGetHandleByIndex_v2", i, &device)) continue;
    Call("nvmlDeviceGetName", device, static_cast<char*>(name), kTextBytes);
    if (Call("nvmlDeviceGetUUID", device, static_cast<char*>(uuid), kTextBytes)) gpus.push_back({name, uuid});
  }
  return gpus;
}

std::string Nvml::NameOf(const std::string& id) {
  char name[kTextBytes] = {};
  const Device device = Find(id);
  if (device != nullptr) Call("nvmlDeviceGetName", device, static_cast<char*>(name), kTextBytes);
  return name;
}

Nvml::Device Nvml::Find(const std::string& id) {
  Device device = nullptr;
  unsigned index = 0;
  const bool found = absl::SimpleAtoi(id, &index) ? Call("nvmlDeviceGetHandleByIndex_v2", index, &device)
                                                  : Call("nvmlDeviceGetHandleByUUID", id.c_str(), &device);
  return found ? device : nullptr;
}

std::optional<Nvml::Use> Nvml::Ask(const std::string& id) {
  const Device device = Find(id);
  Memory memory = {};
  if (device == nullptr || !Call("nvmlDeviceGetMemoryInfo", device, &memory)) return std::nullopt;
  Utilisation utilisation = {};
  Call("nvmlDeviceGetUtilizationRates", device, &utilisation);  // parts of a GPU (MIG) have none
  return Use{.memory_bytes = static_cast<int64_t>(memory.total),
             .memory_used_bytes = static_cast<int64_t>(std::min(memory.used, memory.total)),
             .busy_percent = static_cast<int>(std::min(utilisation.gpu, 100u))};
}

}  // namespace sink::worker
