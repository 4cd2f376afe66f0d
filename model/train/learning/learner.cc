#include "model/train/learning/learner.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "model/backend/device.h"
#include "model/base/memory.h"
#include "model/network/operations.h"
#include "model/train/learning/learning_rate.h"
#include "model/train/link/train_error.h"

namespace sink::train {
namespace {

const JobConfig& Checked(const JobConfig& config, const Ranks* ranks) {
  const TrainConfig& train = config.train;
  const int64_t size = ranks == nullptr ? 1 : ranks->size(),
                share = std::max<int64_t>(train.micro_batch_size, 1) * size;
  if (train.global_batch_size % share != 0)
    throw UserError("train.global_batch_size: " + std::to_string(train.global_batch_size) +
                    " sequences cannot be shared out among " + std::to_string(size) + " ranks in micro-batches of " +
                    std::to_string(share / size) + "; make it a multiple of " + std::to_string(share) +
                    ", lower train.micro_batch_size or use fewer ranks");
  return config;
}

// The model must stay where it is.
Pass PassOf(Transformer& model, const TrainConfig& config) {
  return [&model, length = config.sequence_length, ignore = config.ignore_loss](
             const at::Tensor& batch_BT1, double scale, const GradientsReady& ready) {
    return model.LossAndGradients(batch_BT1.narrow(1, 0, length), batch_BT1.narrow(1, 1, length), scale, ignore, ready);
  };
}

// Of several ranks, whose last micro-batch of a step sends its gradients off and is not repeated, a recording would
// hold the memory of a pass beside that one's.
Passes::Recorder RecorderOf(at::Device device, const Ranks& ranks) {
  if (ranks.size() > 1) return [](const std::function<void()>&) { return nullptr; };
  return [device](const std::function<void()>& work) { return Record(device, work); };
}

// Waits for the device.
StepResult ResultOf(const BegunStep& begun) {
  const at::Tensor& numbers = begun.numbers.Await();
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

void ComputeTheSameEveryTime() {
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
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

Learner::Learner(const JobConfig& config, at::Device device, Ranks* ranks, Pass pass)
    : config_(Checked(config, ranks)),
      ranks_(ranks == nullptr ? alone_ : *ranks),
      model_(config.model, device, ComputeType(config.train.precision, device)),
      exact_(model_.copies().defined() ? std::optional(model_.Exact()) : std::nullopt),
      optimizer_(config.train, model_, PartOfRank(ranks_.rank())),
      going_(at::ones({}, model_.values().options())),
      loss_sum_(at::zeros({}, model_.values().options())),
      pass_(pass ? std::move(pass) : PassOf(model_, config.train)),
      passes_(pass_, RecorderOf(device, ranks_)),
      most_(ChooseMicroBatch(device)) {
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
  parts_ = 1;
  passes_.Forget();
}

Division Learner::division() const { return {chooses_size() ? micro_batch_size_ : 0, parts_}; }

void Learner::GoOnWith(const Division& division) {
  const int64_t before = division.sequences, share = config_.train.global_batch_size / ranks_.size();
  micro_batch_size_ = most_;
  if (chooses_size() && before > 0) {
    if (before <= most_ && share % before == 0)
      micro_batch_size_ = before;
    else
      warnings_.push_back("train.micro_batch_size auto: the run had micro-batches of " + std::to_string(before) +
                          " sequences, which these devices cannot have, and goes on with " + std::to_string(most_) +
                          ": the last digits of its results may differ");
  }
  parts_ = micro_batch_size_ % division.parts == 0 ? division.parts : 1;
  passes_.Forget();
}

void Learner::AgreeOnDivision() {
  if (ranks_.Sum({parts_ > 1 ? 1.0 : 0.0})[0] == 0 || parts_ > 1) return;
  parts_ = PartsOf(micro_batch_size_);
  passes_.Forget();
}

std::optional<StepResult> Learner::Step(int64_t step, const NextBatch& next_batch, double loss_limit) {
  const std::optional<BegunStep> begun = Begin(step, next_batch, loss_limit);
  return begun ? std::optional(Finish(*begun)) : std::nullopt;
}

std::optional<BegunStep> Learner::Begin(int64_t step, const NextBatch& next_batch, double loss_limit) {
  GradientSum sum(ranks_, model_.gradients());
  if (!RunMicroBatches(next_batch, sum)) return std::nullopt;
  sum.Finish();

  const at::NoGradGuard no_gradients;
  const at::Tensor sum_of_ranks = loss_sum_.to(at::kDouble);
  ranks_.BeginSum(sum_of_ranks);
  ranks_.Finish();
  const at::Tensor loss = sum_of_ranks / static_cast<double>(config_.train.global_batch_size / micro_batch_size_);
  const Clipping clipping = Clip(model_.gradients(), config_.train.max_gradient_norm);
  going_ = going_ * loss.isfinite().logical_and(loss.le(loss_limit)).logical_and(clipping.norm.isfinite());
  BegunStep begun{HostCopy(at::stack({loss, clipping.norm})), LearningRate(config_.train, step), loss_limit};
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

bool Learner::RunMicroBatches(const NextBatch& next_batch, GradientSum& sum) {
  const int64_t count = config_.train.global_batch_size / micro_batch_size_ / ranks_.size();
  bool sums_begun = false;
  const GradientsReady ready = [&](int64_t first) {
    sums_begun = true;
    sum.Ready(first);
  };
  std::vector<at::Tensor> batches;  // kept, to begin anew with
  for (int64_t micro = 0; micro < count; ++micro) {
    if (micro == 0) {
      model_.ZeroGradients();
      loss_sum_.zero_();
    }
    if (micro == static_cast<int64_t>(batches.size())) {
      const std::optional<at::Tensor> batch_BT1 = next_batch();
      if (!batch_BT1) return false;
      batches.push_back(*batch_BT1);
    }
    try {
      RunMicroBatch(batches[static_cast<size_t>(micro)], micro + 1 == count && ranks_.size() > 1 ? ready : nullptr);
    } catch (const std::exception& e) {
      if (!Halve(e, sums_begun)) throw;
      micro = -1;
    }
  }
  return true;
}

void Learner::RunMicroBatch(const at::Tensor& batch_BT1, const GradientsReady& ready) {
  const double share = static_cast<double>(micro_batch_size_) / static_cast<double>(config_.train.global_batch_size);
  const int64_t rows = batch_BT1.size(0), count = rows / parts_;
  const double weight = static_cast<double>(count) / static_cast<double>(rows);
  for (int64_t first = 0; first < rows; first += count)
    passes_.Run(batch_BT1.narrow(0, first, count), share * weight, weight, loss_sum_,
                first + count == rows ? ready : nullptr);
}

bool Learner::Halve(const std::exception& error, bool sums_begun) {
  if (parts_ > 1 || micro_batch_size_ < 2 || sums_begun || !IsOutOfMemory(error)) return false;
  parts_ = PartsOf(micro_batch_size_);
  passes_.Forget();
  warnings_.push_back("out of memory with micro-batches of " + std::to_string(micro_batch_size_) +
                      " sequences: each is run in " + std::to_string(parts_) +
                      " parts from now on, the step's batch stays the same (" + Classify(error).message + ")");
  return true;
}

int64_t Learner::ChooseMicroBatch(at::Device device) {
  if (config_.train.micro_batch_size > 0) return config_.train.micro_batch_size;
  const std::vector<int64_t> sizes = MicroBatchSizes(config_.train.global_batch_size / ranks_.size());
  const int64_t largest = LargestThatFits(sizes, [&](int64_t size) {
    return RefusesWhatDoesNotFit(device) ? Fits(size, device) : size <= TrainConfig().micro_batch_size;
  });
  // What fits everywhere: a size counts the ranks that can have it.
  std::vector<double> votes;
  for (const int64_t size : sizes) votes.push_back(size <= largest ? 1 : 0);
  votes = ranks_.Sum(votes);
  int64_t chosen = 0;
  for (size_t i = 0; i < sizes.size() && votes[i] == static_cast<double>(ranks_.size()); ++i) chosen = sizes[i];
  return std::max<int64_t>(chosen, 1);  // where nothing fits, the first step says so
}

// With what a run does beside a recorded pass: it measures, in float.
bool Learner::Fits(int64_t sequences, at::Device device) {
  const int64_t length = config_.train.sequence_length;
  const auto zeros = [&](int64_t rows) {
    return at::zeros({rows, length + 1}, at::TensorOptions(device).dtype(at::kLong));
  };
  return passes_.Fits(zeros(sequences), loss_sum_, [&] {
    const at::Tensor measured_BT1 = zeros(RowsToMeasure(config_.train, sequences));
    exact_model().Loss(measured_BT1.narrow(1, 0, length), measured_BT1.narrow(1, 1, length), config_.train.ignore_loss);
  });
}

std::vector<std::string> Learner::TakeWarnings() {
  if (std::string warning = passes_.TakeWarning(); !warning.empty()) warnings_.push_back(std::move(warning));
  return std::exchange(warnings_, {});
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
