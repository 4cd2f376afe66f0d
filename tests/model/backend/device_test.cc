// Names of devices, and what a GPU must be able to do.
#include "model/backend/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/base/model_error.h"

namespace sink {
namespace {

TEST(Device, NamesAreCpuOrANumberedGpu) {
  for (const char* name : {"cpu", "cuda:0", "cuda:127"}) EXPECT_TRUE(IsDeviceName(name)) << name;
  for (const char* name : {"", "cuda", "cuda:", "cuda:x", "cuda:1234", "cuda:-1", "gpu:0"})
    EXPECT_FALSE(IsDeviceName(name)) << name;
}

TEST(Device, AGpuOlderThanTheKernelsIsRefusedByItsCapability) {
  for (const int capability : {80, 86, 89, 90, 100, 120}) EXPECT_NO_THROW(ExpectCapable("cuda:0", capability));
  EXPECT_THAT([] { ExpectCapable("cuda:1", 75); },
              ::testing::ThrowsMessage<DeviceError>(::testing::AllOf(::testing::HasSubstr("device cuda:1"),
                                                                     ::testing::HasSubstr("capability is 7.5"),
                                                                     ::testing::HasSubstr("at least 8.0"))));
}

}  // namespace
}  // namespace sink
