// What the trainer looks up in the library that holds NCCL's half of c10d (nccl_backend.cc), by dlopen and dlsym. Any
// thread.
#pragma once

#include <chrono>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace sink::train {

inline constexpr char kNcclLibrary[] = "libsink_nccl.so";  // beside the program
inline constexpr char kMakeNcclBackend[] = "SinkMakeNcclBackend";

// A backend that the caller owns one reference to. Waiting for one of its works blocks, and throws after the timeout.
using MakeNcclBackend = c10d::Backend* (*)(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                           std::chrono::milliseconds timeout);

}  // namespace sink::train
