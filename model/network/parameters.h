// The parameters of a model in one buffer, their gradients in a second of the same layout. Views of either are handed
// out and stay valid as long as anyone holds them. Not synchronised: belongs to the model's thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/network/weight.h"

namespace sink {

// One named parameter: a view of each buffer, with Hugging Face's shape.
struct Parameter {
  std::string name;
  at::Tensor value;
  at::Tensor gradient;
};

class ParameterBuffer {
 public:
  // What a layout lists: a name, a shape and the standard deviation with which the value starts (0: all ones).
  struct Entry {
    std::string name;
    std::vector<int64_t> shape;
    double deviation = 0;
  };

  ParameterBuffer(std::vector<Entry> layout, at::Device device, at::ScalarType dtype);

  const std::vector<Parameter>& list() const { return list_; }
  const at::Tensor& values() const { return values_; }
  const at::Tensor& gradients() const { return gradients_; }

  // The named parameters, which must follow one another and agree in their other dimensions, stacked along the first
  // one. The gradient is the matching view of the gradients, so that a backward pass adds into the buffer.
  Weight WeightOf(const std::string& first, int64_t count = 1) const;

  // Normal values from (seed, name, index): counter-based, the same on every machine, device and number of threads.
  void Initialize(uint64_t seed);

 private:
  std::vector<Entry> layout_;
  std::vector<Parameter> list_;
  at::Tensor values_;
  at::Tensor gradients_;
};

}  // namespace sink
