#include "model/train/learning/micro_batch.h"

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

void Passes::Forget() {
  recording_.reset();
  runs_ = 0;
}

std::string Passes::TakeWarning() { return std::exchange(warning_, {}); }

}  // namespace sink::train
