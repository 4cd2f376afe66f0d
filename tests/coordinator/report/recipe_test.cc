// In which parts a study's recipe differs from the paper's.
#include "coordinator/report/recipe.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/config/job_config.h"
#include "tests/coordinator/report/studies.h"

namespace sink::report {
namespace {

// The paper's 60M recipe with these weight decays, a run each.
Study WithDecays(const std::vector<double>& decays) {
  Study study = testing::EmptyStudy("default");
  std::vector<report::Run> runs;
  for (const double decay : decays) {
    runs.push_back(testing::FinishedRun(static_cast<int>(runs.size()), {}, {}));
    runs.back().settings = Json::parse(PrintEveryField(JobConfig()));
    testing::Set(&runs.back().settings, "train.weight_decay", decay);
  }
  testing::AddPoint(&study, "default", runs);
  return study;
}

TEST(Recipe, OfThePaperItselfHasNoRow) { EXPECT_TRUE(RecipeDifferences(WithDecays({0.1})).empty()); }

// "0.12" begins like the paper's "0.1".
TEST(Recipe, ANumberThatBeginsLikeThePapersDiffersAllTheSame) {
  const std::vector<Recipe> recipes = RecipeDifferences(WithDecays({0.12}));
  ASSERT_EQ(recipes.size(), 1u);
  ASSERT_EQ(recipes[0].rows.size(), 1u);
  EXPECT_EQ(recipes[0].rows[0].part, "Optimizer");
  EXPECT_TRUE(recipes[0].rows[0].ours.ends_with("weight decay 0.12")) << recipes[0].rows[0].ours;
  EXPECT_TRUE(recipes[0].rows[0].paper.ends_with("weight decay 0.1")) << recipes[0].rows[0].paper;
}

TEST(Recipe, WhatMostRunsHaveIsCompared) {
  EXPECT_TRUE(RecipeDifferences(WithDecays({0.1, 0.1, 0.5})).empty());
  const std::vector<Recipe> recipes = RecipeDifferences(WithDecays({0.12, 0.12, 0.1}));
  ASSERT_EQ(recipes.size(), 1u);
  EXPECT_TRUE(recipes[0].rows[0].ours.ends_with("weight decay 0.12 (most runs; others vary it)"))
      << recipes[0].rows[0].ours;
}

}  // namespace
}  // namespace sink::report
