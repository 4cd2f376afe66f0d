// A loader's rows as batches on a device. Reading ahead, the next batch is on its way while the device works on the
// last: page-locked memory, a copy on a queue of its own, no wait. Belongs to the training thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <exception>

#include "model/backend/device_queue.h"
#include "model/data/loader/loader.h"

namespace sink::train {

class BatchFeeder {
 public:
  // Batches are [rows, length + 1], length the loader's.
  BatchFeeder(data::Loader loader, int64_t rows, int64_t length, at::Device device, bool ahead);

  // The next batch, int64 on the device. DataError as the loader throws it, when its turn has come.
  at::Tensor Next();

  // Behind the last batch that Next returned, whatever has been read ahead.
  data::Cursor cursor() const { return cursor_; }
  void Seek(const data::Cursor& cursor);

 private:
  void Read();
  void ReadAhead();

  data::Loader loader_;
  const bool ahead_;
  data::Cursor cursor_;
  at::Tensor host_BT1_, device_BT1_;  // int32; the same memory for all batches
  SideQueue copies_;
  Milestone copied_, taken_;    // the last batch has reached the device; it has been taken from there
  bool has_read_ = false;       // what is in device_BT1_, or on its way there, has not been returned yet
  std::exception_ptr failure_;  // of reading the next one ahead
};

}  // namespace sink::train
