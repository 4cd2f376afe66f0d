// See connection_limits.h.
#include "coordinator/core/connection_limits.h"

#include <algorithm>

namespace sink {
namespace {

constexpr double kSecondsToComeBack = 10;  // for all connections that an address may have, once they have come at once

}  // namespace

ConnectionLimits::ConnectionLimits(const ConnectionOptions& options)
    : total_(options.total), per_address_(std::max(1, std::min(options.per_address, options.total / 2))) {}

Rate ConnectionLimits::Address::rate() const { return {.per_second = most / kSecondsToComeBack, .burst = 1.0 * most}; }

ConnectionLimits::Verdict ConnectionLimits::Open(const std::string& address, bool local, int64_t now_ms) {
  if (open_ >= total_) return Verdict::kFull;
  Address& known = addresses_[address];
  known.most = local ? std::max(1, total_ / 2) : per_address_;
  const bool machine_full = local && local_open_ >= std::max(1, total_ / 4 * 3);
  if (known.open >= known.most || machine_full) return Verdict::kAddressFull;
  if (!known.handshakes.Take(known.rate(), 1, now_ms)) return Verdict::kAddressTooFast;
  ++known.open;
  ++open_;
  known.local += local;
  local_open_ += local;
  return Verdict::kTake;
}

void ConnectionLimits::Close(const std::string& address) {
  const auto known = addresses_.find(address);
  if (known == addresses_.end() || known->second.open == 0) return;
  --known->second.open;
  --open_;
  if (known->second.local <= known->second.open) return;  // one of another machine, as far as can be told
  --known->second.local;
  --local_open_;
}

bool ConnectionLimits::HasRoom(const std::string& address) const {
  const auto known = addresses_.find(address);
  return known == addresses_.end() || known->second.open < known->second.most;
}

bool ConnectionLimits::IsSlowEnough(const std::string& address, int64_t now_ms) {
  const auto known = addresses_.find(address);
  return known == addresses_.end() || known->second.handshakes.WaitMs(known->second.rate(), 1, now_ms) == 0;
}

void ConnectionLimits::Prune(int64_t now_ms) {
  absl::erase_if(addresses_, [now_ms](auto& entry) {
    Address& address = entry.second;
    return address.open == 0 && address.handshakes.IsFull(address.rate(), now_ms);
  });
}

}  // namespace sink
