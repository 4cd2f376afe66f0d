// Draws sinkctl top. A pure function of what is to be shown; any thread.
#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/base/world.h"
#include "coordinator/cli/top/top_state.h"

namespace sink::cli {

// The lines of a window, at most window.rows of them and none wider than window.columns, without line ends. Rows of 0:
// everything once, as a text without keys.
std::vector<std::string> RenderTop(const TopState& state, WindowSize window, bool color);

// Ids of the jobs that this shows, from above.
std::vector<std::string> VisibleJobs(const TopState& state, WindowSize window);

// Lines that PageUp and PageDown go over in that window.
size_t PageOf(const TopState& state, WindowSize window);

}  // namespace sink::cli
