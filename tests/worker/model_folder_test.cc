// Models are found where people keep them, and never outside the root.
#include "worker/model_folder.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace sink::worker
