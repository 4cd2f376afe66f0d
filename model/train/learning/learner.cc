#include "model/train/learning/learner.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <malloc.h>

#include <cmath>
#include <string>

#include "model/backend/device.h"
#include "model/base/memory.h"
#include "model/network/operations.h"
#include "model/train/learning/learning_rate.h"
#include "model/train/link/train_error.h"
#include "model/train/ranks/gradient_sum.h"

namespace sink::train {
namespace {

const JobConfig& Checked(const JobConfig& config, const Ranks* ranks) {
  const TrainConfig& train = config.train;
  const int64_t size = ranks == nullptr ? 1 : ranks->size(), share = train.micro_batch_size * size;
  if (train.global_batch_size % share != 0)
    throw UserError("train.global_batch_size: " + std::to_string(train.global_batch_size) +
                    " sequences cannot be shared out among " + std::to_string(size) + " ranks in micro-batches of " +
                    std::to_string(train.micro_batch_size) + "; make it a multiple of " + std::to_string(share) +
                    ", lower train.micro_batch_size or use fewer ranks");
  return config;
}

// Waits for the device.
StepResult ResultOf(const BegunStep& begun) {
  const at::Tensor numbers = begun.numbers.cpu();
  StepResult result{.loss = numbers.const_data_ptr<double>()[0],
                    .gradient_norm = numbers.const_data_ptr<double>()[1],
                    .learning_rate = begun.learning_rate};
  result.diverged =
      !std::isfinite(result.loss) || !std::isfinite(result.gradient_norm) || result.loss > begun.loss_limit;
  return result;
}

}  // namespace

void PrepareProcess(int threads) {
  at::set_num_threads(threads);
  KeepFreedMemory();
  mallopt(M_TOP_PAD, 64 << 20);
}

at::ScalarType ComputeType(Precision precision, at::Device device) {
  switch (precision) {
    case Precision::kFp32:
      return at::kFloat;
    case Precision::kBf16:
      return at::kBFloat16;
    case Precision::kAuto:
      break;
  }
  return FastType(device);
}

Learner::Learner(const JobConfig& config, at::Device device, Ranks* ranks)
    : config_(Checked(config, ranks)),
      ranks_(ranks == nullptr ? alone_ : *ranks),
      model_(config.model, device, ComputeType(config.train.precision, device)),
      optimizer_(config.train, model_, PartOfRank(ranks_.rank())),
      going_(at::ones({}, model_.values().options())) {
  if (model_.copies().defined()) exact_.emplace(model_.Exact());
  Reset();
}

Part Learner::PartOfRank(int rank) const {
  return sharded() ? PartOf(config_.train, model_, rank, ranks_.size()) : WholeOf(model_);
}

void Learner::Reset() {
  const auto seed = static_cast<uint64_t>(config_.train.seed);
  at::manual_seed(seed);  // LibTorch starts from a random one
  model_.Initialize(seed);
  for (const at::Tensor& tensor : optimizer_.StateOf(optimizer_.part())) tensor.zero_();
}

std::optional<StepResult> Learner::Step(int64_t step, const NextBatch& next_batch, double loss_limit) {
  const std::optional<BegunStep> begun = Begin(step, next_batch, loss_limit);
  return begun ? std::optional(Finish(*begun)) : std::nullopt;
}

std::optional<BegunStep> Learner::Begin(int64_t step, const NextBatch& next_batch, double loss_limit) {
  const int64_t all_micro_batches = AccumulationSteps(config_.train), micro_batches = all_micro_batches / ranks_.size();
  const int64_t length = config_.train.sequence_length;
  const double share = 1.0 / static_cast<double>(all_micro_batches);
  GradientSum sum(ranks_, model_.gradients());
  const GradientsReady ready = [&](int64_t first) { sum.Ready(first); };
  model_.ZeroGradients();
  at::Tensor loss_sum;
  for (int64_t micro = 0; micro < micro_batches; ++micro) {
    const std::optional<at::Tensor> batch_BT1 = next_batch();
    if (!batch_BT1) return std::nullopt;
    const at::Tensor tokens_BT = batch_BT1->narrow(1, 0, length);
    const at::Tensor targets_BT = batch_BT1->narrow(1, 1, length);
    const bool last = micro + 1 == micro_batches;
    const at::Tensor loss =
        model_.LossAndGradients(tokens_BT, targets_BT, share, config_.train.ignore_loss, last ? ready : nullptr);
    loss_sum = loss_sum.defined() ? loss_sum.add(loss) : loss;
  }
  sum.Finish();

  const at::NoGradGuard no_gradients;
  const at::Tensor sum_of_ranks = loss_sum.to(at::kDouble);
  ranks_.BeginSum(sum_of_ranks);
  ranks_.Finish();
  const at::Tensor loss = sum_of_ranks / static_cast<double>(all_micro_batches);
  const Clipping clipping = Clip(model_.gradients(), config_.train.max_gradient_norm);
  going_ = going_ * loss.isfinite().logical_and(loss.le(loss_limit)).logical_and(clipping.norm.isfinite());
  const BegunStep begun{at::stack({loss, clipping.norm}), LearningRate(config_.train, step), loss_limit};
  if (!optimizer_.can_skip() && ResultOf(begun).diverged) return begun;
  optimizer_.Update(step, begun.learning_rate, clipping.scale * going_);
  if (sharded()) {
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      const Part part = PartOfRank(rank);
      ranks_.BeginBroadcast(model_.values().narrow(0, part.begin, part.end - part.begin), rank);
    }
    ranks_.Finish();
    model_.RefreshCopies();
  }
  return begun;
}

StepResult Learner::Finish(const BegunStep& begun) {
  const StepResult result = ResultOf(begun);
  if (result.diverged) going_ = at::ones_like(going_);
  return result;
}

std::shared_ptr<Optimizer> Learner::WholeOptimizer() {
  if (sharded() && ranks_.first()) return std::make_shared<Optimizer>(config_.train, model_, WholeOf(model_));
  return {std::shared_ptr<Optimizer>(), &optimizer_};
}

void Learner::Gather(Optimizer& whole) {
  if (sharded()) MoveParts(whole, /*to_first=*/true);
}

void Learner::Scatter(Optimizer& whole) {
  ranks_.Broadcast(model_.values());
  model_.RefreshCopies();
  if (sharded()) return MoveParts(whole, /*to_first=*/false);
  for (const at::Tensor& tensor : optimizer_.StateOf(optimizer_.part())) ranks_.Broadcast(tensor);
}

void Learner::MoveParts(Optimizer& whole, bool to_first) {
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    const std::vector<at::Tensor> own = optimizer_.StateOf(PartOfRank(rank)), all = whole.StateOf(PartOfRank(rank));
    for (size_t i = 0; i < all.size(); ++i) {
      if (ranks_.first() && rank == 0)
        to_first ? all[i].copy_(own[i]) : own[i].copy_(all[i]);
      else if (ranks_.first())
        to_first ? ranks_.Receive(all[i], rank) : ranks_.Send(all[i], rank);
      else if (rank == ranks_.rank())
        to_first ? ranks_.Send(own[i], 0) : ranks_.Receive(own[i], 0);
    }
  }
}

}  // namespace sink::train
