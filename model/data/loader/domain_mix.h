// Deals a sequence of positions out to domains in the ratio of their weights. Immutable after construction; pure; any
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace sink::data {

class DomainMix {
 public:
  // Weights that are not negative and, if there are any, not all 0; at most kMaxDomains (loader.h).
  DomainMix(const std::vector<double>& weights, uint64_t seed);

  // The domain of a position (not negative), and how many positions before it, in the order of the shuffle, that domain
  // had. Positions give every (domain, 0, 1, 2, ...) exactly once.
  std::pair<size_t, int64_t> At(int64_t position) const;

 private:
  // How many of the first n positions, whole blocks, belong to a domain.
  int64_t CountOf(size_t domain, int64_t n) const;

  std::vector<double> shares_;  // sum 1
  size_t largest_ = 0;          // the domain that takes what rounding leaves
  uint64_t seed_;
};

}  // namespace sink::data
