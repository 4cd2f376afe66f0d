// Model directories: saved and loaded bit for bit, and one clear error for each kind of damage.
#include "model/storage/model_directory.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "model/base/model_error.h"
#include "model/storage/tensor_file.h"
#include "proto/run/checkpoint_settings.h"
#include "tests/model/helpers/golden.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_files.h"

namespace sink {
namespace {

std::string ErrorOf(const std::filesystem::path& directory) {
  try {
    LoadModel(directory, at::kCPU);
  } catch (const ModelError& error) {
    return error.what();
  }
  return "";
}

TEST(ModelDirectory, KeepsEveryBit) {
  const testing::TempDir folder;
  const Transformer model = LoadModel(testing::GoldenVariants() / "base", at::kCPU);
  SaveModel(folder.path(), model);
  const Transformer loaded = LoadModel(folder.path(), at::kCPU);
  EXPECT_TRUE(loaded.values().equal(model.values()));
  EXPECT_EQ(loaded.config().num_attention_heads, model.config().num_attention_heads);
}

TEST(ModelDirectory, AVariantBringsItsPythonCodeAndLlamaNeedsNone) {
  for (const char* name : {"base", "bias_k"}) {
    const testing::TempDir folder;
    SaveModel(folder.path(), LoadModel(testing::GoldenVariants() / name, at::kCPU), /*eos_token_id=*/7);
    const auto config = nlohmann::json::parse(testing::ReadFile(folder / "config.json"));
    EXPECT_EQ(config["eos_token_id"], 7);
    EXPECT_EQ(run::FaultInSettings("config.json", testing::ReadFile(folder / "config.json")), "");
    const bool variant = config["model_type"] == "sink";
    EXPECT_EQ(variant, name == std::string("bias_k"));
    EXPECT_EQ(std::filesystem::exists(folder / "modeling_sink.py"), variant);
    EXPECT_EQ(config.contains("auto_map"), variant);
    if (!variant) continue;
    EXPECT_EQ(config["auto_map"]["AutoModelForCausalLM"], "modeling_sink.SinkForCausalLM");
    EXPECT_EQ(
        testing::ReadFile(folder / "modeling_sink.py"),
        testing::ReadFile(std::filesystem::path(std::getenv("SINK_SOURCE_DIR")) / "model/storage/modeling_sink.py"));
  }
}

TEST(ModelDirectory, NamesWhatIsWrong) {
  const testing::TempDir folder;
  EXPECT_NE(ErrorOf(folder / "absent").find("absent: not a model directory"), std::string::npos);
  EXPECT_NE(ErrorOf(folder.path()).find("config.json: cannot open"), std::string::npos);
  ASSERT_EQ(mkfifo((folder / "config.json").c_str(), 0600), 0);
  EXPECT_NE(ErrorOf(folder.path()).find("config.json: not a plain file"), std::string::npos);
  std::filesystem::remove(folder / "config.json");
  Transformer model = LoadModel(testing::GoldenVariants() / "base", at::kCPU);
  SaveModel(folder.path(), model);
  const std::filesystem::path file = folder / "model.safetensors";
  std::map<std::string, at::Tensor> good;
  for (const Parameter& parameter : model.parameters()) good[parameter.name] = parameter.value;

  auto tensors = good;
  tensors.erase("model.norm.weight");
  WriteTensors(file, tensors);
  EXPECT_NE(ErrorOf(folder.path()).find("model.safetensors: no tensor \"model.norm.weight\""), std::string::npos);
  tensors["model.norm.weight"] = at::zeros({31});
  WriteTensors(file, tensors);
  EXPECT_NE(ErrorOf(folder.path()).find("\"model.norm.weight\" is 31, but the model has 32"), std::string::npos);
  tensors = good;
  tensors["extra"] = at::zeros({1});
  WriteTensors(file, tensors);
  EXPECT_NE(ErrorOf(folder.path()).find("\"extra\" is not part of this model"), std::string::npos);
  WriteTensors(file, good);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 100);
  EXPECT_NE(ErrorOf(folder.path()).find("model.safetensors"), std::string::npos);
  std::ofstream(folder / "config.json") << "{";
  EXPECT_NE(ErrorOf(folder.path()).find("config.json is not a JSON object"), std::string::npos);
}

}  // namespace
}  // namespace sink
