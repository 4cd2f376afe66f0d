// See gpu_monitor.h.
#include "worker/gpu_monitor.h"

#include <utility>

namespace sink::worker {

GpuMonitor::GpuMonitor(std::vector<std::string> ids, std::string library, absl::Duration interval)
    : ids_(std::move(ids)), library_(std::move(library)), interval_(interval) {
  thread_ = std::thread([this] { Run(); });
}

GpuMonitor::~GpuMonitor() {
  stop_.Notify();
  thread_.join();
}

std::vector<Nvml::Use> GpuMonitor::Latest() const {
  MutexLock lock(&mutex_);
  return latest_;
}

void GpuMonitor::Run() {
  auto nvml = Nvml::Open(library_);
  if (!nvml.ok()) return;
  do {
    std::vector<Nvml::Use> uses;
    for (const std::string& id : ids_) {
      if (const auto use = (*nvml)->Ask(id)) uses.push_back(*use);
    }
    if (uses.size() != ids_.size()) uses.clear();
    MutexLock lock(&mutex_);
    latest_ = std::move(uses);
  } while (!stop_.WaitFor(interval_));
}

}  // namespace sink::worker
