// How the ranks of a run meet, and who is to blame when they cannot go on. They share a key-value store, c10d's
// TCPStore, which lives in rank 0; every key starts with the run's token. In it each rank shows twice a second that it
// is alive and how many collectives it has begun. When a collective fails somewhere, its connections break one after
// the other; the first rank that has found the cause writes it down, and all report that one. Belongs to the training
// thread, but for the thread inside, which has its own connection.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "model/train/ranks/rank_world.h"

namespace sink::train {

class RankWatch {
 public:
  // Returns when all ranks have come, and calls `idle` now and then until they have. InfraError names those that have
  // not: rank 0 within world.patience (rendezvous.h), the others within world.timeout after that.
  RankWatch(const RankWorld& world, const std::function<void()>& idle);
  // Rank 0 stays until the others have read what they need, 10 s at most.
  ~RankWatch();

  const c10::intrusive_ptr<c10d::Store>& store() const { return store_; }

  void CountCollective() { ++collectives_; }

  // Rank 0 says that its n-th piece of work alone is done, with its result; the others wait for that and call `idle`.
  void Done(int64_t n, bool result);
  bool AwaitDone(int64_t n, const std::function<void()>& idle);

  // After something that needs the others went wrong: InfraError with the rank that failed and the symptom.
  [[noreturn]] void Blame(const std::string& symptom);

  // This rank ends early, for a reason of its own. Does nothing when there is a cause already. Never throws.
  void Announce() noexcept;

 private:
  // The sign of life that a rank showed last.
  struct Heartbeat {
    int64_t beats = 0, collectives = 0;  // since the run began
  };

  void Meet(const std::function<void()>& idle) const;
  void Beat(c10d::Store& store);
  std::vector<Heartbeat> LastHeartbeats() const;  // by rank; zeros for one that has shown none
  std::string Announced() const;
  std::string FindCulprit() const;
  void AwaitOthers() const;
  void SayGoodbye() const;
  // This rank fails because others have.
  [[noreturn]] void ThrowSeen(const std::string& cause, const std::string& symptom = "") const;
  std::string Name(int rank) const;
  std::string Name(const std::vector<int>& ranks) const;

  const RankWorld world_;
  c10::intrusive_ptr<c10d::Store> store_;
  std::atomic<int64_t> collectives_ = 0;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool ending_ = false;  // under mutex_
  std::thread beating_;
};

}  // namespace sink::train
