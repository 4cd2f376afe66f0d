// RMSNorm on a GPU against the CPU's, at sizes around the block and tile sizes. Skipped where the build has no CUDA
// kernels or the machine no device.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/rmsnorm.h"
#include "tests/kernels/reference.h"

#ifdef SINK_HAVE_CUDA
#include <cuda_runtime.h>
#endif

namespace sink::kernels {
namespace {

#ifdef SINK_HAVE_CUDA

class OnDevice {
 public:
  explicit OnDevice(const std::vector<float>& host) : count_(host.size()) {
    EXPECT_EQ(cudaMalloc(&data_, count_ * sizeof(float)), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(data_, host.data(), count_ * sizeof(float), cudaMemcpyHostToDevice), cudaSuccess);
  }
  ~OnDevice() { cudaFree(data_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  float* data() { return data_; }
  std::vector<float> Host() const {
    std::vector<float> host(count_);
    EXPECT_EQ(cudaMemcpy(host.data(), data_, count_ * sizeof(float), cudaMemcpyDeviceToHost), cudaSuccess);
    return host;
  }

 private:
  size_t count_;
  float* data_ = nullptr;
};

void Compare(int64_t rows, int64_t columns) {
  SCOPED_TRACE(::testing::Message() << rows << " x " << columns);
  const std::vector<float> x = testing::Random(rows * columns, 1), weight = testing::Random(columns, 2);
  const std::vector<float> dy = testing::Random(rows * columns, 3);
  std::vector<float> y(x.size()), inverse_rms(rows), dx(x.size()), dweight(columns, 1.0f);
  OnDevice x_d(x), weight_d(weight), dy_d(dy), y_d(y), inverse_rms_d(inverse_rms), dx_d(dx), dweight_d(dweight);
  RmsNormForward({}, x.data(), weight.data(), 1e-5f, rows, columns, y.data(), inverse_rms.data());
  RmsNormBackward({}, dy.data(), x.data(), weight.data(), inverse_rms.data(), rows, columns, dx.data(), dweight.data());
  const Place device{.kind = Place::Kind::kCuda};
  RmsNormForward(device, x_d.data(), weight_d.data(), 1e-5f, rows, columns, y_d.data(), inverse_rms_d.data());
  RmsNormBackward(device, dy_d.data(), x_d.data(), weight_d.data(), inverse_rms_d.data(), rows, columns, dx_d.data(),
                  dweight_d.data());
  EXPECT_LT(testing::RelativeError(y_d.Host(), testing::Wide(y)), 1e-6);
  EXPECT_LT(testing::RelativeError(inverse_rms_d.Host(), testing::Wide(inverse_rms)), 1e-6);
  EXPECT_LT(testing::RelativeError(dx_d.Host(), testing::Wide(dx)), 1e-5);
  EXPECT_LT(testing::RelativeError(dweight_d.Host(), testing::Wide(dweight)), 1e-5);
}

TEST(RmsNormParity, CudaAgreesWithCpu) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) GTEST_SKIP() << "no CUDA device on this machine";
  for (const int64_t rows : {1, 33, 257})
    for (const int64_t columns : {1, 31, 256, 768, 2048}) Compare(rows, columns);
}

#else

TEST(RmsNormParity, CudaAgreesWithCpu) { GTEST_SKIP() << "this build has no CUDA kernels (SINK_CUDA=OFF or no nvcc)"; }

#endif

}  // namespace
}  // namespace sink::kernels
