#include "model/open/layer_loader.h"

#include <ATen/core/grad_mode.h>

#include <memory>
#include <utility>

namespace sink {

LayerLoader::LayerLoader(const WeightFiles& files, const OpenConfig& config, std::string prefix, at::Device device,
                         at::ScalarType products, bool ahead)
    : files_(files),
      config_(config),
      prefix_(std::move(prefix)),
      products_(products),
      device_(device),
      ahead_of_use_(ahead && config.expert_kind == ExpertKind::kNone),
      side_(device) {}

LayerLoader::~LayerLoader() {
  if (next_.valid()) next_.wait();
}

OpenLayer LayerLoader::Load(int64_t n) const {
  OpenLayer layer = LoadLayer(files_, config_, prefix_, n);
  SetProductType(products_, &layer);
  return layer;
}

OpenLayer LayerLoader::Take(int64_t n) {
  OpenLayer layer = next_.valid() ? next_.get() : Load(n);
  if (!ahead_of_use_ || n + 1 == config_.layers) return layer;
  // The memory of the layer before is written again, so not before that layer's work is done. It is given up here
  // alone: the caller's handle may go while the next layer is being loaded, before the work that reads it is even
  // queued.
  const auto used = std::make_shared<Milestone>(device_);
  used->Set();
  taken_ = layer;
  next_ = std::async(std::launch::async, [this, n, used] {
    const at::NoGradGuard no_gradients;
    OpenLayer next;
    side_.Run([&] {
      used->Block();
      next = Load(n + 1);
      Milestone loaded(device_);
      loaded.Set();
      loaded.Await();  // whoever takes it computes from another queue
    });
    return next;
  });
  return layer;
}

}  // namespace sink
