// One buffer of parameters, one of gradients, and their initial values.
#include "model/network/parameters.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "model/base/model_error.h"

namespace sink {
namespace {

int64_t Count(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

uint64_t Mix(uint64_t x) {  // the finaliser of SplitMix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t HashName(const std::string& name) {  // FNV-1a
  uint64_t hash = 0xcbf29ce484222325u;
  for (const unsigned char c : name) hash = (hash ^ c) * 0x100000001b3u;
  return hash;
}

// Uniform in (0, 1), never 0, from the top 53 bits.
double Uniform(uint64_t bits) { return (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53; }

// Elements 2i and 2i+1 are the two values of one Box-Muller pair.
void FillNormal(uint64_t key, double deviation, float* out, int64_t count) {
  const auto pairs = [&](int64_t first, int64_t last) {
    for (int64_t pair = first; pair < last; ++pair) {
      const uint64_t counter = static_cast<uint64_t>(pair) * 2;
      const double radius = deviation * std::sqrt(-2 * std::log(Uniform(Mix(key + counter * 0x9e3779b97f4a7c15u))));
      const double angle = 2 * std::numbers::pi * Uniform(Mix(key + (counter + 1) * 0x9e3779b97f4a7c15u));
      out[2 * pair] = static_cast<float>(radius * std::cos(angle));
      if (2 * pair + 1 < count) out[2 * pair + 1] = static_cast<float>(radius * std::sin(angle));
    }
  };
  at::parallel_for(0, (count + 1) / 2, 4096, pairs);
}

}  // namespace

ParameterBuffer::ParameterBuffer(std::vector<Entry> layout, at::Device device, at::ScalarType dtype, bool copies)
    : layout_(std::move(layout)) {
  int64_t total = 0;
  for (const Entry& entry : layout_) total += Count(entry.shape);
  const auto options = at::TensorOptions().device(device).dtype(dtype);
  values_ = at::empty({total}, options);
  gradients_ = at::zeros({total}, options);
  if (copies) copies_ = at::empty({total}, options.dtype(at::kBFloat16));
  int64_t offset = 0;
  for (const Entry& entry : layout_) {
    const int64_t count = Count(entry.shape);
    const auto view = [&](const at::Tensor& buffer) {
      return buffer.defined() ? buffer.narrow(0, offset, count).view(entry.shape) : at::Tensor();
    };
    list_.push_back({entry.name, view(values_), view(gradients_), view(copies_)});
    offset += count;
  }
}

ParameterBuffer ParameterBuffer::WithoutCopies() const {
  ParameterBuffer exact = *this;
  exact.copies_.reset();
  for (Parameter& parameter : exact.list_) parameter.copy.reset();
  return exact;
}

Weight ParameterBuffer::WeightOf(const std::string& first, int64_t count) const {
  return Stacked(copies_.defined() ? copies_ : values_, first, count);
}

Weight ParameterBuffer::ExactWeightOf(const std::string& first, int64_t count) const {
  return Stacked(values_, first, count);
}

Weight ParameterBuffer::Stacked(const at::Tensor& compute, const std::string& first, int64_t count) const {
  const auto found = std::find_if(list_.begin(), list_.end(), [&](const Parameter& p) { return p.name == first; });
  if (found == list_.end() || list_.end() - found < count) throw ModelError("no parameter " + first);
  std::vector<int64_t> shape = found->value.sizes().vec();
  for (auto next = found + 1; next != found + count; ++next) shape[0] += next->value.size(0);
  // All buffers begin at the start of their storage.
  const auto stacked = [&](const at::Tensor& buffer) {
    return buffer.narrow(0, found->value.storage_offset(), Count(shape)).view(shape);
  };
  return {stacked(compute).detach().requires_grad_(true), stacked(gradients_)};
}

void ParameterBuffer::Initialize(uint64_t seed) {
  const at::Tensor host = at::empty({values_.numel()}, at::TensorOptions().dtype(at::kFloat));
  float* out = host.mutable_data_ptr<float>();
  for (const Entry& entry : layout_) {
    const int64_t count = Count(entry.shape);
    if (entry.deviation == 0)
      std::fill(out, out + count, 1.0f);
    else
      FillNormal(Mix(seed ^ HashName(entry.name)), entry.deviation, out, count);
    out += count;
  }
  values_.copy_(host);
  RefreshCopies();
}

void ParameterBuffer::RefreshCopies() const {
  if (copies_.defined()) copies_.copy_(values_);
}

}  // namespace sink
