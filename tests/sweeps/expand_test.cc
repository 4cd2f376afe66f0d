// What a sweep file means: which jobs, in which order, under which labels and ids.
#include "sweeps/expand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/sweeps/files.h"

namespace sink {
namespace {

using ::testing::ElementsAre;
using testing::ExpandText;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Labels;
using testing::ReadFrom;

TEST(ExpandSweep, LastGridKeyIsFastest) {
  const auto sweep =
      ExpandText("experiments: [{name: a, grid: {train.learning_rate: [1e-3, 1e-4], train.seed: [1, 2]}}]\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_THAT(Labels(*sweep),
              ElementsAre("train.learning_rate=0.001 train.seed=1", "train.learning_rate=0.001 train.seed=2",
                          "train.learning_rate=0.0001 train.seed=1", "train.learning_rate=0.0001 train.seed=2"));
  EXPECT_EQ(sweep->experiments[0].arithmetic, "a: 2 (train.learning_rate) x 2 (train.seed) = 4 jobs");
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(sweep->jobs[i].index, i);
    EXPECT_EQ(sweep->jobs[i].point, i);
  }
}

TEST(ExpandSweep, JobCarriesItsCanonicalConfigurationAndId) {
  const auto sweep = ExpandText("experiments: [{name: a, set: {train.learning_rate: 1e-3}}]\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  const ExpandedJob& job = sweep->jobs.at(0);
  JobConfig expected;
  expected.train.learning_rate = 1e-3;
  expected.train.global_batch_size = 8;
  expected.train.micro_batch_size = 1;
  EXPECT_EQ(job.config_json, PrintJobConfig(expected));
  EXPECT_EQ(job.id, JobId(expected));
  EXPECT_EQ(job.config.train.learning_rate, 1e-3);
  EXPECT_EQ(job.label, "train.learning_rate=0.001");
}

TEST(ExpandSweep, ExperimentThatVariesNothingIsOneDefaultJob) {
  const auto sweep = ExpandText("experiments: [{name: a}]\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_THAT(Labels(*sweep), ElementsAre("default"));
  EXPECT_EQ(sweep->experiments[0].arithmetic, "a: 1 job");
  EXPECT_EQ(sweep->experiments[0].paper_json, "{}");
}

TEST(ExpandSweep, ZipGroupAdvancesTogetherAndMultipliesWithGrid) {
  const auto sweep = ExpandText(
      "experiments:\n"
      "  - name: a\n"
      "    zip: {schedule: {train.learning_rate: [1e-3, 1e-4], train.max_steps: [10, 20]}}\n"
      "    grid: {train.seed: [1, 2]}\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_THAT(Labels(*sweep), ElementsAre("train.seed=1 train.learning_rate=0.001 train.max_steps=10",
                                          "train.seed=1 train.learning_rate=0.0001 train.max_steps=20",
                                          "train.seed=2 train.learning_rate=0.001 train.max_steps=10",
                                          "train.seed=2 train.learning_rate=0.0001 train.max_steps=20"));
  EXPECT_EQ(sweep->experiments[0].arithmetic, "a: 2 (train.seed) x 2 (schedule) = 4 jobs");
}

TEST(ExpandSweep, WhenRulesRunInOrderAndSeeEarlierOnes) {
  const auto sweep = ExpandText(
      "experiments:\n"
      "  - name: a\n"
      "    grid: {train.learning_rate: [1e-3, 1e-4]}\n"
      "    when:\n"
      "      - {if: train.learning_rate <= 1e-4, set: {train.max_steps: 40}}\n"
      "      - {if: train.max_steps == 40, set: {train.warmup_steps: 7}}\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_THAT(Labels(*sweep), ElementsAre("train.learning_rate=0.001",
                                          "train.learning_rate=0.0001 train.max_steps=40 train.warmup_steps=7"));
  EXPECT_EQ(sweep->jobs[0].config.train.max_steps, 20000);
  EXPECT_EQ(sweep->jobs[1].config.train.max_steps, 40);
  EXPECT_EQ(sweep->jobs[1].config.train.warmup_steps, 7);
}

TEST(ExpandSweep, IncludeComesAfterExcludeAndIsNotSubjectToRules) {
  const auto sweep = ExpandText(
      "experiments:\n"
      "  - name: a\n"
      "    set: {train.weight_decay: 0.5}\n"
      "    grid: {train.seed: [1, 2, 3]}\n"
      "    when: [{if: train.seed >= 3, set: {train.max_steps: 9}}]\n"
      "    exclude: [train.seed == 2]\n"
      "    include: [{label: control, train.seed: 2}, {label: third, train.seed: 3}]\n"
      "replicas: 2\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_THAT(Labels(*sweep),
              ElementsAre("train.seed=1 replica=1", "train.seed=2 replica=2",
                          "train.seed=3 train.max_steps=9 replica=1", "train.seed=4 train.max_steps=9 replica=2",
                          "control replica=1", "control replica=2", "third replica=1", "third replica=2"));
  EXPECT_EQ(sweep->experiments[0].arithmetic, "a: (3 (train.seed) - 1 excluded + 2 included) x 2 replicas = 8 jobs");
  EXPECT_EQ(sweep->experiments[0].points, 4);
  EXPECT_EQ(sweep->jobs[4].config.train.weight_decay, 0.5);
  EXPECT_EQ(sweep->jobs[6].config.train.max_steps, 20000);
  EXPECT_EQ(sweep->jobs[7].point, 3);
}

TEST(ExpandSweep, IncludeAloneMakesOnlyTheIncludedPoints) {
  const auto sweep = ExpandText("experiments: [{name: a, include: [{label: x, train.seed: 5}]}]\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_THAT(Labels(*sweep), ElementsAre("x"));
  EXPECT_EQ(sweep->experiments[0].arithmetic, "a: 1 included = 1 job");
}

TEST(ExpandSweep, ReplicasCountSeedsUpFromTheBase) {
  const auto sweep = ExpandText("data: {set: x}\nexperiments: [{name: a, set: {train.seed: 7}}]\nreplicas: 3\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(sweep->jobs[0].config.train.seed, 7);
  EXPECT_EQ(sweep->jobs[2].config.train.seed, 9);
  EXPECT_EQ(sweep->experiments[0].points, 1);
  EXPECT_EQ(sweep->experiments[0].arithmetic, "a: 1 x 3 replicas = 3 jobs");
}

TEST(ExpandSweep, NearerFilesReplaceFartherOnes) {
  const std::map<std::string, std::string> files = {
      {"study/s.yaml",
       "schema: sink/v1\nname: s\nbase: ../presets/a.yaml\ntrain: {warmup_steps: 3}\nexperiments: [{name: e}]\n"},
      {"presets/a.yaml", "base: deep/b.yaml\ntrain: {warmup_steps: 2, log_every: 2, seed: 2}\n"},
      {"presets/deep/b.yaml", "train: {warmup_steps: 1, log_every: 1, max_steps: 1, seed: 1}\n"},
      {"p.yaml", "train: {seed: 3}\nresources: {devices: 2, max_time: 90m}\nlimits: {max_parallel: 4}\n"},
      {"q.yaml", "base: p.yaml\ntrain: {threads: 4}\nresources: {devices: 4}\n"}};
  const auto sweep = ExpandSweep({"study/s.yaml", {"p.yaml", "q.yaml"}, ReadFrom(files)});
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  const TrainConfig& train = sweep->jobs[0].config.train;
  EXPECT_EQ(train.warmup_steps, 3);
  EXPECT_EQ(train.log_every, 2);
  EXPECT_EQ(train.max_steps, 1);
  EXPECT_EQ(train.seed, 3);
  EXPECT_EQ(train.threads, 4);
  EXPECT_EQ(sweep->devices, 4);
  EXPECT_EQ(sweep->max_time, absl::Minutes(90));
  EXPECT_EQ(sweep->max_parallel, 4);
}

TEST(ExpandSweep, DevicesComeInGroupsAndFitTheBatch) {
  const auto expand = [](const std::string& rest) { return ExpandText("experiments: [{name: a}]\n" + rest); };
  EXPECT_EQ(expand("resources: {devices: 8, per_worker: 4}\n")->per_worker, 4);
  EXPECT_EQ(expand("resources: {devices: 8}\n")->per_worker, 0);
  const auto message = [&](const std::string& rest) { return std::string(expand(rest).status().message()); };
  EXPECT_THAT(message("resources: {devices: 8, per_worker: 3}\n"),
              HasSubstr("resources.per_worker 3 must divide resources.devices 8"));
  EXPECT_THAT(message("resources: {devices: 3}\n"),
              HasSubstr("train.global_batch_size 8 must be a multiple of train.micro_batch_size 1 x "
                        "resources.devices 3"));
  EXPECT_THAT(message("kind: evaluate\nevaluate: {model: gpt2}\nresources: {devices: 2}\n"),
              HasSubstr("kind evaluate runs on one device; set resources.devices to 1"));
}

TEST(ExpandSweep, MicroBatchMayBeAutomatic) {
  const std::string body = "experiments:\n  - {name: a, grid: {train.micro_batch_size: [auto, 2]}}\n";
  const auto sweep = ExpandText(body + "resources: {devices: 2}\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  ASSERT_EQ(sweep->jobs.size(), 2u);
  EXPECT_EQ(sweep->jobs[0].config.train.micro_batch_size, 0);
  EXPECT_EQ(sweep->jobs[1].config.train.micro_batch_size, 2);
  EXPECT_EQ(sweep->jobs[0].label, "train.micro_batch_size=auto");
  const auto message = [](const std::string& text) { return std::string(ExpandText(text).status().message()); };
  EXPECT_THAT(message(body + "resources: {devices: 3}\n"),
              HasSubstr("train.global_batch_size 8 must be a multiple of resources.devices 3"));
  EXPECT_THAT(
      message("experiments:\n  - {name: a, random: {n: 2, seed: 1, train.micro_batch_size: {uniform: [auto, 8]}}}\n"),
      HasSubstr("both must be numbers"));
}

TEST(ExpandSweep, HeaderValuesAndTheirDefaults) {
  const auto plain = ExpandText("experiments: [{name: a}]\n");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->name, "test");
  EXPECT_EQ(plain->devices, 1);
  EXPECT_EQ(plain->max_time, absl::Hours(24));
  EXPECT_EQ(plain->retry.infra, 10);
  EXPECT_EQ(plain->retry.out_of_memory, 0);
  EXPECT_EQ(plain->retry.nan, 1);
  EXPECT_EQ(plain->retry.user, 0);
  EXPECT_EQ(plain->max_jobs, 500);
  EXPECT_EQ(plain->max_parallel, 0);
  EXPECT_EQ(plain->priority, 0);
  const auto set = ExpandText(
      "experiments: [{name: a}]\npriority: -3\nresources: {devices: 8, max_time: 1h30m}\n"
      "retry: {infra: 1, out_of_memory: 2, nan: 3, user: 4}\nlimits: {max_jobs: 5, max_parallel: 6}\n");
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->devices, 8);
  EXPECT_EQ(set->max_time, absl::Minutes(90));
  EXPECT_EQ(set->retry.infra, 1);
  EXPECT_EQ(set->retry.out_of_memory, 2);
  EXPECT_EQ(set->retry.nan, 3);
  EXPECT_EQ(set->retry.user, 4);
  EXPECT_EQ(set->max_jobs, 5);
  EXPECT_EQ(set->max_parallel, 6);
  EXPECT_EQ(set->priority, -3);
}

TEST(ExpandSweep, EqualConfigurationsShareAnIdAndAreNamed) {
  const auto sweep = ExpandText(
      "experiments:\n"
      "  - {name: rates, grid: {train.learning_rate: [1e-3, 4e-4]}}\n"
      "  - {name: batches, grid: {train.global_batch_size: [4, 8]}}\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  ASSERT_EQ(sweep->jobs.size(), 4u);
  EXPECT_EQ(sweep->jobs[1].id, sweep->jobs[3].id);
  EXPECT_THAT(sweep->duplicates,
              ElementsAre("batches train.global_batch_size=8 (as rates train.learning_rate=0.0004)"));
}

TEST(ExpandSweep, NumbersAreWrittenLikeNumbers) {
  const auto sweep = ExpandText(
      "train: {learning_rate: 1e-4, min_learning_rate: null, warmup_steps: 5, weight_decay: .5}\n"
      "eval: {epsilon: [0.2, 3e-1]}\nexperiments: [{name: a, grid: {eval.epsilon: [[0.1], [0.2, 0.3]]}}]\n");
  EXPECT_EQ(sweep.status().message(), "test.yaml:4:1: duplicate key \"train\"; remove one of them");
  const auto fixed =
      ExpandSweep({"f.yaml",
                   {},
                   ReadFrom(std::map<std::string, std::string>{
                       {"f.yaml",
                        "schema: sink/v1\nname: f\n"
                        "train: {learning_rate: 1e-4, min_learning_rate: null, warmup_steps: 5, weight_decay: .5}\n"
                        "experiments: [{name: a, grid: {eval.epsilon: [[0.1], [0.2, 3e-1]]}}]\n"}})});
  ASSERT_TRUE(fixed.ok()) << fixed.status();
  EXPECT_EQ(fixed->jobs[0].config.train.learning_rate, 1e-4);
  EXPECT_EQ(fixed->jobs[0].config.train.weight_decay, 0.5);
  EXPECT_FALSE(fixed->jobs[0].config.train.min_learning_rate.has_value());
  EXPECT_EQ(fixed->jobs[1].label, "eval.epsilon=[0.2,0.3]");
}

TEST(ExpandSweep, PaperValuesReachTheReportAsWritten) {
  const auto sweep = ExpandText(
      "experiments: [{name: a, grid: {train.seed: [1, 2]}, paper: {source: Table 9, loss: [3.79, null]}}]\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(sweep->experiments[0].paper_json, R"({"loss":[3.79,null],"source":"Table 9"})");
}

class Proportional : public ::testing::Test {
 protected:
  static absl::StatusOr<ExpandedSweep> Expand(const std::string& experiments) {
    const std::map<std::string, std::string> files = {
        {"s.yaml",
         "schema: sink/v1\nname: s\ntrain: {max_steps: 20000, global_batch_size: 512, learning_rate: 4e-4}\n" +
             experiments},
        {"p.yaml",
         "train: {max_steps: 200, global_batch_size: 8, micro_batch_size: 1, learning_rate: 2e-3, weight_decay: 0.2}\n"
         "proportional: [train.max_steps, train.global_batch_size, train.learning_rate]\n"}};
    return ExpandSweep({"s.yaml", {"p.yaml"}, ReadFrom(files)});
  }
};

TEST(ExpandSweep, AnExperimentOverSeedsHasNoReplicasOfAProfile) {
  const std::map<std::string, std::string> files = {
      {"s.yaml",
       "schema: sink/v1\nname: s\nlimits: {max_jobs: 8}\n"
       "experiments: [{name: seeds, grid: {train.seed: [42, 43, 44]}}, {name: b}]\n"},
      {"p.yaml", "replicas: 5\n"}};
  const auto sweep = ExpandSweep({"s.yaml", {"p.yaml"}, ReadFrom(files)});
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  ASSERT_EQ(sweep->jobs.size(), 8u);
  EXPECT_EQ(sweep->jobs[1].label, "train.seed=43");
  EXPECT_EQ(sweep->jobs[1].config.train.seed, 43);
  EXPECT_EQ(sweep->experiments[0].arithmetic, "seeds: 3 (train.seed) = 3 jobs");
  EXPECT_EQ(sweep->jobs[7].label, "replica=5");
}

TEST_F(Proportional, AMicroBatchThatIsAutomaticStaysSo) {
  const auto sweep = Expand("experiments: [{name: a, grid: {train.micro_batch_size: [auto, 2]}}]\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(sweep->jobs[0].config.train.micro_batch_size, 0);
  EXPECT_EQ(sweep->jobs[1].config.train.micro_batch_size, 2);
}

TEST_F(Proportional, WhatIsDerivedFollowsTheScaledNumbers) {
  const auto sweep = Expand(
      "experiments: [{name: a, grid: {train.max_steps: [20000, 80000]}, "
      "derive: {train.warmup_steps: round(train.max_steps / 200)}}]\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(sweep->jobs[0].config.train.warmup_steps, 1);  // of 200 steps
  EXPECT_EQ(sweep->jobs[1].config.train.warmup_steps, 4);  // of 800
}

TEST_F(Proportional, SweptValuesKeepTheirRatioToTheBase) {
  const auto sweep = Expand(
      "experiments: [{name: a, grid: {train.max_steps: [10000, 20000, 80000], train.global_batch_size: [128, 1]}}]\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_THAT(
      Labels(*sweep),
      ElementsAre("train.max_steps=100 train.global_batch_size=2",
                  "train.max_steps=100 train.global_batch_size=1",  // never below 1
                  "train.max_steps=200 train.global_batch_size=2", "train.max_steps=200 train.global_batch_size=1",
                  "train.max_steps=800 train.global_batch_size=2", "train.max_steps=800 train.global_batch_size=1"));
  EXPECT_EQ(sweep->jobs[0].config.train.learning_rate, 2e-3);
}

TEST_F(Proportional, ConditionsSeeTheStudysOwnValues) {
  const auto sweep = Expand(
      "experiments:\n  - name: a\n    grid: {train.learning_rate: [1e-3, 4e-4, 1e-4]}\n"
      "    when: [{if: train.learning_rate <= 1e-4 and train.max_steps == 20000, set: {train.max_steps: 40000}}]\n"
      "    exclude: [train.learning_rate == 1e-3]\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_THAT(Labels(*sweep),
              ElementsAre("train.learning_rate=0.002", "train.learning_rate=0.0005 train.max_steps=400"));
}

TEST_F(Proportional, OtherValuesOfTheProfileYieldToTheExperiment) {
  const auto sweep = Expand("experiments: [{name: a, grid: {train.weight_decay: [0.5, 1.0]}}]\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_THAT(Labels(*sweep), ElementsAre("train.weight_decay=0.5", "train.weight_decay=1.0"));
  EXPECT_EQ(sweep->jobs[0].config.train.max_steps, 200);
}

// Conditions, by which of the seeds 1..4 they exclude.
std::string Excluded(const std::string& condition) {
  const auto sweep =
      ExpandText("experiments:\n  - name: a\n    grid: {train.seed: [1, 2, 3, 4]}\n    include: [{label: x}]\n" +
                 absl::StrCat("    exclude: [\"", condition, "\"]\n"));
  if (!sweep.ok()) return std::string(sweep.status().message());
  std::string gone = "1234";
  for (const ExpandedJob& job : sweep->jobs) {
    gone.erase(std::remove(gone.begin(), gone.end(), job.label.back()), gone.end());
  }
  return gone;
}

TEST(Conditions, CompareAndCombine) {
  EXPECT_EQ(Excluded("train.seed == 2"), "2");
  EXPECT_EQ(Excluded("train.seed != 2"), "134");
  EXPECT_EQ(Excluded("train.seed < 2"), "1");
  EXPECT_EQ(Excluded("train.seed <= 2"), "12");
  EXPECT_EQ(Excluded("train.seed > 3"), "4");
  EXPECT_EQ(Excluded("2 <= train.seed"), "234");
  EXPECT_EQ(Excluded("train.seed == 1 or train.seed == 2 and train.seed == 3"), "1");
  EXPECT_EQ(Excluded("(train.seed == 1 or train.seed == 2) and train.seed >= 2"), "2");
  EXPECT_EQ(Excluded("not train.seed == 1 and not not train.seed < 4"), "23");
}

TEST(Conditions, CalculateWithTheUsualPrecedence) {
  EXPECT_EQ(Excluded("train.seed * 2 + 1 == 7"), "3");
  EXPECT_EQ(Excluded("1 + train.seed * 2 == 5"), "2");
  EXPECT_EQ(Excluded("(1 + train.seed) * 2 == 10"), "4");
  EXPECT_EQ(Excluded("8 / train.seed / 2 == 1"), "4");
  EXPECT_EQ(Excluded("6 - train.seed - 1 == 4"), "1");
  EXPECT_EQ(Excluded("-train.seed == -2e0"), "2");
}

TEST(Conditions, KnowTextAndAbsentNumbers) {
  EXPECT_EQ(Excluded("data.set == 'regmix' and train.seed == 1"), "1");
  EXPECT_EQ(Excluded("data.set != 'regmix' or train.seed == 2"), "2");
  EXPECT_EQ(Excluded("train.min_learning_rate == null and train.seed == 3"), "3");
  EXPECT_EQ(Excluded("train.min_learning_rate != null"), "");
  EXPECT_EQ(Excluded("train.min_learning_rate < 1 or train.min_learning_rate != 1 or train.seed == 4"), "4");
}

TEST(Conditions, FaultsAreLocated) {
  const std::string at = "test.yaml:8:";
  EXPECT_EQ(Excluded("1 < 2 < 3"), at + "22: in the condition: expected an operator or the end");
  EXPECT_EQ(Excluded("train.seed =="), at + "29: in the condition: expected a value, but it ends here");
  EXPECT_EQ(Excluded("(1 == 1"), at + "23: in the condition: expected \")\"");
  EXPECT_EQ(Excluded("1 == 'a"), at + "21: in the condition: text without its closing quote");
  EXPECT_EQ(Excluded("1x == 1"), at + "16: in the condition: not a number");
  EXPECT_EQ(Excluded("1 == $x"), at + "21: in the condition: unexpected \"$x\"");
  EXPECT_EQ(Excluded("1 and 1 == 1"), at + "28: in the condition: and, or and not join comparisons, not values");
  EXPECT_EQ(Excluded("'a' + 1 == 1"), at + "24: in the condition: only numbers can be calculated with");
  EXPECT_EQ(Excluded("'a' < 'b'"), at + "20: in the condition: \"<\" cannot compare text with text");
  EXPECT_EQ(Excluded("train.seed == null"), at + "27: in the condition: \"==\" cannot compare a number with null");
  EXPECT_EQ(Excluded("eval.epsilon == 1"),
            at + "16: in the condition: eval.epsilon is a list, which conditions cannot use");
}

TEST(ExpandSweep, RandomDrawsMultiplyWithTheGridAndAreTheSameEachTime) {
  const std::string text =
      "experiments:\n"
      "  - name: a\n"
      "    grid: {train.seed: [1, 2]}\n"
      "    random:\n"
      "      n: 50\n"
      "      seed: 7\n"
      "      train.learning_rate: {log_uniform: [1e-4, 1e-2]}\n"
      "      train.warmup_steps: {uniform: [3, 5]}\n"
      "      model.variant.ffn: {choice: [swiglu, none]}\n";
  const auto sweep = ExpandText(text);
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  ASSERT_EQ(sweep->jobs.size(), 100u);
  EXPECT_EQ(sweep->experiments[0].arithmetic, "a: 2 (train.seed) x 50 (random) = 100 jobs");
  std::set<int64_t> warmups;
  std::set<Ffn> ffns;
  int below_1e3 = 0;
  for (int i = 0; i < 50; ++i) {
    const JobConfig& config = sweep->jobs[i].config;
    EXPECT_GE(config.train.learning_rate, 1e-4);
    EXPECT_LE(config.train.learning_rate, 1e-2);
    below_1e3 += config.train.learning_rate < 1e-3;
    warmups.insert(config.train.warmup_steps);
    ffns.insert(config.model.variant.ffn);
    EXPECT_EQ(config.train.learning_rate, sweep->jobs[i + 50].config.train.learning_rate);  // the other seed's draw
  }
  EXPECT_THAT(warmups, ElementsAre(3, 4, 5));
  EXPECT_THAT(ffns, ElementsAre(Ffn::kSwiglu, Ffn::kNone));
  EXPECT_GT(below_1e3, 12);  // half of them, as logarithms go
  EXPECT_LT(below_1e3, 38);
  EXPECT_EQ(Labels(*ExpandText(text)), Labels(*sweep));
  // Fewer draws and fewer keys leave the rest as it was.
  const auto fewer = ExpandText(
      "experiments: [{name: a, random: {n: 2, seed: 7, train.learning_rate: {log_uniform: [1e-4, 1e-2]}}}]\n");
  ASSERT_TRUE(fewer.ok()) << fewer.status();
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(fewer->jobs[i].config.train.learning_rate, sweep->jobs[i].config.train.learning_rate);
}

TEST(ExpandSweep, DerivedNumbersFollowFromTheOthersAndAreNotShown) {
  const auto sweep = ExpandText(
      "experiments:\n"
      "  - name: a\n"
      "    grid: {train.max_steps: [150, 400]}\n"
      "    when: [{if: train.max_steps == 400, set: {train.seed: 9}}]\n"
      "    derive:\n"
      "      train.warmup_steps: min(round(train.max_steps / 100), train.seed)\n"
      "      train.learning_rate: sqrt(train.warmup_steps) * 1e-3\n"
      "    exclude: [train.warmup_steps == 3]\n");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_THAT(Labels(*sweep), ElementsAre("train.max_steps=150", "train.max_steps=400 train.seed=9"));
  EXPECT_EQ(sweep->jobs[0].config.train.warmup_steps, 2);
  EXPECT_EQ(sweep->jobs[1].config.train.warmup_steps, 4);
  EXPECT_EQ(sweep->jobs[1].config.train.learning_rate, 2e-3);
}

TEST(ExpandSweep, PoliciesAreReadAndRungsShrinkWithTheSteps) {
  const std::map<std::string, std::string> files = {
      {"s.yaml",
       "schema: sink/v1\nname: s\nexperiments: [{name: a}]\n"
       "early_stop: {asha: {metric: validation_loss/all, mode: min, first_rung: 1000, eta: 4}}\n"
       "stall: {no_step_for: 10m}\non_failure: {canary: true, max_failed: 20%}\n"},
      {"p.yaml", "train: {max_steps: 200}\nproportional: [train.max_steps]\n"}};
  const auto sweep = ExpandSweep({"s.yaml", {}, ReadFrom(files)});
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(sweep->early_stop.metric, "validation_loss/all");
  EXPECT_FALSE(sweep->early_stop.maximize);
  EXPECT_EQ(sweep->early_stop.first_rung, 1000);
  EXPECT_EQ(sweep->early_stop.eta, 4);
  EXPECT_EQ(sweep->stall, absl::Minutes(10));
  EXPECT_TRUE(sweep->on_failure.canary);
  EXPECT_EQ(sweep->on_failure.max_failed_percent, 20);
  EXPECT_EQ(sweep->on_failure.max_failed, -1);
  EXPECT_EQ(ExpandSweep({"s.yaml", {"p.yaml"}, ReadFrom(files)})->early_stop.first_rung, 10);
}

}  // namespace
}  // namespace sink
