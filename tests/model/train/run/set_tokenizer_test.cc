// What checkpoints take with them of a set's tokenizer: bytes as a tokenizer.json of the same ids, files as they are.
#include "model/train/run/set_tokenizer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "model/data/corpus/json_lines.h"
#include "model/data/packed/packer.h"
#include "model/data/tokenizer/tokenizer.h"
#include "model/train/run/checkpoint.h"
#include "proto/run/checkpoint_settings.h"
#include "tests/model/helpers/data_files.h"
#include "tests/model/train/helpers/tiny_job.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_files.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;

class SetTokenizerTest : public ::testing::Test {
 protected:
  SetTokenizerTest() {
    for (const char* split : {"train", "valid"})
      data::WriteText(dir_.path() / "in" / split / "a.jsonl",
                      data::PrintTextLine("a text of some words, naïve ones") + "\n");
  }
  fs::path Pack(const std::string& tokenizer) {
    const fs::path out = dir_ / "set";
    data::Pack({.in = dir_ / "in",
                .out = out,
                .tokenizer = tokenizer,
                .block = 8,
                .chunk_blocks = 1,
                .valid_chunk_blocks = 1});
    return out;
  }

  testing::TempDir dir_;
};

TEST_F(SetTokenizerTest, BytesAreATokenizerOfTheSameIds) {
  const TokenizerFiles files = ReadSetTokenizer(Pack("bytes"), 64);
  EXPECT_EQ(files.eos_id, 256);
  const auto made = data::NewTokenizer(files.content.at("tokenizer.json"), "tokenizer.json");
  const auto bytes = data::NewByteTokenizer();
  EXPECT_EQ(made->vocab_size(), 257);
  EXPECT_EQ(made->eos_id(), 256);
  std::string every;
  for (char32_t c = 0; c < 0x250; ++c)
    every += c < 0x80 ? std::string(1, static_cast<char>(c))
                      : std::string{static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
  for (const std::string& text :
       {std::string("don't  stop\n\n now "), every, std::string("e\u0301 is not é; 漢字 🙂")}) {
    std::vector<int32_t> wanted, ids;
    bytes->Encode(text, &wanted);
    made->Encode(text, &ids);
    EXPECT_EQ(ids, wanted) << text;
    EXPECT_EQ(made->Decode(ids), text);
  }
  EXPECT_EQ(run::FaultInSettings("tokenizer_config.json", files.content.at("tokenizer_config.json")), "");
  const auto config = nlohmann::json::parse(files.content.at("tokenizer_config.json"));
  EXPECT_EQ(config["eos_token"], made->Decode({{256}}));
  EXPECT_EQ(config["model_max_length"], 64);
}

TEST_F(SetTokenizerTest, ATokenizerFileComesAsItIs) {
  const std::string golden =
      std::string(std::getenv("SINK_SOURCE_DIR")) + "/tests/golden/tokenizers/gpt2_style/tokenizer.json";
  const TokenizerFiles files = ReadSetTokenizer(Pack(golden), 64);
  EXPECT_EQ(files.content.at("tokenizer.json"), testing::ReadFile(golden));
  const auto tokenizer = data::OpenTokenizer(golden);
  EXPECT_EQ(files.eos_id, tokenizer->eos_id());
  EXPECT_EQ(nlohmann::json::parse(files.content.at("tokenizer_config.json"))["eos_token"], "<|endoftext|>");
}

TEST_F(SetTokenizerTest, ASetWithoutADescriptionHasNone) {
  const TinyJob job;
  const TokenizerFiles files = ReadSetTokenizer(job.folder() / "data" / "tiny", 64);
  EXPECT_TRUE(files.content.empty());
  EXPECT_FALSE(files.eos_id);
}

TEST_F(SetTokenizerTest, ACheckpointHoldsTheFilesAndTheEndOfATextAndOneSafetensorsFile) {
  const TinyJob job;
  Transformer model(job.config.model, at::kCPU);
  const Optimizer optimizer(job.config.train, model, WholeOf(model));
  const fs::path folder = dir_ / "checkpoint";
  fs::create_directories(folder);
  WriteCheckpoint(folder,
                  ContentOf(job.config, model, optimizer, {}, {.content = {{"tokenizer.json", "{}"}}, .eos_id = 7}));
  EXPECT_EQ(testing::ReadFile(folder / "tokenizer.json"), "{}");
  EXPECT_EQ(nlohmann::json::parse(testing::ReadFile(folder / "config.json"))["eos_token_id"], 7);
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    EXPECT_TRUE(entry.path().extension() != ".safetensors" || entry.path().filename() == "model.safetensors") << entry;
}

}  // namespace
}  // namespace sink::train
