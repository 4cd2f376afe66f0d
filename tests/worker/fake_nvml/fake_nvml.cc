// A library with NVML's functions for the tests of the worker: a machine with two GPUs, of which the second is part of
// another (MIG) and tells no utilisation; FAKE_NVML_SILENT in the environment makes the first say nothing of its
// memory.
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {

constexpr int kSuccess = 0, kNotSupported = 3, kNotFound = 6;
constexpr const char* kUuids[] = {"GPU-aaaa", "MIG-bbbb"};
static int handles[2];

static int NumberOf(void* device) { return device == &handles[1] ? 1 : 0; }

int nvmlInit_v2() { return kSuccess; }
int nvmlShutdown() { return kSuccess; }
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 2;
  return kSuccess;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index > 1) return kNotFound;
  *device = &handles[index];
  return kSuccess;
}
int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
  for (int i = 0; i < 2; ++i) {
    if (strcmp(uuid, kUuids[i]) != 0) continue;
    *device = &handles[i];
    return kSuccess;
  }
  return kNotFound;
}
int nvmlDeviceGetName(void* device, char* name, unsigned size) {
  snprintf(name, size, "%s", NumberOf(device) == 0 ? "NVIDIA H100 80GB HBM3" : "NVIDIA A100-SXM4-40GB MIG 1g.5gb");
  return kSuccess;
}
int nvmlDeviceGetUUID(void* device, char* uuid, unsigned size) {
  snprintf(uuid, size, "%s", kUuids[NumberOf(device)]);
  return kSuccess;
}

struct Memory {
  unsigned long long total, free, used;
};
int nvmlDeviceGetMemoryInfo(void* device, Memory* memory) {
  if (NumberOf(device) == 0 && getenv("FAKE_NVML_SILENT") != nullptr) return kNotSupported;
  *memory = NumberOf(device) == 0 ? Memory{80ULL << 30, 60ULL << 30, 20ULL << 30} : Memory{10, 6, 4};
  return kSuccess;
}
struct Utilisation {
  unsigned gpu, memory;
};
int nvmlDeviceGetUtilizationRates(void* device, Utilisation* rates) {
  if (NumberOf(device) == 1) return kNotSupported;
  *rates = {73, 5};
  return kSuccess;
}

}  // extern "C"
