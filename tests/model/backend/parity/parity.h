// What a table of kernels computes, compared with the formulas of the reference in double on the same values: outputs
// and gradients of every entry that a device has. The cases are the caller's: a GPU takes sizes that an emulated one
// could not. Fails through GoogleTest. Test helper.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/backend/backend.h"

namespace sink::testing {

// A kind of attention; the terms are made of random values, those of the bias with a gradient where it is learned.
struct AttentionKind {
  std::string name;
  AttentionRule rule;
  bool bias = false, learned_bias = false, column_key = false, column_value = false, column_logit = false;
};
// Every kind that the study trains.
std::vector<AttentionKind> AttentionKinds();

class Parity {
 public:
  // Values are of the type, which is the table's; sums and gradients of weights are floats.
  Parity(const Kernels& kernels, at::Device device, at::ScalarType type);

  void AddProduct(int64_t rows, int64_t outputs, int64_t inputs);
  void RmsNorm(int64_t rows, int64_t columns);
  void AddRmsNorm(int64_t rows, int64_t columns);
  void FeedForward(int64_t rows, int64_t width);
  void Rope(int64_t batch, int64_t length, int64_t heads, int64_t head_dim, int64_t rest);
  void EmbeddingBackward(int64_t rows, int64_t columns, int64_t vocabulary);
  void CrossEntropy(int64_t rows, int64_t vocabulary);
  // Where the table takes such a layer.
  void Attention(const AttentionKind& kind, const AttentionShape& shape);
  // Of the table of float alone.
  void AdamW(int64_t count);
  void Clipping(int64_t count);

 private:
  // Normal values; those of Floats are in float whatever the type.
  at::Tensor Random(at::IntArrayRef shape);
  at::Tensor Floats(at::IntArrayRef shape);
  at::Tensor Ids(int64_t count, int64_t limit);
  // The norm of the difference is within `slack` times what rounding to the type costs, of the norm expected.
  void ExpectClose(const char* what, const at::Tensor& x, const at::Tensor& expected, double slack = 1) const;

  const Kernels& kernels_;
  at::Device device_;
  at::ScalarType type_;
  at::Generator generator_;
};

}  // namespace sink::testing
