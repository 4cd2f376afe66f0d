// Random tensors that are the same in every run: LibTorch's own generator starts from a random seed. Owned by one test;
// one thread.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include <cstdint>

namespace sink::testing {

class RandomTensors {
 public:
  explicit RandomTensors(uint64_t seed) : generator_(at::make_generator<at::CPUGeneratorImpl>(seed)) {}

  // Of mean 0 and deviation 1.
  at::Tensor Normal(at::IntArrayRef sizes, at::ScalarType type = at::kFloat) {
    return at::randn(sizes, generator_, at::TensorOptions().dtype(type));
  }

  // Ids below `vocabulary`.
  at::Tensor Tokens(int64_t vocabulary, at::IntArrayRef sizes) {
    return at::randint(vocabulary, sizes, generator_, at::TensorOptions().dtype(at::kLong));
  }

 private:
  at::Generator generator_;
};

}  // namespace sink::testing
