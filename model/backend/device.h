// The device that a data program computes on, by the name that a person or a worker gave. LibTorch's CUDA half costs
// seconds and a gigabyte to load, so only a program that was given a GPU loads it. Any thread; once a process is
// enough.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

namespace sink {

// "cpu", or "cuda:N" with N of up to three digits.
bool IsDeviceName(const std::string& name);

// The device of such a name, with LibTorch's CUDA half and our kernels for it loaded where it is a GPU, which is the
// calling thread's current one from then on. DeviceError when this machine, or this build, does not have it, or where
// it is too old.
at::Device OpenDevice(const std::string& name);

// The lowest compute capability that our kernels run on, times ten; they are compiled for this and for 9.0, and what is
// newer than those compiles them for itself when they are loaded.
inline constexpr int kLowestCapability = 80;
// DeviceError where such a device's capability, times ten, is below that.
void ExpectCapable(const std::string& name, int capability);

// What the library of CUDA kernels exports for that, under the name kCudaCapabilitySymbol.
using CudaCapabilityFunction = int (*)(c10::DeviceIndex device);
inline constexpr char kCudaCapabilitySymbol[] = "SinkCudaCapability";

// What a model computes in on such a device where nobody says: bfloat16 where that is many times faster, float
// elsewhere.
at::ScalarType FastType(at::Device device);

// Whether what does not fit such a device's memory is refused there, and all goes on: on a CPU the kernel may end the
// process instead.
bool RefusesWhatDoesNotFit(at::Device device);

// What carries collectives between ranks on such devices.
enum class Collectives { kGloo, kNccl };
Collectives CollectivesOf(at::Device device);

}  // namespace sink
