// How a worker tells the coordinator of a copy that is not whole. Pure; any thread.
#pragma once

#include <string>

#include "sink/v1/job.pb.h"

namespace sink::worker {

inline constexpr int kMaxIncomplete = 100;  // that are told of a kind

// The copy of `name` under `root`, with what it lacks in a sentence that names its files: where this machine keeps them
// is its own affair, and is left out.
v1::IncompleteCopy IncompleteCopyOf(const std::string& root, const std::string& name, const std::string& gap,
                                    v1::CopyUse use);

}  // namespace sink::worker
