// When a planted sink comes and stays, and what comes before it.
#include "coordinator/report/emergence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/coordinator/report/studies.h"

namespace sink::report {
namespace {

using ::testing::ElementsAre;
using testing::EmptyStudy;

Curve Steps(const std::vector<double>& values) {
  Curve curve;
  for (size_t i = 0; i < values.size(); ++i) curve.push_back({static_cast<int64_t>(100 * i), values[i], 1});
  return curve;
}

// Each seed's sink comes a step later than the one before; the loss falls first, the norm rises last.
Study Emerging(int seeds = 3) {
  Study study = EmptyStudy("experiment");
  std::vector<report::Run> runs;
  for (int seed = 0; seed < seeds; ++seed) {
    report::Run run = testing::FinishedRun(seed, {{"train.seed", seed}}, {});
    std::vector<double> alpha(10, 0.8);
    for (int i = 0; i < 3 + seed; ++i) alpha[i] = 0.1;
    run.curves["alpha_max/1"] = Steps(alpha);
    run.curves["sink_rate/0.3/1"] = Steps({0, 0.05, 0, 0, 0, 0, 0.05, 0.05, 0.05, 0.05});
    run.curves["validation_loss/all"] = Steps({5, 3, 2.5, 2.4, 2.3, 2.2, 2.1, 2, 2, 2});
    run.curves["hidden_norm_ratio/1"] = Steps({1, 1, 1, 1, 1, 1, 1, 1, 3, 3});
    run.curves["hidden_norm_ratio/2"] = Steps({1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1});
    run.curves["value_norm_ratio/1"] = Steps(std::vector<double>(10, 1.0));
    runs.push_back(run);
  }
  testing::AddPoint(&study, "a", runs);
  return study;
}

// Of its only experiment.
Emerged SinksOf(const Study& study) { return RunsWithAnEmergedSink(study, study.experiments[0]); }

TEST(Emergence, IsTheStepFromWhichAThresholdIsKept) {
  const Study study = Emerging();
  const Onsets alpha = AlphaOnsets(study, study.experiments[0].points[0], 0.3);
  EXPECT_EQ(alpha.runs, 3);
  EXPECT_THAT(alpha.steps, ElementsAre(300, 400, 500));
  EXPECT_EQ(ShowOnsets(alpha), "step 400 (300 to 500), 205k tokens, in 3 of 3 runs");
  // The sink rate passed it early, but fell back.
  EXPECT_THAT(RateOnsets(study, study.experiments[0].points[0], 1).steps, ElementsAre(600, 600, 600));
}

TEST(Emergence, OfRunsWhoseBatchIsNotKnownNoTokensAreTold) {
  Study study = Emerging();
  for (auto& [id, run] : study.runs) testing::Set(&run.settings, "train.global_batch_size", nullptr);
  EXPECT_EQ(ShowOnsets(AlphaOnsets(study, study.experiments[0].points[0], 0.3)),
            "step 400 (300 to 500), in 3 of 3 runs");
  study.runs[testing::Id(0)].curves["alpha_max/1"].back().value = 0.1;
  study.runs[testing::Id(1)].curves["alpha_max/1"].back().value = 0.1;
  EXPECT_EQ(ShowOnsets(AlphaOnsets(study, study.experiments[0].points[0], 0.3)),
            "not within 900 steps, in 1 of 3 runs, the earliest at step 500");
}

TEST(Emergence, ARunThatFallsBackOrIsNanNeverKeepsASink) {
  Study study = Emerging();
  study.runs[testing::Id(0)].curves["alpha_max/1"].back().value = 0.1;
  study.runs[testing::Id(1)].curves["alpha_max/1"].back().value = NAN;
  EXPECT_EQ(ShowOnsets(AlphaOnsets(study, study.experiments[0].points[0], 0.3)),
            "not within 900 steps, in 1 of 3 runs (1 diverged), the earliest at step 500 (256k tokens)");
  study.runs[testing::Id(1)].curves["alpha_max/1"].back().value = 0.8;
  EXPECT_EQ(ShowOnsets(AlphaOnsets(study, study.experiments[0].points[0], 0.9)),
            "not within 900 steps, in none of 3 runs");
}

TEST(Emergence, ALastMeasurementAloneDoesNotShowThatASinkStays) {
  Study study = Emerging();
  std::vector<double> late(10, 0.1);
  late.back() = 0.8;
  study.runs[testing::Id(2)].curves["alpha_max/1"] = Steps(late);
  const Onsets onsets = AlphaOnsets(study, study.experiments[0].points[0], 0.3);
  EXPECT_THAT(onsets.steps, ElementsAre(300, 400));
  EXPECT_EQ(ShowOnsets(onsets), "step 400 (300 to 400), 205k tokens, in 2 of 3 runs (1 at the last measurement alone)");
  const Emerged emerged = SinksOf(study);
  EXPECT_EQ(emerged.runs, 2);
  EXPECT_EQ(emerged.unconfirmed, 1);
  EXPECT_EQ(OrderOfEmergence(emerged)[0].before, 2);
}

TEST(Emergence, ASinkAtStepZeroIsThereFromTheStartAndHasNotEmerged) {
  Study study = Emerging();
  const Point& point = study.experiments[0].points[0];
  study.runs[testing::Id(0)].curves["alpha_max/1"] = Steps(std::vector<double>(10, 0.8));
  EXPECT_EQ(ShowOnsets(AlphaOnsets(study, point, 0.3)),
            "step 400 (0 to 500), 205k tokens, in 3 of 3 runs (1 from the start)");
  const Emerged emerged = SinksOf(study);
  EXPECT_EQ(emerged.runs, 2);
  EXPECT_EQ(emerged.from_start, 1);
  for (auto& [id, run] : study.runs) run.curves["alpha_max/1"] = Steps({0.4, 0.4, 0.4, 0.4, 0.4, 0.9, 0.9, 0.9});
  EXPECT_EQ(ShowOnsets(AlphaOnsets(study, point, 0.3)), "there from the start, in 3 of 3 runs");
  EXPECT_TRUE(OrderOfEmergence(SinksOf(study)).empty());
  for (auto& [id, run] : study.runs) run.curves["alpha_max/1"].erase(run.curves["alpha_max/1"].begin());
  EXPECT_FALSE(ThereFromTheStart(study.run(testing::Id(0))));  // nobody looked at step 0
}

TEST(Emergence, ARunThatWasStoppedEarlyIsOneWithoutASink) {
  Study study = Emerging();
  study.runs[testing::Id(0)].state = "CANCELLED";
  const Onsets onsets = AlphaOnsets(study, study.experiments[0].points[0], 0.3);
  EXPECT_EQ(ShowOnsets(onsets), "step 500 (400 to 500), 256k tokens, in 2 of 3 runs (1 did not finish)");
  study.runs[testing::Id(0)].state = "RUNNING";
  EXPECT_EQ(AlphaOnsets(study, study.experiments[0].points[0], 0.3).runs, 2);
}

TEST(Emergence, ARunThatDivergedIsOneWithoutASinkWhateverItHad) {
  Study study = Emerging();
  study.runs[testing::Id(1)].state = "FAILED";
  study.runs[testing::Id(1)].reason = "nan: the loss is NaN at step 900";
  study.runs[testing::Id(2)].state = "FAILED";
  study.runs[testing::Id(2)].reason = "infra: the disk is full";
  const Onsets onsets = AlphaOnsets(study, study.experiments[0].points[0], 0.3);
  EXPECT_EQ(onsets.diverged, 1);
  EXPECT_EQ(ShowOnsets(onsets),
            "not within 900 steps, in 1 of 3 runs (1 diverged, 1 did not finish), the earliest at step 300 (154k "
            "tokens)");
}

// Else a setting would look earlier for every late seed that it loses.
TEST(Emergence, ARunWithoutASinkIsLaterThanAnyInTheMedian) {
  Study study = Emerging(5);
  const Point& point = study.experiments[0].points[0];
  EXPECT_EQ(AlphaOnsets(study, point, 0.3).median(), 500);
  for (const int late : {3, 4}) study.runs[testing::Id(late)].curves["alpha_max/1"].back().value = 0.1;
  EXPECT_EQ(AlphaOnsets(study, point, 0.3).median(), 500);  // of 300, 400, 500, never, never
  study.runs[testing::Id(2)].curves["alpha_max/1"].back().value = 0.1;
  EXPECT_FALSE(AlphaOnsets(study, point, 0.3).median().has_value());
  const Study even = Emerging(4);
  EXPECT_EQ(AlphaOnsets(even, even.experiments[0].points[0], 0.3).median(), 450);
}

// A second setting of three runs like those of Emerging, but for the loss of each.
void AddSetting(Study* study, const std::vector<std::vector<double>>& losses) {
  const Study other = Emerging();
  std::vector<report::Run> runs;
  for (int seed = 0; seed < 3; ++seed) {
    report::Run run = other.run(testing::Id(seed));
    run.id = testing::Id(10 + seed);
    testing::Set(&run.settings, "train.seed", 10 + seed);
    run.curves["validation_loss/all"] = Steps(losses[static_cast<size_t>(seed)]);
    runs.push_back(run);
  }
  testing::AddPoint(study, "b", runs);
}

TEST(Emergence, TwoSettingsThatDisagreeDecideNoOrder) {
  const std::vector<double> early = {5, 2, 2, 2, 2, 2, 2, 2, 2, 2}, late = {5, 5, 5, 5, 5, 5, 5, 5, 5, 2};
  const auto order = [](const std::vector<std::vector<double>>& losses) {
    Study study = Emerging();
    AddSetting(&study, losses);
    return OrderText(OrderOfEmergence(SinksOf(study))[0]);
  };
  EXPECT_EQ(order({early, early, early}), "before the sink");
  EXPECT_EQ(order({late, late, late}), "not decided");
  // In the mean it comes before, there too, but not surely: by 200, 300 and -400 steps.
  EXPECT_EQ(order({early, early, late}), "not decided");
}

TEST(Emergence, EqualLagsOfSettingsAreNotCertain) {
  Study study = EmptyStudy("experiment");
  for (int setting = 0; setting < 3; ++setting) {
    report::Run run = Emerging().run(testing::Id(0));
    run.id = testing::Id(20 + setting);
    testing::Set(&run.settings, "train.seed", setting);
    testing::Set(&run.settings, "eval.every", 100);
    testing::AddPoint(&study, std::to_string(setting), {run});
  }
  const Order loss = OrderOfEmergence(SinksOf(study))[0];
  EXPECT_EQ(loss.mean, 200);
  ASSERT_TRUE(loss.interval.has_value());  // each known up to 100 sqrt(2): 4.303 x 40.8 / sqrt(3)
  EXPECT_NEAR(loss.interval->high, 200 + 101.4, 0.1);
}

TEST(Emergence, SeedsOfOneSettingAreNoDrawsOfWhatSettingsDo) {
  Study study = Emerging();
  const Study other = Emerging();
  std::vector<report::Run> runs;
  for (int seed = 0; seed < 3; ++seed) {
    report::Run run = other.run(testing::Id(seed));
    run.id = testing::Id(10 + seed);
    testing::Set(&run.settings, "train.seed", 10 + seed);
    runs.push_back(run);
  }
  testing::AddPoint(&study, "b", runs);
  const Order loss = OrderOfEmergence(SinksOf(study))[0];
  EXPECT_EQ(loss.before, 6);
  ASSERT_TRUE(loss.interval.has_value());  // of three runs, not of six: 300 plus or minus 4.303 x 100 / sqrt(3)
  EXPECT_NEAR(loss.interval->low, 300 - 248.4, 0.1);
}

// The runs of Emerging without a window, and again in a second setting, each as `change` makes it.
template <typename Change>
Emerged Twice(Change change) {
  Study study = Emerging();
  std::vector<report::Run> again;
  for (auto& [id, run] : study.runs) {
    testing::Set(&run.settings, "model.variant.window", 0);
    testing::Set(&run.settings, "train.max_steps", 900);
    again.push_back(run);
    again.back().id = testing::Id(10 + static_cast<int>(again.size()));
    change(&again.back());
  }
  testing::AddPoint(&study, "b", again);
  return SinksOf(study);
}

TEST(Emergence, AWindowAsLongAsTheSequenceIsNone) {
  const auto with_window = [](int window) {
    return [window](report::Run* run) {
      testing::Set(&run->settings, "model.variant.window", window);
      for (Sample& sample : run->curves["alpha_max/1"]) sample.value *= 1.05;  // another kernel rounds otherwise
    };
  };
  EXPECT_EQ(Twice(with_window(64)).runs, 3);
  EXPECT_EQ(Twice(with_window(64)).repeats, 3);
  EXPECT_EQ(Twice(with_window(32)).runs, 6);
}

TEST(Emergence, ARunThatGoesOnWhereAnotherEndsCountsOnceWithIt) {
  const auto longer = [](report::Run* run) {
    testing::Set(&run->settings, "train.max_steps", 1800);
    for (auto& [name, curve] : run->curves)
      for (int i = 10; i < 19; ++i) curve.push_back({100 * i, curve.back().value * 1.1, 1});
  };
  EXPECT_EQ(Twice(longer).runs, 3);
  EXPECT_EQ(Twice(longer).repeats, 3);
  EXPECT_EQ(Twice([&](report::Run* run) {  // its learning rate falls otherwise
              longer(run);
              run->curves["validation_loss/all"][5].value *= 1.01;
            })
                .runs,
            6);
  EXPECT_EQ(Twice([](report::Run* run) { testing::Set(&run->settings, "train.seed", 42); }).runs, 4);
  EXPECT_EQ(Twice([](report::Run* run) { testing::Set(&run->settings, "train.seed", nullptr); }).runs, 6);
}

TEST(Emergence, OfTrainingsThatAreOneTheLongestCounts) {
  Study study = Emerging();
  std::vector<report::Run> again;
  for (const auto& [id, run] : study.runs) {
    again.push_back(run);
    report::Run& longer = again.back();
    longer.id = testing::Id(10 + static_cast<int>(again.size()));
    longer.step = longer.max_steps = 1800;
    for (auto& [name, curve] : longer.curves) curve.push_back({1800, curve.back().value, 1});
  }
  testing::AddPoint(&study, "longer", again);
  const Emerged emerged = SinksOf(study);
  ASSERT_EQ(emerged.settings.size(), 1u);
  ASSERT_EQ(emerged.settings[0].size(), 3u);
  for (const report::Run* run : emerged.settings[0]) EXPECT_EQ(run->step, 1800);
}

TEST(Emergence, HalfOfTheWayIsComparedAcrossQuantities) {
  const Study study = Emerging();
  const report::Run& run = study.run(testing::Id(0));
  EXPECT_EQ(HalfWay(run, Quantity::kSink), 300);
  EXPECT_EQ(HalfWay(run, Quantity::kLoss), 100);
  EXPECT_EQ(HalfWay(run, Quantity::kHiddenNorm), 800);  // of the layer that changes most
  EXPECT_FALSE(HalfWay(run, Quantity::kValueNorm).has_value());
  EXPECT_FALSE(HalfWay(run, Quantity::kKeyNorm).has_value());
}

TEST(Emergence, OrderIsDecidedByTheIntervalOverRunsWithASink) {
  Study study = Emerging();
  std::vector<Order> orders = OrderOfEmergence(SinksOf(study));
  ASSERT_EQ(orders.size(), 3u);  // keys were not measured
  EXPECT_EQ(orders[0].quantity, Quantity::kLoss);
  EXPECT_EQ(orders[0].before, 3);
  EXPECT_EQ(OrderText(orders[0]), "before the sink");
  EXPECT_EQ(OrderText(orders[1]), "after the sink");
  EXPECT_EQ(OrderText(orders[2]), "not decided");                       // values went no way
  study.runs[testing::Id(0)].curves["alpha_max/1"].back().value = 0.1;  // no sink in the end
  orders = OrderOfEmergence(SinksOf(study));
  EXPECT_EQ(orders[0].before, 2);
  EXPECT_EQ(OrderText(orders[0]), "not decided");
}

TEST(Emergence, SaysHowFarALossHasFallenWhenTheSinkComes) {
  Study study = Emerging();
  const Summary loss = GoneAtTheSink(SinksOf(study), Quantity::kLoss);
  EXPECT_EQ(loss.n, 3);  // 2.6, 2.7 and 2.8 of 3 nats, at steps 300, 400 and 500
  EXPECT_NEAR(loss.mean, 0.9, 1e-9);
  EXPECT_NEAR(loss.least, 2.6 / 3, 1e-9);
  EXPECT_EQ(GoneAtTheSink(SinksOf(study), Quantity::kValueNorm).n, 0);  // went no way
  for (auto& [id, run] : study.runs) run.curves["alpha_max/1"].back().value = 0.1;
  EXPECT_EQ(GoneAtTheSink(SinksOf(study), Quantity::kLoss).n, 0);
}

}  // namespace
}  // namespace sink::report
