#include "model/train/learning/micro_batch.h"

#include <algorithm>
#include <utility>

#include "model/train/link/train_error.h"

namespace sink::train {
namespace {

// Before a recording: libraries set themselves up in the first passes, and the allocator finds its blocks.
constexpr int kRunsBefore = 3;

}  // namespace

std::vector<int64_t> MicroBatchSizes(int64_t sequences) {
  std::vector<int64_t> sizes;
  for (int64_t size = 1; size <= sequences; ++size)
    if (sequences % size == 0) sizes.push_back(size);
  return sizes;
}

int64_t LargestThatFits(const std::vector<int64_t>& sizes, const std::function<bool(int64_t size)>& fits) {
  int64_t largest = 0;
  for (const int64_t size : sizes) {
    if (!fits(size)) break;
    largest = size;
  }
  return largest;
}

int64_t PartsOf(int64_t sequences) {
  int64_t parts = std::min<int64_t>(sequences, 2);
  while (parts > 0 && sequences % parts != 0) ++parts;
  return parts;
}

int64_t RowsToMeasure(const TrainConfig& config, int64_t micro_batch_size) {
  return config.micro_batch_size > 0 ? micro_batch_size : std::min(micro_batch_size, TrainConfig().micro_batch_size);
}

Passes::Passes(Pass pass, Recorder record) : pass_(std::move(pass)), record_(std::move(record)) {}

void Passes::Run(const at::Tensor& batch_BT1, double scale, double weight, const at::Tensor& loss_sum,
                 const GradientsReady& ready) {
  const Kind kind{batch_BT1.sizes().vec(), scale, weight};
  if (ready || !Recorded(batch_BT1, kind, loss_sum)) return RunOnce(batch_BT1, kind, loss_sum, ready);
  input_BT1_.copy_(batch_BT1);
  recording_->Repeat();
}

bool Passes::Recorded(const at::Tensor& batch_BT1, const Kind& kind, const at::Tensor& loss_sum) {
  if (kind != kind_) {
    Forget();
    kind_ = kind;
  }
  if (recording_) return true;
  if (!can_record_ || runs_++ < kRunsBefore) return false;
  input_BT1_ = batch_BT1.clone();
  try {
    recording_ = record_([&] { RunOnce(input_BT1_, kind, loss_sum, nullptr); });
  } catch (const std::exception& e) {
    warning_ = "a micro-batch could not be recorded (" + Classify(e).message + "); its operations go on one by one";
  }
  can_record_ = recording_ != nullptr;
  return can_record_;
}

void Passes::RunOnce(const at::Tensor& batch_BT1, const Kind& kind, const at::Tensor& loss_sum,
                     const GradientsReady& ready) {
  loss_sum.add_(pass_(batch_BT1, kind.scale, ready), kind.weight);
}

bool Passes::Fits(const at::Tensor& batch_BT1, const at::Tensor& loss_sum, const std::function<void()>& beside) try {
  const Kind kind{batch_BT1.sizes().vec(), /*scale=*/0, /*weight=*/0};
  for (int run = 0; run < kRunsBefore; ++run) RunOnce(batch_BT1, kind, loss_sum, nullptr);
  std::unique_ptr<Recording> recording;
  try {
    recording = record_([&] { RunOnce(batch_BT1, kind, loss_sum, nullptr); });
  } catch (const std::exception& e) {
    if (IsOutOfMemory(e)) return false;  // else it cannot be recorded, of which the run will tell
  }
  beside();
  return true;
} catch (const std::exception& e) {
  if (!IsOutOfMemory(e)) throw;
  return false;
}

void Passes::Forget() {
  recording_.reset();
  input_BT1_.reset();
  runs_ = 0;
}

std::string Passes::TakeWarning() { return std::exchange(warning_, {}); }

}  // namespace sink::train
