// See devices.h.
#include "worker/devices.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "coordinator/job/timed_wait.h"

namespace sink::worker {
namespace {

constexpr int kMaxCpuSlots = 1024;

absl::StatusOr<DeviceInventory> FindGpus(const char* visible, const std::string& library) {
  auto nvml = Nvml::Open(library);
  if (!nvml.ok()) return nvml.status();
  DeviceInventory inventory{.kind = "", .ids = {}, .gpu = true};
  for (const Nvml::Gpu& gpu : (*nvml)->List()) {
    if (inventory.ids.empty()) inventory.kind = gpu.name;
    inventory.ids.push_back(gpu.uuid);
  }
  if (inventory.ids.empty()) return absl::FailedPreconditionError("the driver lists no GPU");
  if (visible == nullptr) return inventory;
  // A batch system has given us some of the machine's GPUs; its names for them are as good as ours.
  inventory.ids = absl::StrSplit(visible, ',', absl::SkipWhitespace());
  // What CUDA and Slurm write for "none" ends the list.
  const auto end = std::find_if(inventory.ids.begin(), inventory.ids.end(),
                                [](const std::string& id) { return id == "-1" || id == "NoDevFiles"; });
  inventory.ids.erase(end, inventory.ids.end());
  if (inventory.ids.empty()) return absl::FailedPreconditionError("CUDA_VISIBLE_DEVICES is set and names no GPU");
  // A beginning of an id, which CUDA takes too, has no name here.
  if (std::string name = (*nvml)->NameOf(inventory.ids.front()); !name.empty()) inventory.kind = std::move(name);
  return inventory;
}

}  // namespace

absl::StatusOr<DeviceInventory> FindDevices(const std::string& spec, const char* visible, const std::string& library) {
  if (spec == "gpu") return FindGpus(visible, library);
  int slots = 1;
  if (spec == "auto") {
    auto gpus = FindGpus(visible, library);
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
  MutexLock lock(&mutex_);
  std::vector<size_t> indices;
  for (size_t i = 0; i < taken_.size() && static_cast<int>(indices.size()) < count; ++i) {
    if (!taken_[i]) indices.push_back(i);
  }
  if (count <= 0 || static_cast<int>(indices.size()) < count) return nullptr;
  for (size_t index : indices) taken_[index] = true;
  return std::make_unique<Claim>(this, std::move(indices));
}

int DevicePool::free() const {
  MutexLock lock(&mutex_);
  return static_cast<int>(std::count(taken_.begin(), taken_.end(), false));
}

void DevicePool::Release(const std::vector<size_t>& indices) {
  MutexLock lock(&mutex_);
  for (size_t index : indices) taken_[index] = false;
  ++returns_;
  returned_.SignalAll();
}

int64_t DevicePool::returns() const {
  MutexLock lock(&mutex_);
  return returns_;
}

void DevicePool::WaitForReturn(int64_t seen, absl::Duration timeout) const {
  MutexLock lock(&mutex_);
  const auto returned = [this, seen]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return returns_ != seen; };
  WaitFor(&returned_, &mutex_, timeout, returned);
}

void DevicePool::Interrupt() {
  MutexLock lock(&mutex_);
  ++returns_;
  returned_.SignalAll();
}

}  // namespace sink::worker
