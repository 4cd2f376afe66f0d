// Asks the driver now and then how the worker's GPUs are used, in a thread of its own, because a GPU in trouble may
// keep its driver silent for long, and the heartbeat must not wait. Any thread.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "coordinator/job/mutex.h"
#include "coordinator/job/timed_wait.h"
#include "worker/nvml.h"

namespace sink::worker {

class GpuMonitor {
 public:
  // `ids` as DeviceInventory has them.
  GpuMonitor(std::vector<std::string> ids, std::string library, absl::Duration interval);
  // Waits for a question to the driver.
  ~GpuMonitor();

  // What the driver last said of every GPU, in the order of the ids; empty before, or where one is silent.
  std::vector<Nvml::Use> Latest() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run();

  const std::vector<std::string> ids_;
  const std::string library_;
  const absl::Duration interval_;
  mutable Mutex mutex_;
  std::vector<Nvml::Use> latest_ ABSL_GUARDED_BY(mutex_);
  Notification stop_;
  std::thread thread_;
};

}  // namespace sink::worker
