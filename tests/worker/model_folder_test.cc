// Models are found where people keep them, and never outside the root.
#include "worker/model_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/testing/temp_dir.h"

namespace sink::worker {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHeaderBytes = 64, kWeightBytes = 100;

// Its safetensors file has kHeaderBytes + 8 + kWeightBytes bytes, of which `missing` are not there.
void WriteWeights(const fs::path& path, size_t missing = 0) {
  std::string header = R"({"w":{"dtype":"U8","shape":[100],"data_offsets":[0,100]}})";
  header.resize(kHeaderBytes, ' ');
  std::ofstream(path, std::ios::binary) << static_cast<char>(kHeaderBytes) << std::string(7, '\0') << header
                                        << std::string(kWeightBytes - missing, 'x');
}

void MakeModel(const fs::path& folder) {
  fs::create_directories(folder);
  std::ofstream(folder / "config.json") << "{}";
  std::ofstream(folder / "tokenizer.json") << "{}";
  WriteWeights(folder / "model.safetensors");
}

TEST(FindModel, UnderItsWholeNameFirst) {
  testing::TempDir dir;
  const std::string root = dir.path().string();
  MakeModel(dir / "gpt2");
  EXPECT_EQ(FindModel(root, "openai-community/gpt2", true).value(), root + "/gpt2");
  EXPECT_EQ(FindModel(root, "gpt2", true).value(), root + "/gpt2");
  MakeModel(dir / "openai-community/gpt2");
  EXPECT_EQ(FindModel(root, "openai-community/gpt2", true).value(), root + "/openai-community/gpt2");
}

TEST(FindModel, InTheHubsCache) {
  testing::TempDir dir;
  const fs::path cache = dir / "models--facebook--opt-125m";
  MakeModel(cache / "snapshots/27dcfa74d334");
  fs::create_directories(cache / "refs");
  std::ofstream(cache / "refs/main") << "27dcfa74d334";
  EXPECT_EQ(FindModel(dir.path().string(), "facebook/opt-125m", true).value(),
            (cache / "snapshots/27dcfa74d334").string());
  MakeModel(dir / "outside");
  std::ofstream(cache / "refs/main") << "../../outside";
  EXPECT_FALSE(FindModel(dir.path().string(), "facebook/opt-125m", true).ok());
}

TEST(FindModel, APipeInTheCacheKeepsNobodyWaiting) {
  testing::TempDir dir;
  const fs::path cache = dir / "models--facebook--opt-125m";
  fs::create_directories(cache / "refs");
  ASSERT_EQ(mkfifo((cache / "refs/main").c_str(), 0600), 0);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(FindModel(dir.path().string(), "facebook/opt-125m", true).ok());
  EXPECT_TRUE(ModelList(dir.path().string()).Get(absl::Seconds(1)).whole.empty());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST(FindModel, MissingOneIsNamedWithTheWayToGetIt) {
  testing::TempDir dir;
  fs::create_directories(dir / "gpt2");  // without a config.json
  const absl::Status status = FindModel(dir.path().string(), "openai-community/gpt2", true).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << "the job may go to another worker";
  const std::string root = dir.path().string();
  EXPECT_EQ(status.message(), "model openai-community/gpt2 not found: no config.json in " + root +
                                  "/openai-community/gpt2, " + root + "/gpt2 or " + root +
                                  "/models--openai-community--gpt2; get it with: huggingface-cli download "
                                  "openai-community/gpt2 --local-dir " +
                                  root + "/openai-community/gpt2");
  EXPECT_EQ(FindModel("", "gpt2", true).status().message(),
            "model gpt2 not found: this worker has no models; start it with --models and the folder that holds them");
}

TEST(FindModel, OneThatIsNotWholeIsPassedOverForOneThatIs) {
  testing::TempDir dir;
  const std::string root = dir.path().string();
  MakeModel(dir / "openai-community/gpt2");
  WriteWeights(dir / "openai-community/gpt2/model.safetensors", 60);
  const absl::Status status = FindModel(root, "openai-community/gpt2", true).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << "the job may go to another worker";
  EXPECT_EQ(status.message(), "model openai-community/gpt2 is not whole: " + root +
                                  "/openai-community/gpt2/model.safetensors has 112 of 172 bytes");
  MakeModel(dir / "gpt2");
  EXPECT_EQ(FindModel(root, "openai-community/gpt2", true).value(), root + "/gpt2");
}

TEST(FindModel, OneWithoutATokenizerIsForJobsThatReadNoTexts) {
  testing::TempDir dir;
  const std::string root = dir.path().string();
  MakeModel(dir / "x/opt");
  fs::remove(dir / "x/opt/tokenizer.json");
  EXPECT_EQ(FindModel(root, "x/opt", false).value(), root + "/x/opt");
  EXPECT_EQ(FindModel(root, "x/opt", true).status().message(),
            "model x/opt is not whole: " + root + "/x/opt has no tokenizer.json, tokenizer.model or vocab.json");
  WriteWeights(dir / "x/opt/model.safetensors", 1);
  EXPECT_FALSE(FindModel(root, "x/opt", false).ok());
}

TEST(ModelList, NamesWhatFindModelFinds) {
  testing::TempDir dir;
  MakeModel(dir / "gpt2");
  MakeModel(dir / "facebook/opt-125m");
  MakeModel(dir / "odd name");
  MakeModel(dir / "models--EleutherAI--pythia-14m/snapshots/abc");
  fs::create_directories(dir / "models--EleutherAI--pythia-14m/refs");
  std::ofstream(dir / "models--EleutherAI--pythia-14m/refs/main") << "abc\n";
  fs::create_directories(dir / "models--half--loaded/snapshots");
  fs::create_directories(dir / "empty/also");
  std::ofstream(dir / "notes.txt") << "x";
  const std::vector<std::string> models = ModelList(dir.path().string()).Get(absl::Seconds(1)).whole;
  EXPECT_THAT(models, ::testing::ElementsAre("EleutherAI/pythia-14m", "facebook/opt-125m", "gpt2"));
  for (const std::string& model : models) EXPECT_TRUE(FindModel(dir.path().string(), model, true).ok()) << model;
  EXPECT_TRUE(ModelList("").Get(absl::Seconds(1)).whole.empty());
  EXPECT_TRUE(ModelList(dir / "nowhere").Get(absl::Seconds(1)).whole.empty());
}

TEST(ModelList, LooksAgainAfterTwoSeconds) {
  testing::TempDir dir;
  ModelList list(dir.path().string());
  EXPECT_TRUE(list.Get(absl::Seconds(100)).whole.empty());
  MakeModel(dir / "gpt2");
  EXPECT_TRUE(list.Get(absl::Seconds(101)).whole.empty());
  EXPECT_THAT(list.Get(absl::Seconds(102)).whole, ::testing::ElementsAre("gpt2"));
}

TEST(ModelList, AModelIsHadOnceItsCopyIsWhole) {
  testing::TempDir dir;
  const fs::path folder = dir / "openai-community/gpt2", weights = folder / "model.safetensors";
  MakeModel(dir / "opt");
  MakeModel(folder);
  fs::remove(weights);
  ModelList list(dir.path().string());
  const auto gap_at = [&](int second) {
    const OpenModels& models = list.Get(absl::Seconds(second));
    if (models.incomplete.size() != 1) return std::string("not one");
    return models.incomplete[0].name() + ": " + models.incomplete[0].gap();
  };
  EXPECT_EQ(gap_at(1),
            "openai-community/gpt2: openai-community/gpt2 has no model.safetensors or "
            "model.safetensors.index.json")
      << "and not where the model lies";
  EXPECT_THAT(list.Get(absl::Seconds(1)).whole, ::testing::ElementsAre("opt"));
  WriteWeights(weights, 100);
  EXPECT_EQ(gap_at(4), "openai-community/gpt2: openai-community/gpt2/model.safetensors has 72 of 172 bytes");
  fs::resize_file(weights, 171);  // as a copy that goes on
  EXPECT_EQ(gap_at(7), "openai-community/gpt2: openai-community/gpt2/model.safetensors has 171 of 172 bytes");
  fs::resize_file(weights, 172);
  EXPECT_THAT(list.Get(absl::Seconds(10)).whole, ::testing::ElementsAre("openai-community/gpt2", "opt"));
  EXPECT_TRUE(list.Get(absl::Seconds(10)).incomplete.empty());
  fs::resize_file(weights, 100);  // as a copy into the same file
  EXPECT_THAT(list.Get(absl::Seconds(70)).whole, ::testing::ElementsAre("opt"));
}

TEST(ModelList, OfAModelThatLacksATokenizerAloneThatIsTold) {
  testing::TempDir dir;
  const fs::path folder = dir / "opt", weights = folder / "model.safetensors";
  MakeModel(folder);
  WriteWeights(weights, 1);
  fs::remove(folder / "tokenizer.json");
  ModelList list(dir.path().string());
  const auto use_at = [&](int second) { return list.Get(absl::Seconds(second)).incomplete.at(0).use(); };
  EXPECT_EQ(use_at(1), v1::COPY_FOR_NO_JOB);
  WriteWeights(weights);
  EXPECT_EQ(use_at(4), v1::COPY_WITHOUT_TOKENIZER);
  EXPECT_EQ(list.Get(absl::Seconds(4)).incomplete[0].gap(), "opt has no tokenizer.json, tokenizer.model or vocab.json");
  EXPECT_TRUE(list.Get(absl::Seconds(4)).whole.empty());
  std::ofstream(folder / "tokenizer.json") << "{}";
  EXPECT_THAT(list.Get(absl::Seconds(7)).whole, ::testing::ElementsAre("opt"));
}

TEST(ModelList, WhatIncompleteModelsLackIsToldInBounds) {
  testing::TempDir dir;
  for (int i = 0; i < 101; ++i) {
    const fs::path folder = dir / ("model" + std::to_string(i));
    MakeModel(folder);
    fs::remove(folder / "model.safetensors");
    std::ofstream(folder / "model.safetensors.index.json")
        << R"({"weight_map": {"w": "a\n)" << std::string(2000, 'x') << "\"}}";
  }
  ModelList list(dir.path().string());
  const OpenModels& models = list.Get(absl::Seconds(1));
  ASSERT_EQ(models.incomplete.size(), 100u);
  EXPECT_EQ(models.incomplete[0].gap().find("cannot find model0/a xx"), 0u) << models.incomplete[0].gap();
  EXPECT_EQ(models.incomplete[0].gap().size(), 512u);
}

}  // namespace
}  // namespace sink::worker
