// How many connections an address may have, and how fast it may open them: before the handshake nothing else is known
// of whoever connects, and each handshake costs a signature. Time is passed in; one thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "coordinator/core/token_bucket.h"

namespace sink {

struct ConnectionOptions {
  int total = 0;        // of all addresses
  int per_address = 0;  // at most half of the total, so that one address cannot keep the others out
};

class ConnectionLimits {
 public:
  enum class Verdict {
    kTake,
    kFull,            // all addresses together have as many as there may be
    kAddressFull,     // this one has
    kAddressTooFast,  // it opens them faster than it may; after a restart all of its own may come at once
  };

  explicit ConnectionLimits(const ConnectionOptions& options);

  // Somebody connects from `address`; `local`: from this machine, each of whose addresses may have half of the total,
  // and all of them (127.0.0.2, 127.0.0.3, ...) three quarters. Counts it when it is taken, until Close.
  Verdict Open(const std::string& address, bool local, int64_t now_ms);
  void Close(const std::string& address);
  // What Open decides by, once the reason for which it has refused is gone: whether the address has fewer connections
  // than it may, and whether it does not come too fast.
  bool HasRoom(const std::string& address) const;
  bool IsSlowEnough(const std::string& address, int64_t now_ms);
  // Forgets addresses of which nothing is left to know.
  void Prune(int64_t now_ms);

  int open() const { return open_; }
  size_t addresses() const { return addresses_.size(); }  // that are remembered

 private:
  struct Address {
    int most = 0;  // connections at once
    int open = 0;
    int local = 0;  // of these; a network of IPv6 may have this machine and others
    TokenBucket handshakes;

    Rate rate() const;
  };

  const int total_, per_address_;
  int open_ = 0, local_open_ = 0;
  absl::flat_hash_map<std::string, Address> addresses_;
};

}  // namespace sink
