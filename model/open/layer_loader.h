// The layers of an open model one after another. Ahead, for a device that computes while its caller goes on: the next
// one is copied, by a thread and a queue of its own, while the one before is computed; not layers of experts, whose
// weights are read while they run. Otherwise each is loaded when it is asked for. One thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <future>
#include <string>

#include "model/backend/device_queue.h"
#include "model/open/layer.h"

namespace sink {

class LayerLoader {
 public:
  // Matrices that activations are multiplied with are of type `products`, float or bfloat16. The references must
  // outlive this object; nobody else may read the files while it lives, but for experts.
  LayerLoader(const WeightFiles& files, const OpenConfig& config, std::string prefix, at::Device device,
              at::ScalarType products, bool ahead);
  // Waits for what is being loaded.
  ~LayerLoader();

  // For n = 0, 1, ... in turn, when the work of the layer before is queued and its weights are given up.
  OpenLayer Take(int64_t n);

 private:
  OpenLayer Load(int64_t n) const;

  const WeightFiles& files_;
  const OpenConfig& config_;
  const std::string prefix_;
  const at::ScalarType products_;
  const at::Device device_;
  const bool ahead_of_use_;
  const SideQueue side_;
  OpenLayer taken_;  // last, while the next one is loaded
  std::future<OpenLayer> next_;
};

}  // namespace sink
