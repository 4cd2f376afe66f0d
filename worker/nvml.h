// NVIDIA's management library, opened at run time, so that the same program runs where there is no driver: which GPUs a
// machine has and how they are used. One thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sink::worker {

inline constexpr char kNvmlLibrary[] = "libnvidia-ml.so.1";

class Nvml {
 public:
  struct Gpu {
    std::string name, uuid;
  };
  struct Use {
    int64_t memory_bytes = 0, memory_used_bytes = 0;
    int busy_percent = 0;
  };

  // FailedPrecondition where there is no such library, or its driver does not start.
  static absl::StatusOr<std::unique_ptr<Nvml>> Open(const std::string& library);
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;
  ~Nvml();

  std::vector<Gpu> List();
  // The name of a GPU by its id, as Ask takes it; empty where the driver knows none.
  std::string NameOf(const std::string& id);
  // Of a GPU by its UUID or by its number, as CUDA_VISIBLE_DEVICES may have either; nothing where the driver is silent.
  // Numbers follow the bus, as CUDA's do under CUDA_DEVICE_ORDER=PCI_BUS_ID.
  std::optional<Use> Ask(const std::string& id);

 private:
  using Device = void*;

  explicit Nvml(void* library) : library_(library) {}

  // Whether the library has the function and it succeeded.
  template <typename... Arguments>
  bool Call(const char* name, Arguments... arguments);
  Device Find(const std::string& id);

  void* const library_;
};

}  // namespace sink::worker
