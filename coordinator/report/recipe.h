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

// How the runs that are like one of the paper's models were trained, beside how it was.
struct Recipe {
  std::string model;            // of the paper: "60M", "1B"
  std::vector<RecipeRow> rows;  // the parts that differ, in a fixed order
};

// One for each of the paper's models (Gu et al., ICLR 2025, section 4) that a run of ours is like: the 1B one where
// ours is as wide. Those that differ in nothing are left out.
std::vector<Recipe> RecipeDifferences(const Study& study);

}  // namespace sink::report
