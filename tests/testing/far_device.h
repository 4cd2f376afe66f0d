// A device for tests of code that must run where the CPU cannot reach: ATen's PrivateUse1. Its memory is pages without
// any right, so that a raw pointer to it crashes at once; ATen refuses operations that mix it with CPU tensors; what it
// computes is computed by the CPU's operations on copies. Linking this file makes the device. Any thread, one at a
// time.
#pragma once

#include <c10/core/Device.h>

namespace sink::testing {

at::Device FarDevice();

}  // namespace sink::testing
