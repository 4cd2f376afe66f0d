#include "model/train/measure/batch_feeder.h"

#include <ATen/ops/empty.h>

#include <utility>

namespace sink::train {

BatchFeeder::BatchFeeder(data::Loader loader, int64_t rows, int64_t length, at::Device device, bool ahead)
    : loader_(std::move(loader)),
      ahead_(ahead),
      cursor_(loader_.cursor()),
      host_BT1_(HostBuffer({rows, length + 1}, at::kInt, device)),
      device_BT1_(at::empty({rows, length + 1}, at::TensorOptions(device).dtype(at::kInt))),
      copies_(device),
      copied_(device),
      taken_(device) {
  taken_.Set();  // the device's memory may have been another tensor's, with which the current queue is not done yet
}

at::Tensor BatchFeeder::Next() {
  if (failure_) std::rethrow_exception(failure_);
  if (!has_read_) Read();
  has_read_ = false;
  cursor_ = loader_.cursor();
  copied_.Block();
  const at::Tensor batch_BT1 = device_BT1_.to(at::kLong);
  taken_.Set();
  if (ahead_) ReadAhead();
  return batch_BT1;
}

void BatchFeeder::Seek(const data::Cursor& cursor) {
  loader_.Seek(cursor);
  cursor_ = cursor;
  has_read_ = false;
  failure_ = nullptr;
}

void BatchFeeder::ReadAhead() {
  try {
    Read();
  } catch (...) {  // perhaps nobody asks for that batch
    failure_ = std::current_exception();
  }
}

void BatchFeeder::Read() {
  copied_.Await();  // the host's memory is free again
  loader_.Next(host_BT1_.size(0), host_BT1_.mutable_data_ptr<int32_t>());
  copies_.Run([this] {
    taken_.Block();
    device_BT1_.copy_(host_BT1_, /*non_blocking=*/true);
    copied_.Set();
  });
  has_read_ = true;
}

}  // namespace sink::train
