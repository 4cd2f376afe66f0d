// Which jobs can start now, and on which devices: the scheduler, without rows or clocks. Jobs are offered in the order
// of the queue. One starts with all its devices or waits with none, so that no two half-placed gangs can wait for each
// other. The first that must wait gets a reservation: a set of nodes and the time at which their running jobs will have
// left room for it. Later jobs may run on what is free as long as they do not delay that start (backfill: Lifka, "The
// ANL/IBM SP scheduling system", 1995), so nothing starves as long as jobs end. The same nodes, jobs and order give the
// same placements. A value that belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace sink {

// A worker, as far as placing goes. Times are of the steady clock.
struct Node {
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  struct Running {
    int devices = 0;
    int64_t ends_ms = kNever;  // at the latest; kNever: it has no limit
  };

  std::string device_kind;  // the ranks of a gang run on one kind
  int devices = 0;
  int free = 0;
  std::vector<Running> running;
};

// What a job needs: `devices` in groups of `per_worker`, which divides it; each group on one node.
struct Wanted {
  int devices = 1;
  int per_worker = 1;
  int64_t max_time_ms = 0;  // of one attempt; 0: no limit
  std::vector<bool> nodes;  // which of them it may use; empty: all
};

// So many devices of one node.
struct Share {
  size_t node = 0;
  int devices = 0;

  bool operator==(const Share&) const = default;
};

class Placer {
 public:
  Placer(std::vector<Node> nodes, int64_t now_ms);

  // The job's shares, taken from what is free; empty when it must wait. A job that fits on node `preferred` goes there;
  // the first share of a gang is there where it has one there at all.
  std::vector<Share> Place(const Wanted& wanted, size_t preferred);

 private:
  using Devices = std::vector<int>;  // of each node
  // Shares out of `available`, or none. No preference where `preferred` is no node.
  std::vector<Share> Fit(const Wanted& wanted, const Devices& available, size_t preferred) const;
  std::vector<Share> FitOnKind(const Wanted& wanted, const Devices& available, size_t preferred,
                               const std::string& kind) const;
  // By a job that ends then at the latest.
  Devices Usable(int64_t ends_ms) const;
  Devices FreeAt(int64_t time_ms) const;
  void Reserve(const Wanted& wanted);

  std::vector<Node> nodes_;
  const int64_t now_ms_;
  bool reserved_ = false;
  int64_t reserved_ms_ = 0;  // when the job that waits can start
  Devices spare_;            // beyond what it needs then
};

}  // namespace sink
