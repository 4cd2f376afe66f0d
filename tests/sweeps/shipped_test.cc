// The sweep files of the study, as they are shipped: they expand, with and without profiles, to the jobs that they
// mean.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "sweeps/expand.h"
#include "tests/sweeps/files.h"

namespace sink {
namespace {

using ::testing::ElementsAre;
using testing::Labels;
using ::testing::Pair;
using testing::ReadFrom;

ExpandedSweep Shipped(const std::string& sweep, const std::vector<std::string>& profiles = {}) {
  SweepInput input{absl::StrCat("sweeps/", sweep, ".yaml"), {}, ReadFrom(testing::SourceDir())};
  for (const std::string& profile : profiles)
    input.profiles.push_back(absl::StrCat("sweeps/profiles/", profile, ".yaml"));
  absl::StatusOr<ExpandedSweep> expanded = ExpandSweep(input);
  EXPECT_TRUE(expanded.ok()) << expanded.status();
  return expanded.ok() ? *std::move(expanded) : ExpandedSweep{};
}

std::set<std::string> Ids(const ExpandedSweep& sweep) {
  std::set<std::string> ids;
  for (const ExpandedJob& job : sweep.jobs) ids.insert(job.id);
  return ids;
}

std::map<std::string, int> Points(const ExpandedSweep& sweep) {
  std::map<std::string, int> points;
  for (const ExpandedExperiment& experiment : sweep.experiments) points[experiment.name] = experiment.points;
  return points;
}

TEST(ShippedSweeps, OptimizationIsTheStudys) {
  const ExpandedSweep sweep = Shipped("optimization");
  ASSERT_EQ(sweep.jobs.size(), 15u);
  EXPECT_EQ(Ids(sweep).size(), 13u);
  EXPECT_EQ(sweep.duplicates.size(), 2u);
  EXPECT_EQ(sweep.experiments[0].arithmetic, "learning_rate_and_steps: 7 (schedule) = 7 jobs");
  EXPECT_EQ(sweep.experiments[1].arithmetic, "learning_rate: 4 (train.learning_rate) = 4 jobs");
  EXPECT_EQ(sweep.experiments[2].arithmetic, "batch_size: 4 (train.global_batch_size) = 4 jobs");
  EXPECT_EQ(sweep.devices, 4);
  EXPECT_EQ(sweep.jobs[6].label, "train.learning_rate=0.0001 train.max_steps=80000");
  EXPECT_EQ(sweep.jobs[9].label, "train.learning_rate=0.0001 train.max_steps=40000");
  EXPECT_EQ(sweep.jobs[10].label, "train.learning_rate=1e-05 train.max_steps=80000");
  const JobConfig& base = sweep.jobs[2].config;  // 4e-4 for 20,000 steps: the study's default
  EXPECT_EQ(base.model.hidden_size, 768);
  EXPECT_EQ(base.train.learning_rate, 4e-4);
  EXPECT_EQ(base.train.max_steps, 20000);
  EXPECT_EQ(sweep.jobs[2].id, JobId(JobConfig{}));
  const auto paper = nlohmann::json::parse(sweep.experiments[0].paper_json);
  EXPECT_EQ(paper["sink_rate_percent"][2], 18.18);
  EXPECT_EQ(paper["validation_loss"][6], 3.67);
}

TEST(ShippedSweeps, ArchitectureIsTheStudys) {
  const ExpandedSweep sweep = Shipped("model_architecture");
  EXPECT_THAT(
      Points(sweep),
      ElementsAre(Pair("attention_operation", 11), Pair("attention_sum", 5), Pair("biases_per_head", 4),
                  Pair("biases_shared", 3), Pair("feed_forward", 6), Pair("fixed_value", 7), Pair("heads", 4),
                  Pair("learned_relative_position", 1), Pair("norm_placement", 2), Pair("position_embedding", 6),
                  Pair("sigmoid_robustness", 6), Pair("sigmoid_robustness_control", 6), Pair("sink_token", 1)));
  EXPECT_EQ(sweep.jobs.size(), 62u);
  // The default is in eight experiments, the per-head key bias in two, sigmoid without a sum in two.
  EXPECT_EQ(Ids(sweep).size(), 53u);
  EXPECT_EQ(Ids(sweep).count(JobId(JobConfig{})), 1u);
  EXPECT_EQ(Shipped("model_architecture", {"laptop"}).jobs.size(), 62u);
  EXPECT_EQ(Shipped("model_architecture", {"ci"}).jobs.size(), 62u);
}

TEST(ShippedSweeps, DefaultIsTheJobThatTheOthersShare) {
  const ExpandedSweep sweep = Shipped("default");
  EXPECT_THAT(Points(sweep), ElementsAre(Pair("default", 1)));
  EXPECT_EQ(sweep.jobs.at(0).id, JobId(JobConfig{}));
}

TEST(ShippedSweeps, DataDistributionIsTheStudys) {
  const ExpandedSweep sweep = Shipped("data_distribution");
  EXPECT_THAT(Points(sweep), ElementsAre(Pair("fixed_token", 3), Pair("random_tokens", 5), Pair("unique_tokens", 6)));
  EXPECT_EQ(Ids(sweep).size(), 14u);
  EXPECT_EQ(Ids(sweep).count(JobId(JobConfig{})), 1u);  // all of the 5B tokens
  EXPECT_EQ(sweep.jobs[11].config.data.fixed_token_position, 1);
  const ExpandedSweep laptop = Shipped("data_distribution", {"laptop"});
  EXPECT_EQ(laptop.jobs[0].config.data.fraction, 0.0002);
  EXPECT_EQ(laptop.jobs[5].config.data.fraction, 0.02);
}

TEST(ShippedSweeps, LossFunctionIsTheStudys) {
  const ExpandedSweep sweep = Shipped("loss_function");
  EXPECT_THAT(Points(sweep), ElementsAre(Pair("prefix_length", 5), Pair("weight_decay", 9), Pair("window", 6)));
  EXPECT_EQ(Ids(sweep).size(), 20u);
  EXPECT_EQ(sweep.jobs[13].config.model.variant.prefix_length, 10);
  EXPECT_EQ(sweep.jobs[13].config.train.ignore_loss, 9);
}

TEST(ShippedSweeps, OpenModelsAreTheStudysThirty) {
  const ExpandedSweep sweep = Shipped("open_models");
  EXPECT_THAT(Points(sweep), ElementsAre(Pair("gpt2", 4), Pair("llama2", 4), Pair("llama3", 4), Pair("mistral", 2),
                                         Pair("opt", 6), Pair("pythia", 10)));
  EXPECT_EQ(Ids(sweep).size(), 30u);
  for (const ExpandedJob& job : sweep.jobs) EXPECT_EQ(job.config.kind, JobKind::kEvaluate);
  EXPECT_EQ(sweep.jobs[3].config.evaluate.model, "openai-community/gpt2-xl");
  EXPECT_EQ(nlohmann::json::parse(sweep.experiments[0].paper_json)["sink_rate_percent"][3], 77.00);

  // Of the other inputs, natural text is measured in that sweep already.
  std::set<std::string> ids = Ids(sweep);
  for (const std::string& id : Ids(Shipped("open_model_inputs"))) ids.insert(id);
  EXPECT_EQ(ids.size(), 30u + 8u);
  EXPECT_EQ(Ids(Shipped("open_models", {"ci"})).size(), 30u);
}

TEST(ShippedSweeps, OpenModelsOf2026AreOfEveryFamilyAndNoneOfTheThirty) {
  const ExpandedSweep sweep = Shipped("open_models_2026");
  EXPECT_THAT(Points(sweep), ElementsAre(Pair("cohere", 2), Pair("earlier", 6), Pair("gemma2", 3), Pair("gemma3", 2),
                                         Pair("granite", 2), Pair("llama3", 3), Pair("mistral", 2),
                                         Pair("mixture_of_experts", 2), Pair("olmo2", 4), Pair("phi3", 4),
                                         Pair("qwen2", 6), Pair("qwen3", 5), Pair("smollm", 4), Pair("stablelm", 3)));
  std::set<std::string> ids = Ids(sweep);
  EXPECT_EQ(ids.size(), 48u);
  for (const ExpandedJob& job : sweep.jobs) EXPECT_EQ(job.config.kind, JobKind::kEvaluate);
  ids.merge(Ids(Shipped("open_models")));
  EXPECT_EQ(ids.size(), 48u + 30u);
}

TEST(ShippedSweeps, ScaleIsTheStudys) {
  const ExpandedSweep sweep = Shipped("scale");
  EXPECT_THAT(Points(sweep), ElementsAre(Pair("attention_operation", 2)));
  EXPECT_EQ(sweep.devices, 8);
  EXPECT_EQ(sweep.jobs[1].config.model.hidden_size, 2048);
  EXPECT_EQ(sweep.jobs[1].config.train.max_steps, 40000);
}

TEST(ShippedSweeps, BeyondTriesEachOptionOnTheDefault) {
  const ExpandedSweep sweep = Shipped("beyond");
  EXPECT_THAT(Points(sweep), ElementsAre(Pair("attention_gate", 2), Pair("attention_only", 1), Pair("optimizer", 2),
                                         Pair("qk_norm", 1), Pair("sandwich_norm", 1), Pair("seeds", 3),
                                         Pair("sink_logit", 2), Pair("sink_token", 1), Pair("softpick", 1)));
  EXPECT_EQ(Ids(sweep).size(), 13u);
}

TEST(ShippedSweeps, EveryFileExpandsUnderEveryProfileToAsManyJobs) {
  for (const auto& entry : std::filesystem::directory_iterator(testing::SourceDir() + "/sweeps")) {
    if (entry.path().extension() != ".yaml") continue;
    const std::string name = entry.path().stem().string();
    for (const char* profile : {"laptop", "ci"}) {
      EXPECT_EQ(Shipped(name, {profile}).jobs.size(), Shipped(name).jobs.size()) << name << " " << profile;
    }
  }
}

// Five seeds of what trains; what the study varies stays varied, and a batch below the micro batch is cut smaller.
TEST(ShippedSweeps, MinutesTrainsFiveSeedsOfEverySetting) {
  for (const auto& entry : std::filesystem::directory_iterator(testing::SourceDir() + "/sweeps")) {
    if (entry.path().extension() != ".yaml") continue;
    const std::string name = entry.path().stem().string();
    const ExpandedSweep study = Shipped(name), minutes = Shipped(name, {"minutes"});
    ASSERT_FALSE(study.jobs.empty());
    const size_t seeds = study.jobs[0].config.kind == JobKind::kTrain ? 5 : 1;
    size_t jobs = 0;  // an experiment over seeds has them already
    for (const ExpandedJob& job : study.jobs) jobs += job.experiment == "seeds" ? 1 : seeds;
    EXPECT_EQ(minutes.jobs.size(), jobs) << name;
  }
  const ExpandedSweep optimization = Shipped("optimization", {"minutes"});
  EXPECT_EQ(Ids(optimization).size(), 5 * Ids(Shipped("optimization")).size());
  EXPECT_EQ(optimization.jobs[0].config.train.learning_rate, 3e-3);
  const JobConfig& least = optimization.jobs[55].config;
  EXPECT_EQ(least.train.global_batch_size, 1);
  EXPECT_EQ(least.train.micro_batch_size, 1);
  EXPECT_EQ(optimization.jobs[65].config.train.micro_batch_size, 4);
  EXPECT_EQ(Shipped("model_architecture", {"minutes"}).jobs[0].config.model.variant.position_embedding,
            PositionEmbedding::kNope);
  const ExpandedSweep data = Shipped("data_distribution", {"minutes"});
  // The smallest share of the data repeats: too little of it is what the experiment is about.
  constexpr double kTokensOfTheSet = 44e6;
  const JobConfig& smallest = data.jobs[0].config;
  EXPECT_DOUBLE_EQ(smallest.data.fraction, 0.0002);
  const TrainConfig& train = smallest.train;
  const int64_t tokens = train.max_steps * train.global_batch_size * train.sequence_length;
  EXPECT_LT(smallest.data.fraction * kTokensOfTheSet, static_cast<double>(tokens) / 10);
  EXPECT_EQ(data.jobs[0].config.data.fixed_token_position, 1);
  EXPECT_EQ(data.jobs[30].config.data.fixed_token_position, 0);  // where tokens are random
  EXPECT_EQ(data.jobs[60].config.data.fixed_token_position, 2);
}

TEST(ShippedSweeps, TheSeedsOfMinutesAreItsBase) {
  const ExpandedSweep seeds = Shipped("searches/minutes_seeds", {"minutes"});
  ASSERT_EQ(seeds.jobs.size(), 10u);
  const ExpandedSweep base = Shipped("default", {"minutes"});
  ASSERT_EQ(base.jobs.size(), 5u);
  for (size_t i = 0; i < base.jobs.size(); ++i) EXPECT_EQ(seeds.jobs[i].id, base.jobs[i].id);
}

// Three seeds, the fewest that give a verdict, and no more tokens than a weekend has.
TEST(ShippedSweeps, OneGpuTrainsThreeSeedsOfEverySettingInAWeekend) {
  double tokens = 0;
  std::set<std::string> seen;
  for (const auto& entry : std::filesystem::directory_iterator(testing::SourceDir() + "/sweeps")) {
    if (entry.path().extension() != ".yaml") continue;
    const ExpandedSweep study = Shipped(entry.path().stem().string());
    const ExpandedSweep weekend = Shipped(entry.path().stem().string(), {"one-gpu"});
    ASSERT_FALSE(study.jobs.empty());
    if (study.jobs[0].config.kind != JobKind::kTrain) continue;
    size_t jobs = 0;
    for (const ExpandedJob& job : study.jobs) jobs += job.experiment == "seeds" ? 1 : 3;
    EXPECT_EQ(weekend.jobs.size(), jobs) << entry.path();
    EXPECT_EQ(weekend.devices, 1);
    for (const ExpandedJob& job : weekend.jobs) {
      const TrainConfig& train = job.config.train;
      if (seen.insert(job.id).second)
        tokens += static_cast<double>(train.max_steps * train.global_batch_size * train.sequence_length);
    }
  }
  // 60 hours at 1.5e14 FLOP/s and 8.5e7 FLOP a token.
  EXPECT_LT(tokens, 60.0 * 3600 * 1.5e14 / 8.5e7);
  const TrainConfig base = Shipped("default", {"one-gpu"}).jobs[0].config.train;
  EXPECT_NEAR(static_cast<double>(base.max_steps * base.global_batch_size * base.sequence_length), 1e9, 2e7);
}

TEST(ShippedSweeps, TheSearchForARecipeExpands) {
  const ExpandedSweep sweep = Shipped("searches/recipe_search");
  EXPECT_THAT(Points(sweep), ElementsAre(Pair("as_people_train", 12), Pair("first_alone", 8)));
  EXPECT_EQ(Ids(sweep).size(), 40u);
  EXPECT_EQ(sweep.early_stop.metric, "alpha_max/1");
  EXPECT_TRUE(sweep.early_stop.maximize);
}

TEST(ShippedSweeps, OptimizationOnALaptopKeepsItsShape) {
  const ExpandedSweep study = Shipped("optimization"), laptop = Shipped("optimization", {"laptop"});
  ASSERT_EQ(laptop.jobs.size(), 15u);
  EXPECT_EQ(Ids(laptop).size(), Ids(study).size());
  EXPECT_EQ(laptop.duplicates.size(), study.duplicates.size());
  EXPECT_EQ(laptop.devices, 1);
  EXPECT_THAT(
      Labels(laptop),
      ElementsAre("train.learning_rate=0.004 train.max_steps=100", "train.learning_rate=0.004 train.max_steps=200",
                  "train.learning_rate=0.002 train.max_steps=200", "train.learning_rate=0.001 train.max_steps=200",
                  "train.learning_rate=0.001 train.max_steps=400", "train.learning_rate=0.0005 train.max_steps=200",
                  "train.learning_rate=0.0005 train.max_steps=800", "train.learning_rate=0.005",
                  "train.learning_rate=0.002", "train.learning_rate=0.0005 train.max_steps=400",
                  "train.learning_rate=5e-05 train.max_steps=800", "train.global_batch_size=2",
                  "train.global_batch_size=4", "train.global_batch_size=8", "train.global_batch_size=16"));
  for (const ExpandedJob& job : laptop.jobs) {
    EXPECT_EQ(job.config.model.hidden_size, 128);
    EXPECT_EQ(job.config.data.set, "sample-bytes");
  }
}

TEST(ShippedSweeps, CiProfileTakesADozenSteps) {
  const ExpandedSweep ci = Shipped("optimization", {"ci"});
  ASSERT_EQ(ci.jobs.size(), 15u);
  EXPECT_EQ(Ids(ci).size(), 13u);
  for (const ExpandedJob& job : ci.jobs) EXPECT_LE(job.config.train.max_steps, 48);
  EXPECT_EQ(ci.jobs[2].config.train.max_steps, 12);
  EXPECT_EQ(ci.max_time, absl::Minutes(10));
}

TEST(ShippedSweeps, QuickstartIsSevenJobsUnderEveryProfile) {
  const ExpandedSweep plain = Shipped("quickstart");
  EXPECT_THAT(Labels(plain),
              ElementsAre("train.learning_rate=0.01", "train.learning_rate=0.004", "train.learning_rate=0.001",
                          "train.learning_rate=0.0001", "data.fixed_token_position=1",
                          "model.variant.similarity=softmax model.variant.normalize=true",
                          "model.variant.similarity=sigmoid model.variant.normalize=false"));
  for (const char* profile : {"laptop", "ci"}) {
    const ExpandedSweep sweep = Shipped("quickstart", {profile});
    EXPECT_EQ(Ids(sweep).size(), 7u) << profile;
  }
}

TEST(ShippedSweeps, OneBillionPresetIsABase) {
  const FileReader read = ReadFrom(testing::SourceDir());
  const auto sweep = ExpandSweep(
      {"sweeps/one.yaml", {}, [&](const std::string& path) -> absl::StatusOr<std::string> {
         if (path != "sweeps/one.yaml") return read(path);
         return std::string("schema: sink/v1\nname: one\nbase: presets/llama-1b.yaml\nexperiments: [{name: a}]\n");
       }});
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(sweep->jobs[0].config.model.num_hidden_layers, 22);
  EXPECT_EQ(sweep->jobs[0].config.model.vocab_size, 50432);
  EXPECT_EQ(sweep->jobs[0].config.train.max_steps, 40000);
}

TEST(ShippedSweeps, TheReadmesExampleIsTrue) {
  const FileReader read = ReadFrom(testing::SourceDir());
  const auto sweep =
      ExpandSweep({"sweeps/example.yaml", {}, [&](const std::string& path) -> absl::StatusOr<std::string> {
                     if (path != "sweeps/example.yaml") return read(path);
                     const std::string readme = *read("sweeps/README.md"), fence = "```yaml\n";
                     const size_t begin = readme.find(fence) + fence.size();
                     return readme.substr(begin, readme.find("```", begin) - begin);
                   }});
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(sweep->experiments[0].arithmetic,
            "learning_rate: (3 (train.learning_rate) x 2 (size) - 1 excluded + 1 included) x 3 replicas = 18 jobs");
}

TEST(ShippedSweeps, ExpansionIsTheSameEveryTime) {
  const ExpandedSweep a = Shipped("optimization", {"laptop"}), b = Shipped("optimization", {"laptop"});
  ASSERT_EQ(a.jobs.size(), b.jobs.size());
  for (size_t i = 0; i < a.jobs.size(); ++i) {
    EXPECT_EQ(a.jobs[i].id, b.jobs[i].id);
    EXPECT_EQ(a.jobs[i].config_json, b.jobs[i].config_json);
  }
}

// What "editing a file adds only what changed" rests on.
TEST(ShippedSweeps, EditingOneValueChangesExactlyThatJobsId) {
  const FileReader read = ReadFrom(testing::SourceDir());
  const auto edited =
      ExpandSweep({"sweeps/optimization.yaml", {"sweeps/profiles/laptop.yaml"}, [&](const std::string& path) {
                     absl::StatusOr<std::string> text = read(path);
                     if (text.ok())
                       *text = absl::StrReplaceAll(*text, {{"[1e-3, 4e-4, 1e-4, 1e-5]", "[2e-3, 4e-4, 1e-4, 1e-5]"}});
                     return text;
                   }});
  ASSERT_TRUE(edited.ok()) << edited.status();
  const ExpandedSweep before = Shipped("optimization", {"laptop"});
  ASSERT_EQ(edited->jobs.size(), before.jobs.size());
  for (size_t i = 0; i < before.jobs.size(); ++i) {
    EXPECT_EQ(edited->jobs[i].id == before.jobs[i].id, i != 7) << before.jobs[i].label;
  }
}

// Ids name results on disk: a change of the canonical form would orphan them all. If this fails, that is what happened.
TEST(ShippedSweeps, IdsAreStable) {
  EXPECT_EQ(Shipped("optimization").jobs.at(0).id, "47fe2f5a806ca1b41c0a9dfd8b9224db");
  EXPECT_EQ(Shipped("quickstart").jobs.at(4).id, "d0fe708b438a13b5118ac62fa6f42e98");
}

}  // namespace
}  // namespace sink
