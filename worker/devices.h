// What a worker offers: CPU slots or GPUs, which are found through NVML (nvml.h). DevicePool is thread-safe; the
// functions may be called from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/job/mutex.h"
#include "worker/nvml.h"

namespace sink::worker {

struct DeviceInventory {
  std::string kind = "cpu";      // "cpu" or the name of the first GPU
  std::vector<std::string> ids;  // one per device; of GPUs what CUDA_VISIBLE_DEVICES takes, of CPU slots empty strings
  bool gpu = false;
};

// `spec`: "cpu:N" (N slots), "gpu" (every GPU, an error when there is none), "auto" (the GPUs, or one CPU slot).
// `visible`: CUDA_VISIBLE_DEVICES as the daemon was started with, null when unset; it limits which GPUs are offered.
// InvalidArgument for another spec; FailedPrecondition when "gpu" finds none, saying why.
absl::StatusOr<DeviceInventory> FindDevices(const std::string& spec, const char* visible,
                                            const std::string& library = kNvmlLibrary);

// Which devices are taken. A Claim gives its devices back when it is destroyed.
class DevicePool {
 public:
  class Claim {
   public:
    Claim(DevicePool* pool, std::vector<size_t> indices) : pool_(pool), indices_(std::move(indices)) {}
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    ~Claim() { pool_->Release(indices_); }

    // "cpu" or "cuda:0": CUDA numbers the visible devices from 0.
    std::string device() const { return pool_->inventory_.gpu ? "cuda:0" : "cpu"; }
    int size() const { return static_cast<int>(indices_.size()); }
    // The number of its first device among all of the pool: no other claim that lives has it.
    size_t first() const { return indices_.front(); }
    // The value of CUDA_VISIBLE_DEVICES: just these GPUs, or none.
    std::string visible_devices() const;
    // The same for the `i`th of them alone, 0 <= i < size().
    std::string visible_device(int i) const { return pool_->inventory_.ids[indices_[i]]; }

   private:
    DevicePool* const pool_;
    const std::vector<size_t> indices_;
  };

  explicit DevicePool(DeviceInventory inventory)
      : inventory_(std::move(inventory)), taken_(inventory_.ids.size(), false) {}

  // Null when fewer than `count` are free or `count` is not positive.
  std::unique_ptr<Claim> Take(int count) ABSL_LOCKS_EXCLUDED(mutex_);

  int size() const { return static_cast<int>(inventory_.ids.size()); }
  int free() const ABSL_LOCKS_EXCLUDED(mutex_);
  const std::string& kind() const { return inventory_.kind; }
  bool gpu() const { return inventory_.gpu; }
  const std::vector<std::string>& ids() const { return inventory_.ids; }

  // How often devices were given back so far, or Interrupt was called; and a wait until that is no longer `seen`, which
  // a claim that ended in between ends at once.
  int64_t returns() const ABSL_LOCKS_EXCLUDED(mutex_);
  void WaitForReturn(int64_t seen, absl::Duration timeout) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Whoever waits looks again.
  void Interrupt() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Release(const std::vector<size_t>& indices) ABSL_LOCKS_EXCLUDED(mutex_);

  const DeviceInventory inventory_;
  mutable Mutex mutex_;
  mutable CondVar returned_;  // signalled when returns_ changes
  std::vector<bool> taken_ ABSL_GUARDED_BY(mutex_);
  int64_t returns_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sink::worker
