// How a rank waits until rank 0 listens. Rank 0's worker may have a checkpoint to fetch before it starts rank 0, for as
// long as that takes; the others are there at once. No state; any thread.
#pragma once

#include <functional>
#include <string>

#include "model/train/ranks/rank_world.h"

namespace sink::train {

// Returns "" once somebody listens at the rendezvous. Else why nobody was found: after world.patience where the machine
// answers that nobody listens yet, after world.timeout where it cannot be reached. Calls `idle` now and then.
std::string AwaitListener(const RankWorld& world, const std::function<void()>& idle);

}  // namespace sink::train
