// Takes connections and hands them to gRPC, which has no hook before the handshake and, in the version that Debian
// ships, stops taking any for good once descriptors were short. Here an address has a share, what is beyond it is
// closed at once, and a shortage passes. Strangers have a share too, all together (core/connection_owners.h): beyond it
// the oldest of their connections makes room for the next, as it does where an address has as many as it may, so that
// however many come, whoever shows at once who it is gets in, and who has shown it stays. Whoever is taken pays nothing
// for it: the bytes never come through here.
//
// Owned by the server; a thread of its own does it all. Counters may be read from any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/core/connection_limits.h"
#include "coordinator/core/connection_owners.h"
#include "coordinator/service/families.h"
#include "proto/files/descriptor.h"

namespace sink {

class AcceptLoop {
 public:
  // Owns the descriptor from then on. `open`: how many connections there are, this one among them.
  using Take = std::function<void(int fd, int open)>;

  // `owners` outlives it, is told of each connection that opens or closes, and says which are strangers'.
  AcceptLoop(std::vector<files::Fd> listeners, const ConnectionOptions& limits, ConnectionOwners* owners, Take take);
  // Takes no more; those that were taken stay.
  ~AcceptLoop();
  AcceptLoop(const AcceptLoop&) = delete;
  AcceptLoop& operator=(const AcceptLoop&) = delete;

  int open() const { return open_; }  // a second old at most
  uint64_t refused() const;           // or closed to make room
  void AddSeries(Families* families) const;

 private:
  enum Reason : size_t { kTotal, kAddress, kTooFast, kDescriptors, kStranger, kReasons };
  struct Connection {
    std::string address;
    uint64_t inode = 0;  // of the socket: another one may have its number by now
    std::string peer;    // and its number, as ConnectionOwners knows it
    uint64_t number = 0;
  };

  void Run();
  // One connection; false when none waits, or none can be had for now.
  bool AcceptOne(int listener);
  // None: it is taken, and counted.
  std::optional<Reason> WhyNot(const std::string& address, bool local);
  void Refuse(files::Fd fd, Reason reason, const std::string& address);
  void Say(Reason reason, const std::string& address);
  // So that another one can have its place. Of this address, where one is named. False: there is none, or gRPC has yet
  // to close many, which have their descriptors until then.
  bool CloseOldestStranger(const std::string& address = "");
  void Forget(const Connection& connection);
  void ShedOne(int listener);
  void ForgetClosed();

  const std::vector<files::Fd> listeners_;
  ConnectionOwners* const owners_;
  const Take take_;
  files::Fd wake_;   // an eventfd: the loop must end
  files::Fd spare_;  // given up to refuse somebody when there is no other descriptor

  // Of the loop's thread.
  ConnectionLimits limits_;
  absl::flat_hash_map<int, Connection> connections_;  // by descriptor
  absl::flat_hash_map<uint64_t, int> descriptors_;    // by the connection's number
  std::vector<std::pair<int, uint64_t>> closing_;     // descriptors and inodes of connections that make room
  int64_t looked_ms_ = 0;                             // for those that have closed
  int64_t said_ms_ = 0;                               // that somebody was refused
  uint64_t said_refused_ = 0;

  std::atomic<int> open_ = 0;
  std::array<std::atomic<uint64_t>, kReasons> refused_ = {};
  std::thread thread_;
};

// As many connections as the limit of open files leaves room for, beside what the coordinator opens itself.
int MostConnections();
// How many descriptors are open, of any kind, and how many may be.
void AddDescriptors(Families* families);

}  // namespace sink
