// The parameters of a model in one buffer, their gradients in a second of the same layout, and, where the model
// computes in bfloat16, copies to compute with in a third. Views of all are handed out and stay valid as long as anyone
// holds them. Not synchronised: belongs to the model's thread.
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
  at::Tensor copy;  // in bfloat16; undefined where the buffer has no copies
};

class ParameterBuffer {
 public:
  // What a layout lists: a name, a shape and the standard deviation with which the value starts (0: all ones).
  struct Entry {
    std::string name;
    std::vector<int64_t> shape;
    double deviation = 0;
  };

  // Without values. `copies`: whether there are copies in bfloat16; whoever changes values refreshes them.
  ParameterBuffer(std::vector<Entry> layout, at::Device device, at::ScalarType dtype, bool copies = false);

  const std::vector<Parameter>& list() const { return list_; }
  const at::Tensor& values() const { return values_; }
  const at::Tensor& gradients() const { return gradients_; }
  const at::Tensor& copies() const { return copies_; }  // undefined where there are none

  // The same values and gradients without the copies: what is computed from them is not rounded to bfloat16.
  ParameterBuffer WithoutCopies() const;

  // The named parameters, which must follow one another and agree in their other dimensions, stacked along the first
  // one, computed with as their copies where there are any. The gradient is the matching view of the gradients, so that
  // a backward pass adds into the buffer.
  Weight WeightOf(const std::string& first, int64_t count = 1) const;
  // The same, computed with as the values are: norms, and what enters the scores of attention.
  Weight ExactWeightOf(const std::string& first, int64_t count = 1) const;

  // Normal values from (seed, name, index): counter-based, the same on every machine, device and number of threads.
  void Initialize(uint64_t seed);
  // Makes the copies anew from the values.
  void RefreshCopies() const;

 private:
  Weight Stacked(const at::Tensor& compute, const std::string& first, int64_t count) const;

  std::vector<Entry> layout_;
  std::vector<Parameter> list_;
  at::Tensor values_;
  at::Tensor gradients_;
  at::Tensor copies_;
};

}  // namespace sink
