// The processes of one data-parallel run, as one of them sees the others: what they send each other, by c10d (Gloo
// between CPUs, NCCL between GPUs), and who failed when one does. A process that is alone has no process group, and
// everything here is then trivial.
// Functions are collective where they are not marked otherwise: all ranks call the same ones in the same order.
// InfraError names the rank that failed. Belongs to the training thread, and to the thread of its backward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "model/train/ranks/rank_world.h"

namespace sink::train {

class Ranks {
 public:
  Ranks();  // alone
  // Meets the others, and calls `idle` now and then while it waits for them; tensors that travel are on `device`.
  Ranks(
      const RankWorld& world, at::Device device, const std::function<void()>& idle = [] {});
  // Without Leave() before, tells the others that this rank failed.
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  // Not collective.
  int rank() const { return world_.rank; }
  int size() const { return world_.size; }
  bool first() const { return world_.rank == 0; }

  // Begun at once, one behind the other, while the caller goes on; Finish waits for all of them. Dense tensors on the
  // device, which hold the sum over the ranks, or rank `from`'s values, afterwards: the same bits on every rank.
  void BeginSum(const at::Tensor& tensor);
  void BeginBroadcast(const at::Tensor& tensor, int from);
  void Finish();

  // Rank 0's values to all; any device.
  void Broadcast(const at::Tensor& tensor);

  // Sums of a few values over the ranks.
  std::vector<double> Sum(const std::vector<double>& values);

  // From one rank to another. Called by those two only.
  void Send(const at::Tensor& tensor, int to);
  void Receive(const at::Tensor& tensor, int from);

  // Rank 0 works while the others wait, for as long as it takes, and call `idle` now and then. Its result, on every
  // rank.
  bool OnFirst(const std::function<bool()>& work, const std::function<void()>& idle);

  // The run has ended well: the last thing that ranks do together.
  void Leave();

 private:
  struct Group;
  // Runs what talks to the others, and finds the culprit when it fails.
  template <typename Talk>
  void Try(const Talk& talk);

  const RankWorld world_;
  const std::unique_ptr<Group> group_;  // nothing when alone
  int64_t works_ = 0;                   // of OnFirst
  bool left_ = false;
};

}  // namespace sink::train
