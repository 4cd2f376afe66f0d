// Positions of a sequence where a sink can be, and which of them a query sees. Pure; any thread.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "coordinator/report/claims.h"
#include "coordinator/report/evidence.h"

namespace sink::report {

inline constexpr char kWindow[] = "model.variant.window";
// Whether no query of the run is kept from a key: its window is as long as its sequences and its probes.
bool SeesEverything(const Run& run);

// "32 of a probe's 64 queries see position 1 with a window of 32: alpha_1 is at most 0.50"; empty where all see it.
std::string BoundOfWindow(const Run& run);

// Number of a position for UniformAlpha; a bias sees what position 1 sees.
int64_t NumberOfPosition(const std::string& position);

// Those that a place means in this setting: "1", "2", ..., "bias".
std::set<std::string> Inside(const Case& c, SitsAt::Place place);

// "position 2", "positions 1, 2".
std::string PositionText(const std::set<std::string>& positions);

}  // namespace sink::report
