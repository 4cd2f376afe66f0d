// What the JSON files of a checkpoint may say: all that trainers write, and nothing by which a loader fetches code.
#include "proto/run/checkpoint_settings.h"

#include <gtest/gtest.h>

#include "proto/config/hugging_face.h"
#include "proto/run/checkpoint_names.h"

namespace sink::run {
namespace {

std::string ConfigOf(bool variant) {
  ModelConfig model;
  if (variant) model.variant.key_bias = KeyBias::kShared;
  return PrintHuggingFaceConfig(model, 7);
}

std::string With(std::string text, const std::string& field) { return text.insert(text.find('{') + 1, field + ","); }

TEST(CheckpointSettings, WhatTrainersWriteIsTaken) {
  EXPECT_EQ(FaultInSettings("config.json", ConfigOf(false)), "");
  EXPECT_EQ(FaultInSettings("config.json", ConfigOf(true)), "");
  EXPECT_NE(ConfigOf(true).find("auto_map"), std::string::npos);
  EXPECT_EQ(FaultInSettings("config.json", "{}"), "");
  EXPECT_EQ(FaultInSettings("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer", "legacy": false})"), "");
}

TEST(CheckpointSettings, WhatNamesOtherCodeIsRefused) {
  for (const char* field :
       {R"("auto_map": {"AutoConfig": "evil/repo--modeling_sink.SinkConfig"})", R"("auto_map": null)",
        R"("custom_pipelines": {"text-generation": {"impl": "evil/repo--x.Y"}})",
        R"("_attn_implementation": "evil/kernels")", R"("quantization_config": {})"}) {
    EXPECT_NE(FaultInSettings("config.json", With(ConfigOf(false), field)), "") << field;
    EXPECT_NE(FaultInSettings("tokenizer_config.json", With(R"({"legacy": false})", field)), "") << field;
  }
  // Both readers take the last of two fields of one name.
  std::string twice = ConfigOf(true);
  twice.insert(twice.rfind('}'), R"(, "auto_map": {"AutoConfig": "evil/repo--x.Y"})");
  EXPECT_NE(FaultInSettings("config.json", twice), "");
}

TEST(CheckpointSettings, WhatIsNoObjectIsRefused) {
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{"), std::string(R"({"rope_theta": NaN})"),
        std::string("{}") + std::string(kMaxSettingsBytes, ' ')})
    EXPECT_NE(FaultInSettings("config.json", text), "") << text.substr(0, 20);
}

TEST(CheckpointSettings, OnlyFilesOfATrainerAreStored) {
  for (const char* name :
       {"config.json", "model.safetensors", "modeling_sink.py", "tokenizer.json", "tokenizer.model",
        "tokenizer_config.json", "optimizer.state", "optimizer.safetensors", "trainer.json", "manifest.json"})
    EXPECT_TRUE(IsStoredCheckpointFile(name)) << name;
  for (const char* name : {"", "adapter_config.json", "model-00001-of-00002.safetensors", "generation_config.json",
                           "merges.txt", "modeling_sink.pyc", "modeling_x.py", "pytorch_model.bin", "Config.json"})
    EXPECT_FALSE(IsStoredCheckpointFile(name)) << name;
}

}  // namespace
}  // namespace sink::run
