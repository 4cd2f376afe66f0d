// A parameter as the operations take it: what they compute with, and where its gradient goes. The two may differ in
// type: bf16 copies compute while gradients of many micro-batches add up in float. Plain value; shares its tensors.
#pragma once

#include <ATen/core/Tensor.h>

namespace sink {

struct Weight {
  at::Tensor compute;   // an autograd leaf that requires a gradient; its own grad() stays undefined
  at::Tensor gradient;  // of the same shape; a backward pass adds to it. Undefined where nobody trains the weight

  bool defined() const { return compute.defined(); }
};

// The weight as a tensor for formulas: what autograd finds to be its gradient is added to weight.gradient. Undefined
// for an undefined weight.
at::Tensor Value(const Weight& weight);

}  // namespace sink
