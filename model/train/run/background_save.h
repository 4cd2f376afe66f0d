// A checkpoint that is written while training goes on: one at a time. What fails there fails here, when the training
// thread, to which this belongs, asks for the result.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <utility>

#include "model/train/run/saved_checkpoints.h"

namespace sink::train {

class BackgroundSave {
 public:
  using Save = std::function<CheckpointRef()>;

  // Waits for what is still being written.
  ~BackgroundSave() = default;

  // Runs `save` on a thread of its own. The last one's result must have been taken.
  void Begin(Save save) { result_ = std::async(std::launch::async, std::move(save)); }

  // Whether there is a result to take, now or later.
  bool pending() const { return result_.valid(); }
  // The result, once, when it is there. Throws what `save` threw.
  std::optional<CheckpointRef> TakeIfDone() {
    if (!pending() || result_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return std::nullopt;
    return result_.get();
  }
  // The same, when it has come; nothing where none is pending.
  std::optional<CheckpointRef> Take() {
    if (!pending()) return std::nullopt;
    return result_.get();
  }

 private:
  std::future<CheckpointRef> result_;
};

}  // namespace sink::train
