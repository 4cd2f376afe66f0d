// A checkpoint that is written while the training thread, to which this belongs, goes on, or waits and shows that it
// lives: one at a time. What fails there fails here, when the result is asked for.
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
  // The result, once, when it is there, or comes within that time. Throws what `save` threw.
  std::optional<CheckpointRef> TakeIfDone(std::chrono::milliseconds patience = {}) {
    if (!pending() || result_.wait_for(patience) != std::future_status::ready) return std::nullopt;
    return result_.get();
  }

 private:
  std::future<CheckpointRef> result_;
};

}  // namespace sink::train
