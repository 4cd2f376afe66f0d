#include "model/train/learner.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <malloc.h>

#include <cmath>
#include <string>

#include "model/ops.h"
#include "model/train/error.h"
#include "model/train/schedule.h"

namespace sink::train {
namespace {

const JobConfig& Checked(const JobConfig& config, at::Device device) {
  if (config.train.precision == "bf16")
    throw UserError("train.precision: bf16 is not available on " + device.str() + "; use \"fp32\" or \"auto\"");
  return config;
}

}  // namespace

void PrepareProcess(int threads) {
  at::set_num_threads(threads);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest that glibc takes
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, 64 << 20);
}

Learner::Learner(const JobConfig& config, at::Device device)
    : config_(Checked(config, device)), model_(config.model, device), optimizer_(config.train, model_) {
  Reset();
}

void Learner::Reset() {
  const auto seed = static_cast<uint64_t>(config_.train.seed);
  at::manual_seed(seed);  // LibTorch starts from a random one
  model_.Initialize(seed);
  for (auto& [name, tensor] : optimizer_.State()) tensor.zero_();
}

std::optional<StepResult> Learner::Step(int64_t step, const NextBatch& next_batch, double loss_limit) {
  const int64_t micro_batches = AccumulationSteps(config_.train);
  const int64_t length = config_.train.sequence_length;
  model_.ZeroGradients();
  at::Tensor loss_sum;
  for (int64_t micro = 0; micro < micro_batches; ++micro) {
    const std::optional<at::Tensor> batch_BT1 = next_batch();
    if (!batch_BT1) return std::nullopt;
    const at::Tensor tokens_BT = batch_BT1->narrow(1, 0, length);
    const at::Tensor targets_BT = batch_BT1->narrow(1, 1, length);
    const at::Tensor loss = model_.LossAndGradients(tokens_BT, targets_BT, 1.0 / static_cast<double>(micro_batches),
                                                    config_.train.ignore_loss);
    loss_sum = loss_sum.defined() ? loss_sum.add(loss) : loss;
  }

  StepResult result{.loss = loss_sum.item<double>() / static_cast<double>(micro_batches),
                    .gradient_norm = Norm(model_.gradients()),
                    .learning_rate = LearningRate(config_.train, step)};
  result.diverged = !std::isfinite(result.loss) || !std::isfinite(result.gradient_norm) || result.loss > loss_limit;
  if (result.diverged) return result;
  const double norm = result.gradient_norm, max_norm = config_.train.max_gradient_norm;
  const double scale = max_norm > 0 && norm > max_norm ? max_norm / (norm + 1e-6) : 1.0;
  optimizer_.Update(step, result.learning_rate, scale);
  return result;
}

}  // namespace sink::train
