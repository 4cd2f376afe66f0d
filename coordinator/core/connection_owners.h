// Whose each open connection is. Whoever connects is a stranger until a call over the connection has shown that it is a
// worker's, a user's or a program's: strangers have a share of the connections, and each of the others has one. Owned
// by the server; any thread. No lock is held for longer than it takes to look into a table: each call of a worker asks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "coordinator/job/mutex.h"

namespace sink {

class ConnectionOwners {
 public:
  // Of `total` connections strangers may have half, and each principal a quarter: they may come from many addresses.
  explicit ConnectionOwners(int total);

  // Somebody has connected from `peer`, "10.0.0.7:51234", which is of `address`, of IPv6 a network. The number is this
  // connection's, from then on, and higher than those before: another one may come from there before it is known that
  // this one is closed.
  uint64_t Open(const std::string& peer, const std::string& address) ABSL_LOCKS_EXCLUDED(mutex_);
  void Close(const std::string& peer, uint64_t connection) ABSL_LOCKS_EXCLUDED(mutex_);

  // A call from `peer` is the principal's. RESOURCE_EXHAUSTED: it has as many connections as it may; this one stays a
  // stranger's. One that is not known here has just been closed, and its call is answered to nobody: OK.
  absl::Status Claim(const std::string& peer, const std::string& principal) ABSL_LOCKS_EXCLUDED(mutex_);

  // Forgets the oldest stranger's connection (of this address), which is about to be closed: its number. None: no
  // stranger has any.
  std::optional<uint64_t> TakeOldestStranger() ABSL_LOCKS_EXCLUDED(mutex_);
  std::optional<uint64_t> TakeOldestStranger(const std::string& address) ABSL_LOCKS_EXCLUDED(mutex_);
  int strangers() const ABSL_LOCKS_EXCLUDED(mutex_);  // connections of theirs
  bool StrangersHaveTheirShare() const { return strangers() >= most_of_strangers_; }

 private:
  struct Connection {
    uint64_t number = 0;
    std::string address;
    std::string owner;  // empty: a stranger
  };
  // It is nobody's, not even a stranger's.
  void Disown(const Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(uint64_t stranger) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int most_of_strangers_, most_of_principal_;
  mutable Mutex mutex_;
  uint64_t numbers_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::string> strangers_ ABSL_GUARDED_BY(mutex_);  // peers by number, the oldest first
  absl::flat_hash_map<std::string, std::set<uint64_t>> strangers_of_ ABSL_GUARDED_BY(mutex_);  // by address; none empty
  absl::flat_hash_map<std::string, Connection> connections_ ABSL_GUARDED_BY(mutex_);           // by peer
  absl::flat_hash_map<std::string, int> owned_ ABSL_GUARDED_BY(mutex_);  // by principal; none is 0
};

}  // namespace sink
