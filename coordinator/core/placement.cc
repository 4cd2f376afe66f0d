#include "coordinator/core/placement.h"

#include <algorithm>
#include <set>
#include <utility>

namespace sink {

Placer::Placer(std::vector<Node> nodes, int64_t now_ms) : nodes_(std::move(nodes)), now_ms_(now_ms) {}

std::vector<Share> Placer::Place(const Wanted& wanted, size_t preferred) {
  const int64_t ends_ms = wanted.max_time_ms > 0 ? now_ms_ + wanted.max_time_ms : Node::kNever;
  const std::vector<Share> shares = Fit(wanted, Usable(ends_ms), preferred);
  if (shares.empty() && !reserved_) Reserve(wanted);
  for (const Share& share : shares) {
    Node& node = nodes_[share.node];
    node.free -= share.devices;
    node.running.push_back({share.devices, ends_ms});
    if (reserved_ && ends_ms > reserved_ms_) spare_[share.node] -= share.devices;
  }
  return shares;
}

Placer::Devices Placer::Usable(int64_t ends_ms) const {
  Devices usable(nodes_.size());
  for (size_t n = 0; n < nodes_.size(); ++n) {
    usable[n] = nodes_[n].free;
    if (reserved_ && ends_ms > reserved_ms_) usable[n] = std::min(usable[n], spare_[n]);
  }
  return usable;
}

Placer::Devices Placer::FreeAt(int64_t time_ms) const {
  Devices free(nodes_.size());
  for (size_t n = 0; n < nodes_.size(); ++n) {
    free[n] = nodes_[n].free;
    for (const Node::Running& running : nodes_[n].running)
      if (running.ends_ms <= time_ms) free[n] += running.devices;
  }
  return free;
}

void Placer::Reserve(const Wanted& wanted) {
  std::set<int64_t> ends;
  for (const Node& node : nodes_)
    for (const Node::Running& running : node.running) ends.insert(running.ends_ms);
  for (const int64_t time_ms : ends) {
    Devices free = FreeAt(time_ms);
    const std::vector<Share> shares = Fit(wanted, free, nodes_.size());
    if (shares.empty()) continue;
    for (const Share& share : shares) free[share.node] -= share.devices;
    reserved_ = true;
    // A job without a limit ends some day, but not before any other: against such a reservation every job counts as
    // one that stays.
    reserved_ms_ = time_ms == Node::kNever ? now_ms_ : time_ms;
    spare_ = std::move(free);
    return;
  }
}

std::vector<Share> Placer::Fit(const Wanted& wanted, const Devices& available, size_t preferred) const {
  std::set<std::string> kinds;
  for (const Node& node : nodes_) kinds.insert(node.device_kind);
  if (preferred < nodes_.size()) {
    if (auto shares = FitOnKind(wanted, available, preferred, nodes_[preferred].device_kind); !shares.empty())
      return shares;
  }
  for (const std::string& kind : kinds)
    if (auto shares = FitOnKind(wanted, available, preferred, kind); !shares.empty()) return shares;
  return {};
}

std::vector<Share> Placer::FitOnKind(const Wanted& wanted, const Devices& available, size_t preferred,
                                     const std::string& kind) const {
  std::vector<size_t> order;
  const auto allowed = [&](size_t n) { return wanted.nodes.empty() || wanted.nodes[n]; };
  for (size_t n = 0; n < nodes_.size(); ++n)
    if (allowed(n) && nodes_[n].device_kind == kind && available[n] >= wanted.per_worker) order.push_back(n);
  // The preferred node where it has room. Then, of one group, the node that lacks least, and of those the tightest; of
  // several groups, as few nodes as possible, and those where most is free. What is chosen for a reservation so gets
  // more free, and nothing less.
  const bool one_group = wanted.devices == wanted.per_worker;
  const auto lacks = [&](size_t n) { return std::max(0, wanted.devices - nodes_[n].free); };
  const auto groups = [&](size_t n) { return available[n] / wanted.per_worker; };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if ((a == preferred) != (b == preferred)) return a == preferred;
    if (one_group) return std::pair(lacks(a), available[a]) < std::pair(lacks(b), available[b]);
    return std::pair(groups(a), nodes_[a].free) > std::pair(groups(b), nodes_[b].free);
  });
  std::vector<Share> shares;
  int missing = wanted.devices;
  for (const size_t n : order) {
    if (missing == 0) break;
    const int devices = std::min(missing, available[n] / wanted.per_worker * wanted.per_worker);
    shares.push_back({n, devices});
    missing -= devices;
  }
  return missing == 0 ? shares : std::vector<Share>();
}

}  // namespace sink
