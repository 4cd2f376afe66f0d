// See domain_mix.h.
#include "model/data/loader/domain_mix.h"

#include <algorithm>
#include <cmath>

#include "model/data/loader/loader.h"
#include "model/data/loader/random_order.h"

namespace sink::data {
namespace {

constexpr uint64_t kPurpose = 0x6d6978;  // what this file's hashes are for

}  // namespace

DomainMix::DomainMix(const std::vector<double>& weights, uint64_t seed) : shares_(weights), seed_(seed) {
  double sum = 0;
  for (const double weight : weights) sum += weight;
  for (double& share : shares_) share /= sum;
  largest_ = std::max_element(shares_.begin(), shares_.end()) - shares_.begin();
}

// Every domain but the largest has floor(n * share), which never falls as n grows; the largest has the rest. In a block
// that rest grows, too: its share is at least 1 / kMaxDomains, so 128 positions, and the others' rounding up takes at
// most one each.
int64_t DomainMix::CountOf(size_t domain, int64_t n) const {
  const auto floor_of = [&](size_t d) { return static_cast<int64_t>(std::floor(static_cast<double>(n) * shares_[d])); };
  if (domain != largest_) return floor_of(domain);
  int64_t rest = n;
  for (size_t d = 0; d < shares_.size(); ++d) rest -= d == largest_ ? 0 : floor_of(d);
  return rest;
}

std::pair<size_t, int64_t> DomainMix::At(int64_t position) const {
  const int64_t block = position / kMixBlock;
  auto slot = static_cast<int64_t>(
      Permute(position % kMixBlock, kMixBlock, HashOf({kPurpose, seed_, static_cast<uint64_t>(block)})));
  for (size_t domain = 0;; ++domain) {
    const int64_t before = CountOf(domain, block * kMixBlock);
    const int64_t here = CountOf(domain, (block + 1) * kMixBlock) - before;
    if (slot < here) return {domain, before + slot};
    slot -= here;
  }
}

}  // namespace sink::data
