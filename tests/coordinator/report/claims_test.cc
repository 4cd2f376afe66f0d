// Each kind of claim on hand-made numbers: when it holds, when it does not, and when nobody can say.
#include "coordinator/report/claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "coordinator/report/takeaways.h"
#include "tests/coordinator/report/studies.h"

namespace sink::report {
namespace {

using testing::AddPoint;
using testing::EmptyStudy;
using testing::FinishedRun;
using ::testing::HasSubstr;

// One run a value of `key`, with sink rates (0..1) and mean alphas at position 1.
Study OfKey(const std::string& key, const std::vector<std::pair<double, double>>& value_and_rate, double alpha = 0.2) {
  Study study = EmptyStudy("experiment");
  int n = 0;
  for (const auto& [value, rate] : value_and_rate) {
    AddPoint(&study, key + "=" + std::to_string(value),
             {FinishedRun(n++, {{key, value}}, {{"sink_rate/0.3/1", rate}, {"alpha_mean/1", alpha}})});
  }
  return study;
}

Judgement JudgeFirst(const Study& study, const Claim& claim) { return Judge(study, study.experiments[0], claim); }

const Trend kRate{.key = "train.learning_rate", .equal_steps = true};

TEST(Claims, TrendHoldsBeyondNoiseAndSpellsOutTheNumbers) {
  const Judgement judgement =
      JudgeFirst(OfKey("train.learning_rate", {{8e-4, 0.123}, {4e-4, 0.06}, {1e-4, 0.012}}), kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kHolds);
  EXPECT_EQ(
      judgement.comparison,
      "sink rate (%) at step 100 12.3 at learning_rate 0.0008 against 1.2 at learning_rate 0.0001 (others: 6.0 at "
      "0.0004): a difference of 11.1, noise 2.0");
}

TEST(Claims, TrendTheOtherWayDoesNotHold) {
  EXPECT_EQ(JudgeFirst(OfKey("train.learning_rate", {{8e-4, 0.01}, {1e-4, 0.2}}), kRate).verdict,
            Verdict::kDoesNotHold);
}

TEST(Claims, ADifferenceInsideNoiseIsNotEnoughData) {
  EXPECT_EQ(JudgeFirst(OfKey("train.learning_rate", {{8e-4, 0.115}, {1e-4, 0.10}}), kRate).verdict,
            Verdict::kNotEnoughData);
}

TEST(Claims, SpreadOfReplicasIsTheNoise) {
  const auto replicas = [](double spread) {
    Study study = EmptyStudy("experiment");
    for (int p = 0; p < 2; ++p) {
      std::vector<report::Run> runs;
      for (int r = 0; r < 3; ++r)
        runs.push_back(
            FinishedRun(3 * p + r, {{"train.learning_rate", p == 0 ? 1e-4 : 1e-3}},
                        {{"sink_rate/0.3/1", (p == 0 ? 0.10 : 0.15) + spread * (r - 1)}, {"alpha_mean/1", 0.2}}));
      AddPoint(&study, "p" + std::to_string(p), runs);
    }
    return JudgeFirst(study, kRate);
  };
  EXPECT_EQ(replicas(0.005).verdict, Verdict::kHolds);
  EXPECT_EQ(replicas(0.05).verdict, Verdict::kNotEnoughData);
  EXPECT_THAT(replicas(0.005).comparison, HasSubstr("15.0 ± 0.5"));
}

TEST(Claims, MeanAlphaStandsInWhereNoHeadCrossesEpsilonAndSaysSo) {
  Study study = EmptyStudy("experiment");
  AddPoint(&study, "a",
           {FinishedRun(1, {{"train.learning_rate", 1e-3}}, {{"sink_rate/0.3/1", 0}, {"alpha_mean/1", 0.16}})});
  AddPoint(&study, "b",
           {FinishedRun(2, {{"train.learning_rate", 1e-4}}, {{"sink_rate/0.3/1", 0}, {"alpha_mean/1", 0.08}})});
  const Judgement judgement = JudgeFirst(study, kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kHolds);
  EXPECT_THAT(judgement.comparison, HasSubstr("mean alpha at step 100 0.160"));
  EXPECT_THAT(judgement.comparison, HasSubstr("every sink rate here is 0"));
}

TEST(Claims, AlphaNearUniformSaysNothing) {
  const Judgement judgement = JudgeFirst(OfKey("train.learning_rate", {{1e-3, 0}, {1e-4, 0}}, 0.05), kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kNotEnoughData);
  EXPECT_THAT(judgement.comparison, HasSubstr("neither is near a sink"));
}

TEST(Claims, TrendAtEqualStepsReadsTheLongerRunWhereTheShorterEnded) {
  Study study = EmptyStudy("experiment");
  report::Run slow = FinishedRun(1, {{"train.learning_rate", 1e-4}}, {{"sink_rate/0.3/1", 0.4}, {"alpha_mean/1", 0.2}});
  slow.step = slow.max_steps = 200;
  for (auto& [name, curve] : slow.curves)
    for (Sample& sample : curve) sample.step *= 2;  // 0.2 at step 100, 0.4 at 200
  AddPoint(&study, "slow", {slow});
  AddPoint(&study, "fast",
           {FinishedRun(2, {{"train.learning_rate", 1e-3}}, {{"sink_rate/0.3/1", 0.3}, {"alpha_mean/1", 0.2}})});
  EXPECT_EQ(JudgeFirst(study, kRate).verdict, Verdict::kHolds);
  EXPECT_EQ(JudgeFirst(study, Trend{.key = "train.learning_rate"}).verdict, Verdict::kDoesNotHold);
}

TEST(Claims, LongerTrainingIsComparedWithinTheSmallestRateThatHasTwoLengths) {
  Study study = EmptyStudy("experiment");
  const auto add = [&study](int n, double rate, int steps, double sink) {
    report::Run run = FinishedRun(n, {{"train.learning_rate", rate}, {"train.max_steps", steps}},
                                  {{"sink_rate/0.3/1", sink}, {"alpha_mean/1", 0.2}});
    run.step = steps;
    AddPoint(&study, "n" + std::to_string(n), {run});
  };
  add(1, 8e-4, 10, 0.5);
  add(2, 8e-4, 20, 0.1);
  add(3, 1e-4, 20, 0.03);
  add(4, 1e-4, 80, 0.07);
  const Judgement judgement = JudgeFirst(study, Trend{.key = "train.max_steps", .within = "train.learning_rate"});
  EXPECT_EQ(judgement.verdict, Verdict::kHolds);
  EXPECT_THAT(judgement.comparison, HasSubstr("7.0 at max_steps 80 against 3.0 at max_steps 20"));
}

TEST(Claims, AnUnfinishedOrFailedRunIsNoEvidence) {
  Study study = OfKey("train.learning_rate", {{8e-4, 0.2}, {1e-4, 0.01}});
  study.runs.begin()->second.state = "FAILED";
  const Judgement judgement = JudgeFirst(study, kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kNotEnoughData);
  EXPECT_THAT(judgement.comparison, HasSubstr("needs finished runs at two values of train.learning_rate"));
}

TEST(Claims, EarlierComparesOnsets) {
  const Claim claim = Earlier{.key = "train.learning_rate"};
  // 0.012 crosses 1 % at step 100, 0.03 at step 50.
  const Judgement judgement = JudgeFirst(OfKey("train.learning_rate", {{1e-3, 0.03}, {1e-4, 0.012}}), claim);
  EXPECT_EQ(judgement.verdict, Verdict::kHolds);
  EXPECT_THAT(judgement.comparison, HasSubstr("from step 50 at learning_rate 0.001, from step 100"));
  EXPECT_EQ(JudgeFirst(OfKey("train.learning_rate", {{1e-3, 0.012}, {1e-4, 0.03}}), claim).verdict,
            Verdict::kDoesNotHold);
  EXPECT_EQ(JudgeFirst(OfKey("train.learning_rate", {{1e-3, 0.03}, {1e-4, 0.03}}), claim).verdict,
            Verdict::kNotEnoughData);
  EXPECT_EQ(JudgeFirst(OfKey("train.learning_rate", {{1e-3, 0.03}, {1e-4, 0.001}}), claim).verdict, Verdict::kHolds);
}

TEST(Claims, NoEffectNeedsASinkThatCouldMove) {
  const Claim claim = NoEffect{.key = "train.global_batch_size"};
  const auto of = [&](double a, double b, double alpha = 0.2) {
    return JudgeFirst(OfKey("train.global_batch_size", {{128, a}, {256, b}}, alpha), claim).verdict;
  };
  EXPECT_EQ(of(0.16, 0.18), Verdict::kHolds);
  EXPECT_EQ(of(0.16, 0.30), Verdict::kDoesNotHold);
  EXPECT_EQ(of(0.16, 0.21), Verdict::kNotEnoughData);  // beyond the tolerance, inside the noise
  EXPECT_EQ(of(0, 0, 0.08), Verdict::kNotEnoughData);
}

TEST(Claims, IncreasesAndRemovedReadWeightDecayAsThePaperDoes) {
  const auto decay = [](double at_five) {
    return OfKey("train.weight_decay", {{0, 0.152}, {0.1, 0.18}, {0.5, 0.41}, {5, at_five}});
  };
  EXPECT_EQ(JudgeFirst(decay(0.0001), Increases{"train.weight_decay"}).verdict, Verdict::kHolds);
  EXPECT_EQ(JudgeFirst(decay(0.0001), Removed{.key = "train.weight_decay"}).verdict, Verdict::kHolds);
  EXPECT_EQ(JudgeFirst(decay(0.25), Removed{.key = "train.weight_decay"}).verdict, Verdict::kDoesNotHold);
  EXPECT_EQ(JudgeFirst(OfKey("train.weight_decay", {{0, 0.3}, {1, 0.1}}), Increases{"train.weight_decay"}).verdict,
            Verdict::kDoesNotHold);
}

TEST(Claims, PresentNeedsEverySettingFinished) {
  Study study = OfKey("model.num_attention_heads", {{8, 0.18}, {4, 0.10}});
  EXPECT_EQ(JudgeFirst(study, Present{}).verdict, Verdict::kHolds);
  study.runs.begin()->second.state = "RUNNING";
  EXPECT_EQ(JudgeFirst(study, Present{}).verdict, Verdict::kNotEnoughData);
  EXPECT_EQ(JudgeFirst(OfKey("model.num_attention_heads", {{8, 0.18}, {4, 0.0}}), Present{}).verdict,
            Verdict::kDoesNotHold);
  EXPECT_EQ(JudgeFirst(OfKey("model.num_attention_heads", {{8, 0}, {4, 0}}, 0.08), Present{}).verdict,
            Verdict::kNotEnoughData);
}

TEST(Claims, AbsentNeedsAControlWithASink) {
  const Where sigmoid = {{"model.variant.similarity", "sigmoid"}}, softmax = {{"model.variant.similarity", "softmax"}};
  const auto of = [&](double of_sigmoid, double of_softmax) {
    Study study = EmptyStudy("experiment");
    AddPoint(&study, "sigmoid",
             {FinishedRun(1, {{"model.variant.similarity", "sigmoid"}},
                          {{"sink_rate/0.3/1", of_sigmoid}, {"alpha_mean/1", 0.05}})});
    AddPoint(&study, "softmax",
             {FinishedRun(2, {{"model.variant.similarity", "softmax"}},
                          {{"sink_rate/0.3/1", of_softmax}, {"alpha_mean/1", 0.08}})});
    return JudgeFirst(study, Absent{sigmoid, softmax}).verdict;
  };
  EXPECT_EQ(of(0.004, 0.18), Verdict::kHolds);
  EXPECT_EQ(of(0.15, 0.18), Verdict::kDoesNotHold);
  EXPECT_EQ(of(0, 0), Verdict::kNotEnoughData);
}

TEST(Claims, SitsAtFindsTheSinkAmongThePositions) {
  const auto fixed = [](double at_two) {
    Study study = EmptyStudy("experiment");
    AddPoint(&study, "data.fixed_token_position=2",
             {FinishedRun(1, {{"data.fixed_token_position", 2}},
                          {{"sink_rate/0.3/1", 0.1},
                           {"sink_rate/0.3/2", at_two},
                           {"sink_rate/0.3/3", 0},
                           {"alpha_mean/1", 0.1},
                           {"alpha_mean/2", 0.1},
                           {"alpha_mean/3", 0.1}})});
    return JudgeFirst(study, SitsAt{SitsAt::Place::kFixedToken});
  };
  EXPECT_EQ(fixed(0.7).verdict, Verdict::kHolds);
  EXPECT_THAT(fixed(0.7).comparison, HasSubstr("70.0 at position 2 against 10.0 at position 1"));
  EXPECT_EQ(fixed(0.0).verdict, Verdict::kDoesNotHold);
  EXPECT_EQ(fixed(0.11).verdict, Verdict::kNotEnoughData);
}

TEST(Takeaways, EveryOneOfAnExperimentOfTheStudysSweepsHasOneStatement) {
  std::set<std::string> statements;
  for (const Takeaway& takeaway : Takeaways()) {
    EXPECT_FALSE(takeaway.experiments.empty());
    EXPECT_TRUE(statements.insert(takeaway.statement).second) << takeaway.statement;
    EXPECT_THAT(takeaway.source, HasSubstr("section"));
  }
}

}  // namespace
}  // namespace sink::report
