// What planted variants do to a planted sink, and their price.
#include "coordinator/report/removal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/report/studies.h"

namespace sink::report {
namespace {

using testing::AddSeeds;

void Add(Study* study, const std::string& key, const Json& value, double alpha, double loss, double bias = -1,
         int seeds = 5) {
  std::vector<std::pair<std::string, double>> metrics = {
      {"alpha_max/1", alpha}, {"sink_rate/0.3/1", alpha / 10}, {"validation_loss/all", loss}};
  if (bias >= 0) metrics.emplace_back("alpha_max/bias", bias);
  std::vector<std::pair<std::string, Json>> settings = {{"model.variant.sink_logit", "none"},
                                                        {"model.variant.qk_norm", false},
                                                        {"train.optimizer", "adamw"},
                                                        {"model.variant.key_bias", "none"},
                                                        {"train.learning_rate", 1e-3}};
  for (auto& [name, setting] : settings)
    if (name == key) setting = value;
  study->experiments.push_back({key, "", Json::object(), {}});
  AddSeeds(study, key, settings, metrics, 0.02, seeds);
}

Study Beyond() {
  Study study = testing::EmptyStudy("unused");
  study.experiments.clear();
  Add(&study, "model.variant.sink_logit", "zero", 0.1, 2.5);
  Add(&study, "default", nullptr, 0.7, 2.0);
  Add(&study, "model.variant.qk_norm", true, 0.7, 2.0);
  Add(&study, "model.variant.key_bias", "per_head", 0.1, 2.0, 0.8);
  Add(&study, "train.optimizer", "muon", 0.9, 1.8);
  Add(&study, "train.learning_rate", 1e-4, 0.2, 3.0);  // no mechanism
  return study;
}

TEST(Removal, HoldsEveryVariantAgainstTheSettingThatTheyAreVariantsOf) {
  const auto removal = WhatRemovesTheSink(Beyond());
  ASSERT_TRUE(removal.has_value());
  EXPECT_EQ(removal->base, "default");
  ASSERT_EQ(removal->variants.size(), 4u);
  EXPECT_EQ(removal->variants[0].label, "sink_logit=zero");
  EXPECT_EQ(removal->variants[0].verdict, "removes it");
  EXPECT_NEAR(removal->variants[0].price->value, 0.5, 1e-9);
  EXPECT_GT(removal->variants[0].price->interval->low, 0.4);
  EXPECT_EQ(removal->variants[1].verdict, "keeps it");
  EXPECT_EQ(removal->variants[2].verdict, "moves it to the bias");
  EXPECT_EQ(removal->variants[3].verdict, "strengthens it");
}

TEST(Removal, NeedsSeedsAndASinkInTheBase) {
  Study study = Beyond();
  Add(&study, "model.variant.sink_logit", "learned", 0.1, 2.0, -1, 2);
  EXPECT_EQ(WhatRemovesTheSink(study)->variants.back().verdict, "not enough data");
  for (auto& [id, run] : study.runs) run.curves["alpha_max/1"].back().value = 0.1;
  const std::optional<Removal> weak = WhatRemovesTheSink(study);  // no temporary: a loop would outlive it
  ASSERT_TRUE(weak.has_value());
  for (const Variant& variant : weak->variants) EXPECT_EQ(variant.verdict, "not enough data");
}

TEST(Removal, OneSeedThatKeepsItsSinkIsEnoughForItNotToBeRemoved) {
  Study study = Beyond();
  const std::string seed = study.experiments[0].points[0].runs[4];
  study.runs[seed].curves["alpha_max/1"].back().value = 0.7;
  EXPECT_EQ(WhatRemovesTheSink(study)->variants[0].verdict, "weakens it");
}

TEST(Removal, ABiasThatSurelyHasTheSinkHasTakenItThoughOneSeedKeepsItsOwn) {
  Study study = Beyond();
  const std::string seed = study.experiments[3].points[0].runs[4];
  study.runs[seed].curves["alpha_max/1"].back().value = 0.7;
  const auto removal = WhatRemovesTheSink(study);
  const Variant& biased = removal->variants[2];
  EXPECT_EQ(biased.verdict, "moves it to the bias");
  EXPECT_EQ(biased.bias.n, 5);
  EXPECT_NEAR(biased.bias.mean, 0.8, 1e-9);
  EXPECT_EQ(removal->variants[0].bias.n, 0);  // it has none
  for (const std::string& id : study.experiments[3].points[0].runs)
    study.runs[id].curves["alpha_max/bias"].back().value = id == seed ? 0.1 : 0.4;
  EXPECT_EQ(WhatRemovesTheSink(study)->variants[2].verdict, "weakens it");  // 0.34, but not surely 0.3
}

TEST(Removal, ASinkThatIsThereAtStepZeroIsBuiltInAndNotKept) {
  Study study = Beyond();
  const std::vector<std::string>& seeds = study.experiments[2].points[0].runs;
  for (const std::string& id : seeds) study.runs[id].curves["alpha_max/1"].front().value = 0.4;
  EXPECT_EQ(WhatRemovesTheSink(study)->variants[1].verdict, "there from the start");
  study.runs[seeds[0]].curves["alpha_max/1"].front().value = 0.1;
  EXPECT_EQ(WhatRemovesTheSink(study)->variants[1].verdict, "keeps it");  // not in every run
  for (const std::string& id : study.experiments[0].points[0].runs)
    study.runs[id].curves["alpha_max/1"].front().value = 0.4;
  EXPECT_FALSE(WhatRemovesTheSink(study)->variants[0].from_start);  // it does not stay
  EXPECT_EQ(WhatRemovesTheSink(study)->variants[0].verdict, "removes it");
}

TEST(Removal, WhatWasStoppedEarlyIsNotJudgedAndWhatHasNoResultIsListed) {
  Study study = Beyond();
  study.runs[study.experiments[0].points[0].runs[4]].state = "CANCELLED";
  for (const std::string& id : study.experiments[2].points[0].runs) study.runs[id].state = "FAILED";
  const auto removal = WhatRemovesTheSink(study);
  ASSERT_TRUE(removal.has_value());
  ASSERT_EQ(removal->variants.size(), 4u);
  EXPECT_EQ(removal->variants[0].verdict, "not enough data");
  EXPECT_EQ(removal->variants[0].succeeded, 4);
  EXPECT_EQ(removal->variants[0].runs, 5);
  EXPECT_EQ(removal->variants[3].label, "qk_norm=true");
  EXPECT_EQ(removal->variants[3].verdict, "did not finish");
  EXPECT_EQ(removal->variants[3].succeeded, 0);
  study.runs[study.experiments[2].points[0].runs[1]].state = "QUEUED";
  EXPECT_EQ(WhatRemovesTheSink(study)->variants[3].verdict, "still to come");
}

TEST(Removal, SeedsThatDivergedAreCountedAndMostOfThemDecideNothing) {
  Study study = Beyond();
  const auto diverge = [&study](size_t experiment, size_t seeds) {
    for (size_t i = 0; i < seeds; ++i) {
      report::Run& run = study.runs[study.experiments[experiment].points[0].runs[i]];
      run.state = "FAILED";
      run.reason = "nan: the loss is NaN";
    }
    return WhatRemovesTheSink(study)->variants[0];
  };
  EXPECT_EQ(diverge(0, 2).verdict, "removes it");
  EXPECT_EQ(diverge(0, 2).diverged, 2);
  EXPECT_EQ(diverge(0, 3).verdict, "not enough data");
  EXPECT_EQ(diverge(0, 3).remark, "more than half of a setting's seeds diverged");
  study = Beyond();
  EXPECT_EQ(diverge(1, 3).remark, "more than half of a setting's seeds diverged");  // of the base's
}

TEST(Removal, RunsOnOtherDataThanTheBasesAreNotHeldAgainstIt) {
  Study study = Beyond();
  for (auto& [id, run] : study.runs) {
    run.data_set = "text";
    run.data_content = "aa";
  }
  study.runs[study.experiments[0].points[0].runs[2]].data_content = "bb";
  const auto removal = WhatRemovesTheSink(study);
  EXPECT_EQ(removal->variants[0].verdict, "not enough data");
  EXPECT_EQ(removal->variants[0].remark, "not all on the same data");
  EXPECT_EQ(removal->variants[1].verdict, "keeps it");
}

TEST(Removal, IsNoPageOfASweepWithFewVariants) {
  Study study = Beyond();
  study.experiments.resize(3);
  EXPECT_FALSE(WhatRemovesTheSink(study).has_value());
}

}  // namespace
}  // namespace sink::report
