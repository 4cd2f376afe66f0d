// What `sinkctl doctor` has to say: one thing that it looked at. Values; any thread.
#pragma once

#include <string>

namespace sink::doctor {

enum class Level { kGood, kHint, kFault };

struct Finding {
  Level level = Level::kGood;
  std::string subject;  // "coordinator", "worker gpu-3", "this machine"
  std::string what;     // a sentence without its full stop
  std::string fix;      // what to do; empty where all is well
};

}  // namespace sink::doctor
