// How the models of a study were trained, beside how the paper trained its own: what a reader must know before the
// numbers are held against each other. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "coordinator/report/study.h"

namespace sink::report {

// One part of a recipe in words: {"Model", "64 wide, 6 layers of 8 heads, ...", "768 wide, 10 layers of ..."}.
struct RecipeRow {
  std::string part;
  std::string ours;  // of most runs, and that it is of most where others differ
  std::string paper;
};

// The parts in which the runs that train differ from the paper's recipe (Gu et al., ICLR 2025, section 4; its 1B model
// where ours is as wide), in a fixed order. Empty where nothing differs, and where nothing trains.
std::vector<RecipeRow> RecipeDifferences(const Study& study);

}  // namespace sink::report
