// Whether a process may divide its own control group (version 2 of the kernel's cgroups) into others, by which it can
// end all that a child has started at once, and bound its memory. Linux alone; any thread.
#pragma once

#include <string>

namespace sink::files {

struct ControlGroupPlace {
  std::string folder;   // of this process's group, in which it may make others; empty: it may not
  std::string why_not;  // then; a clause
};

// `membership`: what /proc/self/cgroup says, or a file like it.
ControlGroupPlace FindControlGroup(const std::string& membership = "/proc/self/cgroup");

}  // namespace sink::files
