#define USE_C10D_NCCL
#include "model/train/ranks/nccl/nccl_backend.h"

#include <cstdlib>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

// A failed work must reach the training thread as an exception, which then names the rank that failed; by default
// c10d's own threads would end the process.
extern "C" c10d::Backend* SinkMakeNcclBackend(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                              std::chrono::milliseconds timeout) {
  setenv("TORCH_NCCL_BLOCKING_WAIT", "1", /*overwrite=*/1);
  setenv("TORCH_NCCL_ENABLE_MONITORING", "0", /*overwrite=*/1);
  const auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options).release();
}

static_assert(std::is_same_v<decltype(&SinkMakeNcclBackend), sink::train::MakeNcclBackend>);
