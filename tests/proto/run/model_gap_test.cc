// What is missing of a model's copy is found by the names and headers of its files.
#include "proto/run/model_gap.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/testing/temp_dir.h"

namespace sink::run {
namespace {

namespace fs = std::filesystem;

std::string WithLength(const std::string& header, const std::string& data) {
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
  return length + header + data;
}

// Two tensors of 30 and 10 bytes, the first of them last in the file.
std::string Weights() {
  return WithLength(R"({"__metadata__": {"format": "pt"},
      "a": {"dtype": "U8", "shape": [30], "data_offsets": [10, 40]},
      "b": {"dtype": "U8", "shape": [10], "data_offsets": [0, 10]}})",
                    std::string(40, 'x'));
}

class ModelGap : public ::testing::Test {
 protected:
  ModelGap() {
    Write("config.json", R"({"model_type": "gpt2"})");
    Write("model.safetensors", Weights());
    Write("tokenizer.json", R"({"model": {}})");
  }
  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
  }
  void Remove(const std::string& name) { fs::remove(dir_ / name); }
  void Shard() {
    Remove("model.safetensors");
    Write("model.safetensors.index.json", R"({"weight_map": {"a": "model-1-of-2.safetensors",
        "b": "model-2-of-2.safetensors", "c": "model-1-of-2.safetensors"}})");
    Write("model-1-of-2.safetensors", Weights());
    Write("model-2-of-2.safetensors", Weights());
  }
  // What is missing, without the folder's own name; empty: nothing.
  std::string Find() {
    const std::string folder = dir_.path().string();
    std::string gap = FindModelGap(folder).message();
    if (gap.empty()) gap = FindTokenizerGap(folder).message();
    for (size_t at = gap.find(folder); at != std::string::npos; at = gap.find(folder))
      gap.replace(at, folder.size(), "");
    return gap;
  }

  testing::TempDir dir_;
};

TEST_F(ModelGap, AWholeModelHasNone) {
  EXPECT_EQ(Find(), "");
  Shard();
  EXPECT_EQ(Find(), "");
}

TEST_F(ModelGap, AFileThatIsCutShortIsNamedWithItsSizes) {
  const std::string whole = Weights();
  for (const size_t size : {whole.size() - 1, whole.size() - 40}) {
    Write("model.safetensors", whole.substr(0, size));
    EXPECT_EQ(Find(),
              "/model.safetensors has " + std::to_string(size) + " of " + std::to_string(whole.size()) + " bytes");
  }
  for (const size_t size : {size_t{0}, size_t{7}, size_t{8}, size_t{100}}) {
    Write("model.safetensors", whole.substr(0, size));
    EXPECT_EQ(Find(), "/model.safetensors has " + std::to_string(size) + " bytes and ends inside its header");
  }
  Write("model.safetensors", whole + "x");
  EXPECT_EQ(Find(), "/model.safetensors has " + std::to_string(whole.size() + 1) + " of " +
                        std::to_string(whole.size()) + " bytes");
}

TEST_F(ModelGap, AShardThatIsMissingOrCutIsNamed) {
  Shard();
  Remove("model-2-of-2.safetensors");
  EXPECT_EQ(Find(), "cannot find /model-2-of-2.safetensors: No such file or directory");
  Write("model-2-of-2.safetensors", Weights().substr(0, 20));
  EXPECT_EQ(Find(), "/model-2-of-2.safetensors has 20 bytes and ends inside its header");
}

TEST_F(ModelGap, AFolderWithoutWeightsIsNotWhole) {
  Remove("model.safetensors");
  EXPECT_EQ(Find(), " has no model.safetensors or model.safetensors.index.json");
  Write("pytorch_model.bin", "x");
  EXPECT_EQ(Find(),
            " has no model.safetensors or model.safetensors.index.json; save its pickled weights anew with "
            "save_pretrained of transformers");
}

TEST_F(ModelGap, WhatIsNoHeaderIsNotWhole) {
  for (const std::string& bytes :
       {std::string(100, '\0'), std::string(100, '\xff'), WithLength("[]", ""), WithLength(R"({"a": 1})", ""),
        WithLength(R"({"a": {"data_offsets": [0]}})", ""), WithLength(R"({"a": {"data_offsets": [0, -1]}})", ""),
        WithLength(R"({"a": {"data_offsets": [0, 18446744073709551615]}})", ""),
        WithLength(std::string(100'000, '['), "")}) {
    Write("model.safetensors", bytes);
    EXPECT_EQ(Find(), "/model.safetensors is no safetensors file") << bytes.substr(0, 60);
  }
}

TEST_F(ModelGap, AnIndexThatIsCutOrLeadsOutOfTheFolderIsNotWhole) {
  Shard();
  for (const char* index : {"", "{\"weight_map\": {\"a\": \"model-1", "[]"}) {
    Write("model.safetensors.index.json", index);
    EXPECT_EQ(Find(), "/model.safetensors.index.json is no whole JSON object") << index;
  }
  for (const char* index : {"{}", R"({"weight_map": {}})", R"({"weight_map": 1})"}) {
    Write("model.safetensors.index.json", index);
    EXPECT_EQ(Find(), "/model.safetensors.index.json has no weight_map") << index;
  }
  for (const char* file : {"\"../model-1-of-2.safetensors\"", "\"/etc/passwd\"", "\"\"", "1"}) {
    Write("model.safetensors.index.json", std::string(R"({"weight_map": {"a": )") + file + "}}");
    EXPECT_EQ(Find(), "/model.safetensors.index.json names a file that is none of its folder") << file;
  }
}

TEST_F(ModelGap, AConfigurationThatIsCutIsNotWhole) {
  Write("config.json", R"({"model_type": "gp)");
  EXPECT_EQ(Find(), "/config.json is no whole JSON object");
  Remove("config.json");
  EXPECT_EQ(Find(), "cannot find /config.json: No such file or directory");
}

TEST_F(ModelGap, ATextNeedsATokenizerOfOneKind) {
  Write("tokenizer.json", R"({"model": {)");
  EXPECT_FALSE(FindModelGap(dir_.path().string())) << "ids need none";
  EXPECT_EQ(Find(), "/tokenizer.json is no whole JSON");
  Remove("tokenizer.json");
  EXPECT_EQ(Find(), " has no tokenizer.json, tokenizer.model or vocab.json");
  Write("vocab.json", "{}");
  EXPECT_EQ(Find(), "cannot find /merges.txt: No such file or directory");
  Write("merges.txt", "");
  EXPECT_EQ(Find(), "");
  Remove("vocab.json");
  Write("tokenizer.model", "pieces");
  EXPECT_EQ(Find(), "");
}

TEST_F(ModelGap, APipeKeepsNobodyWaiting) {
  for (const char* name : {"tokenizer.json", "model.safetensors", "config.json"}) {
    Remove(name);
    ASSERT_EQ(mkfifo((dir_ / name).c_str(), 0600), 0);
    EXPECT_EQ(Find(), std::string("/") + name + " is not a plain file");
  }
}

}  // namespace
}  // namespace sink::run
