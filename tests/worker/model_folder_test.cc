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

void MakeModel(const fs::path& folder) {
  fs::create_directories(folder);
  std::ofstream(folder / "config.json") << "{}";
}

TEST(FindModel, UnderItsWholeNameFirst) {
  testing::TempDir dir;
  const std::string root = dir.path().string();
  MakeModel(dir / "gpt2");
  EXPECT_EQ(FindModel(root, "openai-community/gpt2").value(), root + "/gpt2");
  EXPECT_EQ(FindModel(root, "gpt2").value(), root + "/gpt2");
  MakeModel(dir / "openai-community/gpt2");
  EXPECT_EQ(FindModel(root, "openai-community/gpt2").value(), root + "/openai-community/gpt2");
}

TEST(FindModel, InTheHubsCache) {
  testing::TempDir dir;
  const fs::path cache = dir / "models--facebook--opt-125m";
  MakeModel(cache / "snapshots/27dcfa74d334");
  fs::create_directories(cache / "refs");
  std::ofstream(cache / "refs/main") << "27dcfa74d334";
  EXPECT_EQ(FindModel(dir.path().string(), "facebook/opt-125m").value(), (cache / "snapshots/27dcfa74d334").string());
  MakeModel(dir / "outside");
  std::ofstream(cache / "refs/main") << "../../outside";
  EXPECT_FALSE(FindModel(dir.path().string(), "facebook/opt-125m").ok());
}

TEST(FindModel, APipeInTheCacheKeepsNobodyWaiting) {
  testing::TempDir dir;
  const fs::path cache = dir / "models--facebook--opt-125m";
  fs::create_directories(cache / "refs");
  ASSERT_EQ(mkfifo((cache / "refs/main").c_str(), 0600), 0);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(FindModel(dir.path().string(), "facebook/opt-125m").ok());
  EXPECT_TRUE(FindModels(dir.path().string()).empty());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST(FindModel, MissingOneIsNamedWithTheWayToGetIt) {
  testing::TempDir dir;
  fs::create_directories(dir / "gpt2");  // without a config.json
  const absl::Status status = FindModel(dir.path().string(), "openai-community/gpt2").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  const std::string root = dir.path().string();
  EXPECT_EQ(status.message(), "model openai-community/gpt2 not found: no config.json in " + root +
                                  "/openai-community/gpt2, " + root + "/gpt2 or " + root +
                                  "/models--openai-community--gpt2; get it with: huggingface-cli download "
                                  "openai-community/gpt2 --local-dir " +
                                  root + "/openai-community/gpt2; then sinkctl retry");
  EXPECT_EQ(FindModel("", "gpt2").status().message(),
            "model gpt2 not found: this worker has no models; start it with --models and the folder that holds them");
}

TEST(FindModels, NamesWhatFindModelFinds) {
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
  const std::vector<std::string> models = FindModels(dir.path().string());
  EXPECT_THAT(models, ::testing::ElementsAre("EleutherAI/pythia-14m", "facebook/opt-125m", "gpt2"));
  for (const std::string& model : models) EXPECT_TRUE(FindModel(dir.path().string(), model).ok()) << model;
  EXPECT_TRUE(FindModels("").empty());
  EXPECT_TRUE(FindModels(dir / "nowhere").empty());
}

TEST(ModelList, LooksAgainAfterTwoSeconds) {
  testing::TempDir dir;
  ModelList list(dir.path().string());
  EXPECT_TRUE(list.Get(absl::Seconds(100)).empty());
  MakeModel(dir / "gpt2");
  EXPECT_TRUE(list.Get(absl::Seconds(101)).empty());
  EXPECT_THAT(list.Get(absl::Seconds(102)), ::testing::ElementsAre("gpt2"));
}

}  // namespace
}  // namespace sink::worker
