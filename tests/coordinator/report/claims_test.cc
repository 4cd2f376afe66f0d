// Each kind of claim on planted numbers: an effect, none, too few seeds, NaN, a seed that is missing, no control.
#include "coordinator/report/claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "coordinator/report/takeaways.h"
#include "tests/coordinator/report/studies.h"

namespace sink::report {
namespace {

using testing::AddPoint;
using testing::AddSeeds;
using testing::EmptyStudy;
using testing::FinishedRun;
using ::testing::HasSubstr;

// A setting's value of the key, and the mean over its seeds of sink rate (0..1) and of the strongest head's alpha.
struct Planted {
  double value;
  double rate;
  double alpha = 0.6;
};

Study OfKey(const std::string& key, const std::vector<Planted>& settings, double spread = 0.01, int seeds = 5) {
  Study study = EmptyStudy("experiment");
  for (const Planted& planted : settings)
    AddSeeds(&study, key + "=" + SettingText(FinishedRun(0, {{key, planted.value}}, {}), key), {{key, planted.value}},
             {{"sink_rate/0.3/1", planted.rate}, {"alpha_max/1", planted.alpha}}, spread, seeds);
  return study;
}

Judgement JudgeFirst(const Study& study, const Claim& claim) { return Judge(study, study.experiments[0], claim); }
Verdict VerdictOf(const Study& study, const Claim& claim) { return JudgeFirst(study, claim).verdict; }

const Trend kRate{.key = "train.learning_rate", .equal_steps = true};

TEST(Claims, AnEffectHoldsWithItsIntervalAndSpellsOutTheNumbers) {
  const Judgement judgement =
      JudgeFirst(OfKey("train.learning_rate", {{8e-4, 0.123}, {4e-4, 0.06}, {1e-4, 0.012}}), kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kHolds);
  EXPECT_EQ(judgement.comparison,
            "sink rate (%) at step 100 12.3 ± 0.8 (5 seeds) at learning_rate 0.0008 against 1.2 ± 0.8 (5 seeds) at "
            "learning_rate 0.0001 (others: 6.0 ± 0.8 at 0.0004): +11.1 [9.9, 12.3] points");
  ASSERT_TRUE(judgement.effect.has_value());
  EXPECT_NEAR(judgement.effect->value, 11.1, 1e-9);
  EXPECT_EQ(judgement.effect->unit, "points");
  ASSERT_EQ(judgement.against.size(), 1u);
}

TEST(Claims, AnEffectTheOtherWayDoesNotHold) {
  EXPECT_EQ(VerdictOf(OfKey("train.learning_rate", {{8e-4, 0.01}, {1e-4, 0.2}}), kRate), Verdict::kDoesNotHold);
}

TEST(Claims, NoEffectDoesNotHoldOnceTheSpreadExcludesOneThatCounts) {
  EXPECT_EQ(VerdictOf(OfKey("train.learning_rate", {{8e-4, 0.15}, {1e-4, 0.15}}), kRate), Verdict::kDoesNotHold);
  EXPECT_EQ(VerdictOf(OfKey("train.learning_rate", {{8e-4, 0.15}, {1e-4, 0.15}}, 0.05), kRate),
            Verdict::kNotEnoughData);
}

TEST(Claims, TheSpreadOfSeedsDecides) {
  EXPECT_EQ(VerdictOf(OfKey("train.learning_rate", {{8e-4, 0.20}, {1e-4, 0.15}}, 0.02), kRate), Verdict::kHolds);
  EXPECT_EQ(VerdictOf(OfKey("train.learning_rate", {{8e-4, 0.20}, {1e-4, 0.15}}, 0.06), kRate),
            Verdict::kNotEnoughData);
}

// The same numbers as above, where the seeds rise and fall together.
TEST(Claims, WhatTheSameSeedsShareDoesNotWidenTheInterval) {
  Study study = EmptyStudy("experiment");
  for (const auto& [rate, sink] : {std::pair(8e-4, 0.20), {1e-4, 0.15}})
    AddSeeds(&study, "train.learning_rate", {{"train.learning_rate", rate}},
             {{"sink_rate/0.3/1", sink}, {"alpha_max/1", 0.6}}, /*spread=*/0.06, /*seeds=*/5, /*first=*/42);
  const Judgement judgement = JudgeFirst(study, kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kHolds);
  EXPECT_THAT(judgement.comparison, HasSubstr("+5.0 [5.0, 5.0] points"));
}

TEST(Claims, OneOrTwoSeedsNeverGiveAVerdict) {
  for (int seeds : {1, 2}) {
    const Judgement judgement =
        JudgeFirst(OfKey("train.learning_rate", {{8e-4, 0.9}, {1e-4, 0.0}}, 0.001, seeds), kRate);
    EXPECT_EQ(judgement.verdict, Verdict::kNotEnoughData) << seeds;
    EXPECT_THAT(judgement.comparison, HasSubstr("a verdict takes three seeds of each"));
    EXPECT_FALSE(judgement.effect->interval.has_value());
  }
  EXPECT_EQ(VerdictOf(OfKey("train.learning_rate", {{8e-4, 0.9}, {1e-4, 0.0}}, 0.001, 3), kRate), Verdict::kHolds);
}

TEST(Claims, ARunThatEndedInNanIsNoSeed) {
  Study study = OfKey("train.learning_rate", {{8e-4, 0.3}, {1e-4, 0.02}}, 0.01, 4);
  for (auto& [name, curve] : study.runs.begin()->second.curves) curve.back().value = NAN;
  const Judgement judgement = JudgeFirst(study, kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kHolds);
  EXPECT_THAT(judgement.comparison, HasSubstr("(3 of 4 seeds) at learning_rate 0.0008"));
  for (auto& [name, curve] : std::next(study.runs.begin())->second.curves) curve.back().value = INFINITY;
  EXPECT_EQ(VerdictOf(study, kRate), Verdict::kNotEnoughData);
}

TEST(Claims, AMissingSeedIsCountedAndTheOthersStillJudge) {
  Study study = OfKey("train.learning_rate", {{8e-4, 0.3}, {1e-4, 0.02}});
  study.runs.begin()->second.state = "FAILED";
  const Judgement judgement = JudgeFirst(study, kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kHolds);
  EXPECT_THAT(judgement.comparison, HasSubstr("(4 of 5 seeds)"));
  for (auto& [id, run] : study.runs)
    if (SettingText(run, "train.learning_rate") == "0.0008") run.state = "RUNNING";
  EXPECT_THAT(JudgeFirst(study, kRate).comparison, HasSubstr("needs finished runs at two values of"));
}

TEST(Claims, TheStrongestHeadStandsInWhereSinkRatesAreSmall) {
  const Judgement judgement =
      JudgeFirst(OfKey("train.learning_rate", {{1e-3, 0.065, 0.6}, {1e-4, 0.005, 0.23}}, 0.004), kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kHolds);
  EXPECT_EQ(judgement.measure, "alpha of the strongest head");
  EXPECT_EQ(judgement.effect->unit, "alpha");
  EXPECT_NEAR(judgement.effect->value, 0.37, 1e-9);
  EXPECT_EQ(JudgeFirst(OfKey("train.learning_rate", {{1e-3, 0.10}, {1e-4, 0.005}}, 0), kRate).measure, "sink rate (%)");
}

TEST(Claims, WhatHasNoSinkOnEitherSideSaysNothing) {
  const Judgement judgement = JudgeFirst(OfKey("train.learning_rate", {{1e-3, 0, 0.2}, {1e-4, 0, 0.1}}), kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kNotEnoughData);
  EXPECT_THAT(judgement.comparison, HasSubstr("neither has a sink"));
}

TEST(Claims, ATrendNeedsTwoSettingsThatDifferInItsKeyAlone) {
  Study study = EmptyStudy("experiment");
  AddSeeds(&study, "a", {{"train.learning_rate", 1e-3}, {"train.weight_decay", 0.1}}, {{"sink_rate/0.3/1", 0.3}});
  AddSeeds(&study, "b", {{"train.learning_rate", 1e-4}, {"train.weight_decay", 0.5}}, {{"sink_rate/0.3/1", 0.1}});
  const Judgement judgement = JudgeFirst(study, kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kNotEnoughData);
  EXPECT_THAT(judgement.comparison, HasSubstr("no two finished settings differ in train.learning_rate alone"));
  AddSeeds(&study, "c", {{"train.learning_rate", 5e-4}, {"train.weight_decay", 0.5}}, {{"sink_rate/0.3/1", 0.2}});
  EXPECT_THAT(JudgeFirst(study, kRate).comparison, HasSubstr("at learning_rate 0.0005 against"));
}

TEST(Claims, TrendAtEqualStepsReadsTheLongerRunWhereTheShorterEnded) {
  Study study = OfKey("train.learning_rate", {{1e-4, 0.4}, {1e-3, 0.3}}, 0.001);
  for (auto& [id, run] : study.runs) {
    testing::Set(&run.settings, "train.max_steps", 100);
    if (SettingText(run, "train.learning_rate") != "0.0001") continue;
    testing::Set(&run.settings, "train.max_steps", 200);
    run.step = run.max_steps = 200;
    for (auto& [name, curve] : run.curves)
      for (Sample& sample : curve) sample.step *= 2;  // 0.2 at step 100, 0.4 at 200
  }
  EXPECT_EQ(VerdictOf(study, kRate), Verdict::kHolds);
  EXPECT_THAT(JudgeFirst(study, Trend{.key = "train.learning_rate"}).comparison,
              HasSubstr("differ in train.learning_rate alone"));
  // The shorter run of a cosine is no beginning of the longer one.
  for (auto& [id, run] : study.runs) testing::Set(&run.settings, "train.min_learning_rate", 1e-5);
  EXPECT_THAT(JudgeFirst(study, kRate).comparison, HasSubstr("differ in train.learning_rate alone"));
}

TEST(Claims, LongerTrainingIsComparedWithinTheSmallestRateThatHasTwoLengths) {
  Study study = EmptyStudy("experiment");
  const auto add = [&study](double rate, int steps, double sink) {
    AddSeeds(&study, std::to_string(rate) + std::to_string(steps),
             {{"train.learning_rate", rate}, {"train.max_steps", steps}}, {{"sink_rate/0.3/1", sink}}, 0.005);
  };
  add(8e-4, 10, 0.5);
  add(8e-4, 20, 0.1);
  add(1e-4, 20, 0.03);
  add(1e-4, 80, 0.17);
  const Judgement judgement = JudgeFirst(study, Trend{.key = "train.max_steps", .within = "train.learning_rate"});
  EXPECT_EQ(judgement.verdict, Verdict::kHolds);
  EXPECT_THAT(judgement.comparison, HasSubstr("at max_steps 80 against 3.0 ± 0.4 (5 seeds) at max_steps 20"));
}

TEST(Claims, EarlierComparesTheStepsFromWhichTheSinkStays) {
  const Claim claim = Earlier{.key = "train.learning_rate"};
  const auto planted = [](double fast, double slow) {
    Study study = OfKey("train.learning_rate", {{1e-3, fast}, {1e-4, slow}}, 0.0001);
    for (auto& [id, run] : study.runs) testing::Set(&run.settings, "eval.every", 50);
    return study;
  };
  // 0.15 is above 1 % at step 50, 0.012 only at step 100, the last, which does not show that it stays.
  Study study = planted(0.15, 0.012);
  const Judgement judgement = JudgeFirst(study, claim);
  EXPECT_EQ(judgement.verdict, Verdict::kHolds);
  EXPECT_THAT(judgement.comparison,
              HasSubstr("from step 50 ± 0 (in 5 of 5 runs) at learning_rate 0.001, not by step 100 (in none of "
                        "5 runs)"));
  EXPECT_EQ(judgement.effect->unit, "steps");
  EXPECT_EQ(VerdictOf(planted(0.012, 0.15), claim), Verdict::kDoesNotHold);
  EXPECT_EQ(VerdictOf(planted(0.15, 0.15), claim), Verdict::kDoesNotHold);
  EXPECT_EQ(VerdictOf(planted(0.15, 0), claim), Verdict::kHolds);
  for (auto& [id, run] : study.runs) {
    Curve& curve = run.curves["sink_rate/0.3/1"];
    curve[1].value = 0;  // a sink that came and went
    curve.push_back({150, curve.back().value, 1});
    run.step = run.max_steps = 150;
  }
  EXPECT_THAT(JudgeFirst(study, claim).comparison,
              HasSubstr("from step 100 ± 0 (in 5 of 5 runs) at learning_rate 0.001"));
}

TEST(Claims, EarlierReadsBothSidesToTheEndOfTheShorterRun) {
  Study study = OfKey("train.learning_rate", {{1e-3, 0.15}, {1e-4, 0.15}}, 0.0001);
  for (auto& [id, run] : study.runs) {
    testing::Set(&run.settings, "eval.every", 50);
    if (SettingText(run, "train.learning_rate") != "0.0001") continue;
    run.step = run.max_steps = 200;
    run.curves["sink_rate/0.3/1"].push_back({150, 0.15, 1});
    run.curves["sink_rate/0.3/1"].push_back({200, 0, 1});  // it falls back when the other has long ended
  }
  EXPECT_THAT(JudgeFirst(study, Earlier{.key = "train.learning_rate"}).comparison,
              HasSubstr("from step 50 ± 0 (in 5 of 5 runs) at learning_rate 0.0001"));
}

TEST(Claims, EarlierIsNotRefutedByRunsThatWereTooShort) {
  Study study = OfKey("train.learning_rate", {{1e-3, 0.15, 0.6}, {1e-4, 0.15, 0.6}}, 0.0001);
  for (auto& [id, run] : study.runs) testing::Set(&run.settings, "eval.every", 100);
  EXPECT_EQ(VerdictOf(study, Earlier{.key = "train.learning_rate"}), Verdict::kDoesNotHold);
  for (auto& [id, run] : study.runs)
    if (id != study.runs.begin()->first)
      for (auto& [name, curve] : run.curves) curve = {{0, 0, 1}, {50, 0, 1}, {100, 0, 1}};
  const Judgement judgement = JudgeFirst(study, Earlier{.key = "train.learning_rate"});
  EXPECT_EQ(judgement.verdict, Verdict::kNotEnoughData) << judgement.comparison;
}

TEST(Claims, NoEffectNeedsEveryPairWithinTheToleranceAndASinkThatCouldMove) {
  const Claim claim = NoEffect{.key = "train.global_batch_size"};
  const auto of = [&](double a, double b, double alpha = 0.6, double spread = 0.01) {
    return VerdictOf(OfKey("train.global_batch_size", {{128, a, alpha}, {256, b, alpha}, {512, a, alpha}}, spread),
                     claim);
  };
  EXPECT_EQ(of(0.16, 0.17), Verdict::kHolds);
  EXPECT_EQ(of(0.16, 0.30), Verdict::kDoesNotHold);
  EXPECT_EQ(of(0.16, 0.19), Verdict::kNotEnoughData);  // within the tolerance, but not for sure
  EXPECT_EQ(of(0, 0, 0.1), Verdict::kNotEnoughData);
}

// Lets every metric of a point's runs end in NaN; they came to their end.
void EndInNan(Study* study, const Point& point) {
  for (const std::string& id : point.runs)
    for (auto& [name, curve] : study->runs[id].curves) curve.back().value = NAN;
}

TEST(Claims, NoEffectIsMeasuredAgainstASettingWithoutAValue) {
  const Claim claim = NoEffect{.key = "train.global_batch_size"};
  Study two = OfKey("train.global_batch_size", {{128, 0.0, 0.6}, {256, 0.0, 0.6}});
  EndInNan(&two, two.experiments[0].points[1]);
  const Judgement judgement = JudgeFirst(two, claim);
  EXPECT_EQ(judgement.verdict, Verdict::kNotEnoughData);
  EXPECT_FALSE(judgement.effect.has_value()) << judgement.comparison;
  EXPECT_THAT(judgement.comparison, HasSubstr("(not measured) at global_batch_size 256; a verdict takes three seeds"));

  Study three = OfKey("train.global_batch_size", {{128, 0.0, 0.6}, {256, 0.0, 0.6}, {512, 0.0, 0.65}});
  EndInNan(&three, three.experiments[0].points[1]);
  ASSERT_TRUE(JudgeFirst(three, claim).effect.has_value());
  EXPECT_NEAR(JudgeFirst(three, claim).effect->value, 0.05, 1e-9);

  Study heads = OfKey("model.num_attention_heads", {{8, 0.18}, {4, 0.18}});
  EndInNan(&heads, heads.experiments[0].points[1]);
  EXPECT_EQ(VerdictOf(heads, Present{}), Verdict::kNotEnoughData);
  EXPECT_FALSE(JudgeFirst(heads, Present{}).effect.has_value());
}

TEST(Claims, IncreasesAndRemovedReadWeightDecayAsThePaperDoes) {
  const auto decay = [](double at_five) {
    return OfKey("train.weight_decay", {{0, 0.152}, {0.1, 0.18}, {0.5, 0.41}, {5, at_five}}, 0.004);
  };
  EXPECT_EQ(VerdictOf(decay(0.004), Increases{"train.weight_decay"}), Verdict::kHolds);
  EXPECT_EQ(VerdictOf(decay(0.004), Removed{.key = "train.weight_decay"}), Verdict::kHolds);
  EXPECT_EQ(VerdictOf(decay(0.25), Removed{.key = "train.weight_decay"}), Verdict::kDoesNotHold);
  EXPECT_EQ(VerdictOf(OfKey("train.weight_decay", {{0, 0.3}, {1, 0.1}}), Increases{"train.weight_decay"}),
            Verdict::kDoesNotHold);
}

TEST(Claims, PresentNeedsEverySettingFinishedAndSaysNothingWhereNothingSinks) {
  Study study = OfKey("model.num_attention_heads", {{8, 0.18}, {4, 0.10}});
  EXPECT_EQ(VerdictOf(study, Present{}), Verdict::kHolds);
  EXPECT_EQ(VerdictOf(OfKey("model.num_attention_heads", {{8, 0.18}, {4, 0.0}}, 0.001), Present{}),
            Verdict::kDoesNotHold);
  EXPECT_EQ(VerdictOf(OfKey("model.num_attention_heads", {{8, 0, 0.1}, {4, 0, 0.1}}), Present{}),
            Verdict::kNotEnoughData);
  for (auto& [id, run] : study.runs)
    if (SettingText(run, "model.num_attention_heads") == "4") run.state = "RUNNING";
  EXPECT_EQ(VerdictOf(study, Present{}), Verdict::kNotEnoughData);
}

TEST(Claims, AClaimAboutSeveralSettingsSaysWhereItHoldsAndWhereNot) {
  const Judgement judgement =
      JudgeFirst(OfKey("model.num_attention_heads", {{8, 0.18}, {4, 0.12}, {2, 0.0}, {1, 0.0105}}, 0.001), Present{});
  EXPECT_EQ(judgement.verdict, Verdict::kDoesNotHold);
  EXPECT_EQ(judgement.remark, "holds at 2 of 4; not at num_attention_heads=2; undecided at num_attention_heads=1");
}

TEST(Claims, AnIntervalThatIsTooWideSaysHowManySeedsWouldTell) {
  Effect effect{.value = 0.1, .interval = Interval{-0.1, 0.3}, .least = 0.05, .unit = "alpha", .seeds = 5};
  EXPECT_EQ(MoreSeedsText(effect), "about 20 of a setting would tell");  // for 0.1 to each side in place of 0.2
  effect.value = 0.02;                                                   // 0.03 below what counts
  EXPECT_EQ(MoreSeedsText(effect), "more than 99 of a setting would be needed");
  effect = {
      .value = 0.05, .interval = Interval{-0.01, 0.11}, .least = 0.1, .unit = "alpha", .of_bound = true, .seeds = 5};
  EXPECT_EQ(MoreSeedsText(effect), "about 8 of a setting would tell");  // within the tolerance by 0.05
  effect = {.value = 0.0, .interval = Interval{-0.06, 0.06}, .least = 0.05, .unit = "alpha", .seeds = 5};
  EXPECT_EQ(MoreSeedsText(effect), "about 8 of a setting would refute it");
  effect.interval.reset();
  EXPECT_EQ(MoreSeedsText(effect), "");
}

TEST(Claims, WhatIsNotDecidedHasARemarkAndWhatIsHasNone) {
  EXPECT_EQ(JudgeFirst(OfKey("train.learning_rate", {{8e-4, 0.3}, {1e-4, 0.02}}), kRate).remark, "");
  EXPECT_EQ(JudgeFirst(OfKey("train.learning_rate", {{8e-4, 0.3}, {1e-4, 0.02}}, 0.01, 2), kRate).remark,
            "fewer than three seeds");
  EXPECT_EQ(JudgeFirst(OfKey("train.learning_rate", {{8e-4, 0.15}, {1e-4, 0.15}}, 0.05), kRate).remark,
            "the seeds lie too far apart; about 42 of a setting would refute it");
  EXPECT_EQ(JudgeFirst(OfKey("train.learning_rate", {{1e-3, 0, 0.2}, {1e-4, 0, 0.1}}), kRate).remark,
            "no sink on either side");
  EXPECT_EQ(JudgeFirst(OfKey("train.learning_rate", {{1e-3, 0.3}}), kRate).remark, "not run");
}

constexpr char kSimilarity[] = "model.variant.similarity";
constexpr char kNormalize[] = "model.variant.normalize";
const Absent kNoSigmoidSink{{{kSimilarity, "sigmoid"}, {kNormalize, "false"}}, {{kSimilarity, "softmax"}}};

TEST(Claims, AbsentNeedsAControlWithASink) {
  const auto of = [&](double of_sigmoid, double of_softmax) {
    Study study = EmptyStudy("experiment");
    AddSeeds(&study, "sigmoid", {{kSimilarity, "sigmoid"}, {kNormalize, false}}, {{"sink_rate/0.3/1", of_sigmoid}},
             0.003);
    AddSeeds(&study, "softmax", {{kSimilarity, "softmax"}, {kNormalize, true}}, {{"sink_rate/0.3/1", of_softmax}},
             0.003);
    return JudgeFirst(study, kNoSigmoidSink);
  };
  EXPECT_EQ(of(0.004, 0.18).verdict, Verdict::kHolds);
  EXPECT_EQ(of(0, 0).verdict, Verdict::kNotEnoughData);
  // Weaker by three points, which would count, and still fourteen above the level of a sink.
  const Judgement weaker = of(0.15, 0.18);
  EXPECT_EQ(weaker.verdict, Verdict::kDoesNotHold);
  EXPECT_EQ(weaker.remark, "the sink is there");
  EXPECT_NEAR(weaker.effect->value, -14, 1e-9);
  EXPECT_LT(weaker.effect->interval->high, weaker.effect->least);
  EXPECT_THAT(weaker.comparison,
              HasSubstr("points less; the sink is there: +14.0 [13.7, 14.3] points above the level"));
}

TEST(Claims, SeveralSettingsFromWhichASinkIsNotGoneSayThatItIsThere) {
  Study study = EmptyStudy("experiment");
  for (const int decay : {1, 2}) {
    AddSeeds(&study, "sigmoid " + std::to_string(decay),
             {{kSimilarity, "sigmoid"}, {kNormalize, false}, {"train.weight_decay", decay}},
             {{"sink_rate/0.3/1", decay == 1 ? 0.15 : 0.0}}, 0.003);
    AddSeeds(&study, "softmax " + std::to_string(decay),
             {{kSimilarity, "softmax"}, {kNormalize, true}, {"train.weight_decay", decay}}, {{"sink_rate/0.3/1", 0.3}});
  }
  const Judgement judgement = JudgeFirst(study, kNoSigmoidSink);
  EXPECT_EQ(judgement.verdict, Verdict::kDoesNotHold);
  EXPECT_EQ(judgement.remark, "holds at 1 of 2; not at sigmoid 1; the sink is there");
  EXPECT_NEAR(judgement.effect->value, -14, 1e-9);
}

// Gives the runs of a point these values at the end, in the order of their seeds.
void SetSeeds(Study* study, const Point& point, const std::string& metric, const std::vector<double>& values) {
  for (size_t i = 0; i < values.size(); ++i) study->runs[point.runs[i]].curves[metric].back().value = values[i];
}

TEST(Claims, OneSeedWithASinkKeepsItFromBeingGone) {
  Study study = EmptyStudy("experiment");
  AddSeeds(&study, "sigmoid", {{kSimilarity, "sigmoid"}, {kNormalize, false}}, {{"alpha_max/1", 0.05}}, 0.001);
  AddSeeds(&study, "softmax", {{kSimilarity, "softmax"}, {kNormalize, true}}, {{"alpha_max/1", 0.9}});
  EXPECT_EQ(VerdictOf(study, kNoSigmoidSink), Verdict::kHolds);
  SetSeeds(&study, study.experiments[0].points[0], "alpha_max/1", {0.05, 0.05, 0.05, 0.05, 0.9});
  const Judgement judgement = JudgeFirst(study, kNoSigmoidSink);
  EXPECT_EQ(judgement.verdict, Verdict::kNotEnoughData);
  EXPECT_THAT(judgement.comparison, HasSubstr("weaker, but not surely gone"));
}

TEST(Claims, RunsThatWereStoppedEarlyLeaveNoSampleOfTheSeeds) {
  Study study = OfKey("train.learning_rate", {{8e-4, 0.3}, {1e-4, 0.02}});
  EXPECT_EQ(VerdictOf(study, kRate), Verdict::kHolds);
  study.runs.begin()->second.state = "CANCELLED";
  const Judgement judgement = JudgeFirst(study, kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kNotEnoughData);
  EXPECT_THAT(judgement.comparison, HasSubstr("1 run was cancelled or stopped early"));
}

// What quickstart's report once did: it took the first softmax of another experiment, whose architecture differs.
TEST(Claims, TheControlDiffersInWhatTheClaimIsAboutAndInNothingElse) {
  Study study = EmptyStudy("other");
  AddSeeds(&study, "larger", {{kSimilarity, "softmax"}, {kNormalize, true}, {"model.hidden_size", 256}},
           {{"sink_rate/0.3/1", 0.5}});
  study.experiments.push_back({"experiment", "", Json::object(), {}});
  AddSeeds(&study, "sigmoid", {{kSimilarity, "sigmoid"}, {kNormalize, false}, {"model.hidden_size", 64}},
           {{"sink_rate/0.3/1", 0.0}}, 0);
  const Judgement alone = Judge(study, study.experiments[1], kNoSigmoidSink);
  EXPECT_EQ(alone.verdict, Verdict::kNotEnoughData);
  EXPECT_EQ(alone.comparison,
            "this sweep has no control (similarity softmax) that differs in normalize, similarity alone from sigmoid");
  AddSeeds(&study, "twin", {{kSimilarity, "softmax"}, {kNormalize, true}, {"model.hidden_size", 64}},
           {{"sink_rate/0.3/1", 0.15}});
  const Judgement judged = Judge(study, study.experiments[1], kNoSigmoidSink);
  EXPECT_EQ(judged.verdict, Verdict::kHolds);
  EXPECT_THAT(judged.comparison, HasSubstr("at sigmoid against 15.0 ± 0.8 (5 seeds) at twin"));
}

TEST(Claims, SitsAtFindsTheSinkAmongThePositionsOfTheSameRuns) {
  const auto fixed = [](double at_two) {
    Study study = EmptyStudy("experiment");
    AddSeeds(&study, "data.fixed_token_position=2", {{"data.fixed_token_position", 2}},
             {{"sink_rate/0.3/1", 0.12}, {"sink_rate/0.3/2", at_two}, {"sink_rate/0.3/3", 0}}, 0.05);
    return JudgeFirst(study, SitsAt{SitsAt::Place::kFixedToken});
  };
  EXPECT_EQ(fixed(0.7).verdict, Verdict::kHolds);
  EXPECT_THAT(fixed(0.7).comparison,
              HasSubstr("70.0 ± 4.0 (5 seeds) at position 2 against 12.0 ± 4.0 (5 seeds) at position 1"));
  EXPECT_EQ(fixed(0.0).verdict, Verdict::kDoesNotHold);
  // The seeds rise and fall together: in each run the lead is 3 points, whatever their spread.
  EXPECT_EQ(fixed(0.15).verdict, Verdict::kHolds);
  EXPECT_EQ(fixed(0.13).verdict, Verdict::kDoesNotHold);  // a lead below what counts, for sure
}

TEST(Claims, APrefixMayHoldTheSinkOfEachSeedAtAnotherPosition) {
  Study study = EmptyStudy("experiment");
  AddSeeds(&study, "prefix", {{"model.variant.prefix_length", 3}},
           {{"sink_rate/0.3/1", 0}, {"sink_rate/0.3/2", 0}, {"sink_rate/0.3/3", 0}, {"sink_rate/0.3/4", 0}}, 0, 3);
  const Point& point = study.experiments[0].points[0];
  SetSeeds(&study, point, "sink_rate/0.3/1", {0.7, 0, 0});
  SetSeeds(&study, point, "sink_rate/0.3/2", {0, 0.71, 0});
  SetSeeds(&study, point, "sink_rate/0.3/3", {0, 0, 0.72});
  const Judgement judgement = JudgeFirst(study, SitsAt{SitsAt::Place::kPrefix});
  EXPECT_EQ(judgement.verdict, Verdict::kHolds) << judgement.comparison;
  EXPECT_THAT(judgement.comparison, HasSubstr("at positions 1, 2, 3 against"));
}

TEST(Claims, APlaceThatHoldsEveryMeasuredPositionSaysNothingAndIsLeftOut) {
  Study study = EmptyStudy("experiment");
  for (const int length : {1, 2})
    AddSeeds(&study, "model.variant.prefix_length=" + std::to_string(length), {{"model.variant.prefix_length", length}},
             {{"sink_rate/0.3/1", 0.5}, {"sink_rate/0.3/2", 0.02}});
  const Judgement judgement = JudgeFirst(study, SitsAt{SitsAt::Place::kPrefix});
  EXPECT_EQ(judgement.verdict, Verdict::kHolds) << judgement.comparison;
  EXPECT_THAT(judgement.comparison, HasSubstr("no position outside is measured at prefix_length=2"));
}

// Of the last setting that was added, no run has a result.
Study WithoutTheLast(Study study) {
  for (const std::string& id : study.experiments[0].points.back().runs) study.runs[id].state = "QUEUED";
  return study;
}

TEST(Claims, NothingHoldsOfSettingsOfWhichOneHasNoResult) {
  const Study batches = OfKey("train.global_batch_size", {{128, 0.16}, {256, 0.16}, {512, 0.16}}, 0.004);
  const Claim no_effect = NoEffect{.key = "train.global_batch_size"};
  EXPECT_EQ(VerdictOf(batches, no_effect), Verdict::kHolds);
  const Judgement open = JudgeFirst(WithoutTheLast(batches), no_effect);
  EXPECT_EQ(open.verdict, Verdict::kNotEnoughData);
  EXPECT_EQ(open.remark, "1 setting without a result");

  Study similarities = EmptyStudy("experiment");
  for (const int decay : {1, 2})
    AddSeeds(&similarities, "softmax " + std::to_string(decay),
             {{kSimilarity, "softmax"}, {kNormalize, true}, {"train.weight_decay", decay}}, {{"sink_rate/0.3/1", 0.3}});
  for (const int decay : {1, 2})
    AddSeeds(&similarities, "sigmoid " + std::to_string(decay),
             {{kSimilarity, "sigmoid"}, {kNormalize, false}, {"train.weight_decay", decay}}, {{"sink_rate/0.3/1", 0.0}},
             0.001);
  EXPECT_EQ(VerdictOf(similarities, kNoSigmoidSink), Verdict::kHolds);
  EXPECT_EQ(VerdictOf(WithoutTheLast(similarities), kNoSigmoidSink), Verdict::kNotEnoughData);

  Study fixed = EmptyStudy("experiment");
  for (const int position : {1, 2})
    AddSeeds(&fixed, "data.fixed_token_position=" + std::to_string(position), {{"data.fixed_token_position", position}},
             {{"sink_rate/0.3/1", position == 1 ? 0.5 : 0.02}, {"sink_rate/0.3/2", position == 2 ? 0.5 : 0.02}});
  const Claim follows = SitsAt{SitsAt::Place::kFixedToken};
  EXPECT_EQ(VerdictOf(fixed, follows), Verdict::kHolds);
  EXPECT_EQ(VerdictOf(WithoutTheLast(fixed), follows), Verdict::kNotEnoughData);
}

TEST(Claims, EarlierTellsOfTheRunsInWhichTheSinkCame) {
  Study study = OfKey("train.learning_rate", {{1e-3, 0.15}, {1e-4, 0.15}}, 0.0001);
  const Point& slow = study.experiments[0].points[1];
  for (const size_t seed : {0, 1})
    study.runs[slow.runs[seed]].curves["sink_rate/0.3/1"] = {{0, 0, 1}, {50, 0, 1}, {100, 0, 1}};
  const Judgement judgement = JudgeFirst(study, Earlier{.key = "train.learning_rate"});
  EXPECT_THAT(judgement.comparison, HasSubstr("from step 50 ± 0 (in 3 of 5 runs by step 100) at learning_rate 0.0001"));
  EXPECT_THAT(judgement.comparison, HasSubstr("a run without one counts as step 100: at least +20 ["));
  EXPECT_NEAR(judgement.effect->value, 20, 1e-9);  // (3 x 50 + 2 x 100) / 5 - 50
}

TEST(Claims, ASinkThatDoesNotComeWhereBothAreReadMayComeLater) {
  Study study = OfKey("train.learning_rate", {{1e-3, 0.15}, {1e-4, 0.15}}, 0.0001);
  for (const std::string& id : study.experiments[0].points[1].runs)
    study.runs[id].curves["sink_rate/0.3/1"] = {{0, 0, 1}, {50, 0, 1}, {100, 0, 1}};
  const Judgement judgement = JudgeFirst(study, Earlier{.key = "train.learning_rate"});
  EXPECT_THAT(judgement.comparison, HasSubstr("not by step 100 (in none of 5 runs) at learning_rate 0.0001"));
  EXPECT_TRUE(judgement.effect->at_least);
  EXPECT_THAT(ShowEffect(*judgement.effect), HasSubstr("at least +50 ["));
}

// Three settings; the loss of each is half way down at step 10, alpha_1 half way up at `sink`.
Study LossAndSink(int sink) {
  Study study = EmptyStudy("default");
  for (const double decay : {0.0, 0.1, 0.5}) {
    AddSeeds(&study, "train.weight_decay", {{"train.weight_decay", decay}, {"eval.every", 10}}, {{"alpha_max/1", 0.6}});
    for (const std::string& id : study.experiments[0].points.back().runs) {
      Run& run = study.runs[id];
      Curve loss, alpha;
      for (int step = 0; step <= 100; step += 10) {
        loss.push_back({step, step >= 10 ? 2.0 : 5.0, 1});
        alpha.push_back({step, step >= sink ? 0.6 : 0.1, 1});
      }
      run.curves["validation_loss/all"] = loss;
      run.curves["alpha_max/1"] = alpha;
    }
  }
  return study;
}

TEST(Claims, TheSinkComesAfterTheLossWhereItIsHalfWayLater) {
  const Judgement after = JudgeFirst(LossAndSink(60), AfterTheLoss{});
  EXPECT_EQ(after.verdict, Verdict::kHolds) << after.comparison;
  EXPECT_NEAR(after.effect->value, 50, 1e-9);
  EXPECT_EQ(after.effect->unit, "steps");
  EXPECT_THAT(after.comparison, HasSubstr("and after it in 0, of 15 trainings in which a sink emerged: +50 ["));
  EXPECT_EQ(VerdictOf(LossAndSink(10), AfterTheLoss{}), Verdict::kDoesNotHold);  // within one measurement
  Study none = LossAndSink(60);
  for (auto& [id, run] : none.runs) run.curves["alpha_max/1"] = {{0, 0.1, 1}, {50, 0.1, 1}, {100, 0.1, 1}};
  EXPECT_EQ(JudgeFirst(none, AfterTheLoss{}).remark, "no sink that emerged");
}

Study Windows(const std::vector<int>& windows) {
  Study study = EmptyStudy("window");
  for (const int window : windows)
    AddSeeds(&study, "model.variant.window=" + std::to_string(window), {{"model.variant.window", window}},
             {{"sink_rate/0.3/1", window < 64 ? 0.1 : 0.4}, {"sink_rate/0.3/2", 0.02}});
  return study;
}

TEST(Claims, AWindowAsLongAsTheSequencesIsNone) {
  const Claim wide = SitsAt{SitsAt::Place::kFirst, {}, "model.variant.window"};
  const Judgement judgement = JudgeFirst(Windows({32, 64, 128}), wide);  // of sequences of 64
  EXPECT_EQ(judgement.verdict, Verdict::kNotEnoughData);
  EXPECT_EQ(judgement.remark, "no wide window is shorter than the sequences");
  EXPECT_EQ(VerdictOf(Windows({16, 32, 128}), wide), Verdict::kHolds);
}

TEST(Claims, AWindowThatHidesTheFirstTokenFromSomeQueriesSaysWhatThatMeans) {
  const Trend narrow{.key = "model.variant.window"};
  EXPECT_THAT(JudgeFirst(Windows({32, 64}), narrow).comparison,
              HasSubstr("; 32 of a probe's 64 queries see position 1 with a window of 32: alpha_1 is at most 0.50"));
  EXPECT_THAT(JudgeFirst(Windows({32, 64}), narrow).remark, HasSubstr("alpha_1 is at most 0.50"));
  EXPECT_EQ(JudgeFirst(Windows({64, 128}), narrow).comparison.find("queries see"), std::string::npos);
}

TEST(Claims, StepsThatAreEqualAreNotCertain) {
  Study study = OfKey("train.learning_rate", {{1e-3, 0.15}, {1e-4, 0.012}}, 0.0001, 3);
  for (auto& [id, run] : study.runs) testing::Set(&run.settings, "eval.every", 50);
  const Judgement judgement = JudgeFirst(study, Earlier{.key = "train.learning_rate"});
  ASSERT_TRUE(judgement.effect->interval.has_value());
  EXPECT_NEAR(judgement.effect->value, 50, 1e-9);
  EXPECT_LT(judgement.effect->interval->low, 40);  // 50 steps, each known up to 50
  EXPECT_THAT(judgement.comparison, HasSubstr("steps, no more than one measurement"));
}

TEST(Claims, RunsThatHadOtherDataAreNotHeldAgainstEachOther) {
  Study study = OfKey("train.learning_rate", {{8e-4, 0.3}, {1e-4, 0.02}});
  for (auto& [id, run] : study.runs) {
    run.data_set = "text";
    run.data_content = "aa";
  }
  EXPECT_EQ(VerdictOf(study, kRate), Verdict::kHolds);
  study.runs.begin()->second.data_content = "bb";
  const Judgement judgement = JudgeFirst(study, kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kNotEnoughData);
  EXPECT_EQ(judgement.remark, "not all on the same data");
  study.runs.begin()->second.data_set = "other text";  // what an experiment may vary
  EXPECT_EQ(VerdictOf(study, kRate), Verdict::kHolds);
}

// Ends runs of a point as they do when their loss becomes NaN.
void Diverge(Study* study, const Point& point, size_t seeds) {
  for (size_t i = 0; i < seeds; ++i) {
    study->runs[point.runs[i]].state = "FAILED";
    study->runs[point.runs[i]].reason = "nan: the loss is NaN at step 12";
  }
}

TEST(Claims, SeedsThatDivergedAreCountedBesideTheVerdict) {
  Study study = OfKey("train.learning_rate", {{8e-4, 0.3}, {1e-4, 0.02}});
  Diverge(&study, study.experiments[0].points[0], 1);
  const Judgement judgement = JudgeFirst(study, kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kHolds);
  EXPECT_EQ(judgement.remark, "1 seed diverged");
  EXPECT_THAT(judgement.comparison, HasSubstr("(4 of 5 seeds)"));
  // A run that came to its end with a value that is none diverged, too.
  study.runs[study.experiments[0].points[1].runs[0]].curves["sink_rate/0.3/1"].back().value = NAN;
  EXPECT_EQ(JudgeFirst(study, kRate).remark, "2 seeds diverged");
}

TEST(Claims, ASettingOfWhichMostSeedsDivergedDecidesNothing) {
  Study study = OfKey("train.learning_rate", {{8e-4, 0.3}, {4e-4, 0.3}, {1e-4, 0.02}}, 0.01, 7);
  Diverge(&study, study.experiments[0].points[0], 3);
  EXPECT_EQ(VerdictOf(study, kRate), Verdict::kHolds);
  Diverge(&study, study.experiments[0].points[0], 4);  // three are left, as many as a verdict takes
  const Judgement judgement = JudgeFirst(study, kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kNotEnoughData);
  EXPECT_EQ(judgement.remark, "more than half of a setting's seeds diverged; 4 seeds diverged");
  // With none left the others are what they were, and it is said which setting is not among them.
  Diverge(&study, study.experiments[0].points[0], 7);
  EXPECT_EQ(VerdictOf(study, kRate), Verdict::kHolds);
  EXPECT_EQ(JudgeFirst(study, kRate).remark, "7 seeds diverged (all of learning_rate=0.0008)");
}

TEST(Claims, InASeedThatDivergedNoSinkComesToStay) {
  Study study = OfKey("train.learning_rate", {{1e-3, 0.15}, {1e-4, 0.012}}, 0.0001);
  Diverge(&study, study.experiments[0].points[0], 2);
  const Judgement judgement = JudgeFirst(study, Earlier{.key = "train.learning_rate"});
  EXPECT_THAT(judgement.comparison, HasSubstr("from step 50 ± 0 (in 3 of 5 runs by step 100) at learning_rate 0.001"));
  EXPECT_FALSE(judgement.effect->at_least);        // both sides are cut off
  EXPECT_NEAR(judgement.effect->value, 30, 1e-9);  // 100 - (3 x 50 + 2 x 100) / 5
}

TEST(Claims, SeedsThatAreStillToComeAreCountedBesideTheVerdict) {
  Study study = OfKey("train.learning_rate", {{8e-4, 0.3}, {1e-4, 0.02}});
  study.runs.begin()->second.state = "RUNNING";
  const Judgement judgement = JudgeFirst(study, kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kHolds);
  EXPECT_EQ(judgement.remark, "1 seed is still to come");
}

TEST(Claims, OnlyRunsOfTheSettingsThatAreSpokenOfCountAndEachOnce) {
  Study study = EmptyStudy("experiment");
  AddSeeds(&study, "softmax", {{kSimilarity, "softmax"}, {kNormalize, true}}, {{"sink_rate/0.3/1", 0.3}});
  AddSeeds(&study, "softpick", {{kSimilarity, "softpick"}, {kNormalize, true}}, {{"sink_rate/0.3/1", 0.3}});
  study.runs[study.experiments[0].points[1].runs[0]].state = "CANCELLED";
  EXPECT_EQ(VerdictOf(study, Present{.where = {{kSimilarity, "softmax"}}}), Verdict::kHolds);

  Study shared = OfKey("train.learning_rate", {{8e-4, 0.3}, {1e-4, 0.02}});
  const Point point = shared.experiments[0].points[0];
  shared.runs[point.runs[0]].state = "CANCELLED";
  shared.experiments.push_back({"again", "", Json::object(), {point}});
  EXPECT_EQ(JudgeFirst(shared, kRate).remark, "1 run was cancelled or stopped early");
}

// One of several settings that refutes a claim was chosen by the numbers.
TEST(Claims, OneOfSeveralSettingsRefutesInAWiderInterval) {
  const auto judged = [](int others) {
    std::vector<Planted> settings = {{1, 0.008, 0.6}};  // a rate of 0.8 % and, of three seeds, 0.05 points of deviation
    for (int i = 0; i < others; ++i) settings.push_back({2.0 + i, 0.3, 0.6});
    return JudgeFirst(OfKey("model.num_attention_heads", settings, 0.0005, 3), Present{});
  };
  EXPECT_EQ(judged(1).verdict, Verdict::kDoesNotHold) << judged(1).comparison;
  EXPECT_EQ(judged(5).verdict, Verdict::kNotEnoughData) << judged(5).comparison;
  EXPECT_EQ(judged(5).remark, "holds at 5 of 6; undecided at num_attention_heads=1");
}

TEST(Claims, ModelsThatAreMeasuredHaveNoSeeds) {
  Study study = EmptyStudy("experiment");
  AddPoint(&study, "model=a", {FinishedRun(1, {{"kind", "evaluate"}}, {{"sink_rate/0.3/1", 0.7}})});
  AddPoint(&study, "model=b", {FinishedRun(2, {{"kind", "evaluate"}}, {{"sink_rate/0.3/1", 0.3}})});
  EXPECT_EQ(VerdictOf(study, Present{}), Verdict::kHolds);
}

TEST(Claims, ThePublishedNumbersAreReadByTheSameClaim) {
  Study study = OfKey("train.learning_rate", {{8e-4, 0.01}, {4e-4, 0.01}, {1e-4, 0.2}});
  study.experiments[0].paper = {{"source", "Table 9"}, {"sink_rate_percent", {32.23, nullptr, 2.9}}};
  const Judgement judgement = JudgeFirst(study, kRate);
  EXPECT_EQ(judgement.verdict, Verdict::kDoesNotHold);
  ASSERT_TRUE(judgement.paper_effect.has_value());
  EXPECT_NEAR(judgement.paper_effect->value, 29.33, 1e-9);
  EXPECT_FALSE(judgement.paper_effect->interval.has_value());
  EXPECT_THAT(judgement.paper, HasSubstr("32.2 at learning_rate 0.0008 against 2.9 at learning_rate 0.0001"));
}

TEST(Claims, ThePublishedEffectStandsBesideOursWhateverEitherIsMeasuredBy) {
  Study study = OfKey("train.learning_rate", {{8e-4, 0.06, 0.6}, {1e-4, 0.0, 0.1}}, 0.001);
  study.experiments[0].paper = {{"sink_rate_percent", {32.23, 2.9}}};
  const Judgement judgement = JudgeFirst(study, kRate);
  EXPECT_EQ(judgement.effect->unit, "alpha");
  ASSERT_TRUE(judgement.paper_effect.has_value());
  EXPECT_EQ(judgement.paper_effect->unit, "points");
  // How far a sink that is there lies above the level of one is no match for how much weaker the paper's became.
  Study there = EmptyStudy("experiment");
  AddSeeds(&there, "sigmoid", {{kSimilarity, "sigmoid"}, {kNormalize, false}}, {{"sink_rate/0.3/1", 0.15}}, 0.003);
  AddSeeds(&there, "softmax", {{kSimilarity, "softmax"}, {kNormalize, true}}, {{"sink_rate/0.3/1", 0.18}}, 0.003);
  there.experiments[0].paper = {{"sink_rate_percent", {0.44, 18.18}}};
  EXPECT_FALSE(JudgeFirst(there, kNoSigmoidSink).paper_effect.has_value());
}

// A profile laid the settings of two experiments over each other; the paper has a number for each.
TEST(Claims, AControlIsOfAnExperimentThatVariesTheSameKeys) {
  Study study = EmptyStudy("positions");
  AddSeeds(&study, "sinusoidal", {{kSimilarity, "softmax"}, {kNormalize, true}, {"train.weight_decay", 0.0}},
           {{"sink_rate/0.3/1", 0.3}});
  study.experiments[0].paper = {{"sink_rate_percent", {32.73}}};
  for (const bool softmax : {false, true}) {
    study.experiments.push_back({softmax ? "control" : "robustness", "", Json::object(), {}});
    for (const double decay : {0.0, 0.1})
      AddSeeds(&study, "train.weight_decay=" + std::to_string(decay),
               {{kSimilarity, softmax ? "softmax" : "sigmoid"}, {kNormalize, softmax}, {"train.weight_decay", decay}},
               {{"sink_rate/0.3/1", softmax ? 0.3 : 0.0}}, 0.001);
  }
  study.experiments[1].paper = {{"sink_rate_percent", {0.64, 0.44}}};
  study.experiments[2].paper = {{"sink_rate_percent", {15.20, 18.18}}};
  const Judgement judgement = Judge(study, study.experiments[1], kNoSigmoidSink);
  EXPECT_THAT(judgement.paper, HasSubstr("0.6 at weight_decay=0.000000 against 15.2 at"));
  ASSERT_EQ(judgement.against.size(), 2u);
  EXPECT_EQ(judgement.against[0].control, study.experiments[2].points[0].runs[0]);
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
