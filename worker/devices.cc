// See devices.h.
#include "worker/devices.h"

#include <dlfcn.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace sink::worker {
namespace {

constexpr int kMaxCpuSlots = 1024;

// The four NVML calls that we need, declared here because its header comes with the CUDA toolkit only.
class Nvml {
 public:
  static absl::StatusOr<DeviceInventory> ListGpus() {
    constexpr char kLibrary[] = "libnvidia-ml.so.1";
    void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return absl::FailedPreconditionError(absl::StrCat("no GPU driver (", dlerror(), ")"));
    Nvml nvml(library);
    absl::StatusOr<DeviceInventory> gpus = nvml.Query();
    dlclose(library);
    return gpus;
  }

 private:
  using Device = void*;
  static constexpr unsigned kTextBytes = 96;

  explicit Nvml(void* library) : library_(library) {}

  template <typename... Arguments>
  bool Call(const char* name, Arguments... arguments) {
    auto* function = reinterpret_cast<int (*)(Arguments...)>(dlsym(library_, name));
    return function != nullptr && function(arguments...) == 0;
  }

  absl::StatusOr<DeviceInventory> Query() {
    if (!Call("nvmlInit_v2")) return absl::FailedPreconditionError("the GPU driver does not start (NVML)");
    DeviceInventory inventory{.kind = "", .ids = {}, .gpu = true};
    unsigned count = 0;
    Call("nvmlDeviceGetCount_v2", &count);
    for (unsigned i = 0; i < count; ++i) {
      Device device = nullptr;
      char name[kTextBytes] = {}, uuid[kTextBytes] = {};
      if (!Call("nvmlDeviceGetHandleByIndex_v2", i, &device)) continue;
      Call("nvmlDeviceGetName", device, static_cast<char*>(name), kTextBytes);
      if (!Call("nvmlDeviceGetUUID", device, static_cast<char*>(uuid), kTextBytes)) continue;
      if (inventory.ids.empty()) inventory.kind = name;
      inventory.ids.emplace_back(uuid);
    }
    Call("nvmlShutdown");
    if (inventory.ids.empty()) return absl::FailedPreconditionError("the driver lists no GPU");
    return inventory;
  }

  void* const library_;
};

absl::StatusOr<DeviceInventory> FindGpus(const char* visible) {
  absl::StatusOr<DeviceInventory> gpus = Nvml::ListGpus();
  if (!gpus.ok() || visible == nullptr) return gpus;
  // A batch system has given us some of the machine's GPUs; its names for them are as good as ours.
  gpus->ids = absl::StrSplit(visible, ',', absl::SkipWhitespace());
  if (gpus->ids.empty()) return absl::FailedPreconditionError("CUDA_VISIBLE_DEVICES is set and names no GPU");
  return gpus;
}

}  // namespace

absl::StatusOr<DeviceInventory> FindDevices(const std::string& spec, const char* visible) {
  if (spec == "gpu") return FindGpus(visible);
  int slots = 1;
  if (spec == "auto") {
    auto gpus = FindGpus(visible);
    if (gpus.ok()) return gpus;
  } else if (absl::string_view number = spec; !absl::ConsumePrefix(&number, "cpu:") ||
                                              !absl::SimpleAtoi(number, &slots) || slots < 1 || slots > kMaxCpuSlots) {
    return absl::InvalidArgumentError(
        absl::StrCat("devices \"", spec, "\": use auto, gpu or cpu:N with N from 1 to ", kMaxCpuSlots));
  }
  return DeviceInventory{.kind = "cpu", .ids = std::vector<std::string>(slots), .gpu = false};
}

std::string DevicePool::Claim::visible_devices() const {
  std::vector<std::string> ids;
  for (size_t index : indices_) ids.push_back(pool_->inventory_.ids[index]);
  return pool_->inventory_.gpu ? absl::StrJoin(ids, ",") : "";
}

std::unique_ptr<DevicePool::Claim> DevicePool::Take(int count) {
  absl::MutexLock lock(&mutex_);
  std::vector<size_t> indices;
  for (size_t i = 0; i < taken_.size() && static_cast<int>(indices.size()) < count; ++i) {
    if (!taken_[i]) indices.push_back(i);
  }
  if (count <= 0 || static_cast<int>(indices.size()) < count) return nullptr;
  for (size_t index : indices) taken_[index] = true;
  return std::make_unique<Claim>(this, std::move(indices));
}

int DevicePool::free() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<int>(std::count(taken_.begin(), taken_.end(), false));
}

void DevicePool::Release(const std::vector<size_t>& indices) {
  absl::MutexLock lock(&mutex_);
  for (size_t index : indices) taken_[index] = false;
}

}  // namespace sink::worker
