// The BPE trainer: which pairs it merges, and that its tokenizer.json works.
#include "model/data/tokenizer/bpe_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "model/data/tokenizer/tokenizer.h"
#include "tests/model/helpers/data_files.h"

namespace sink::data {
namespace {

using ::testing::HasSubstr;

TEST(BpeTrainer, MergesTheMostFrequentPairFirst) {
  BpeTrainer trainer;
  trainer.Add("low low low low low lower lower newest newest newest newest newest newest widest widest widest");
  const BpeSpec spec = trainer.Train(262, 2);
  ASSERT_EQ(spec.merges.size(), 5u);
  EXPECT_EQ(spec.vocab[257].bytes, "es");  // 9 times, as "st" is; the smaller ids win
  EXPECT_EQ(spec.vocab[258].bytes, "est");
  EXPECT_EQ(spec.vocab[259].bytes, "lo");  // 7 times
  EXPECT_EQ(spec.vocab[260].bytes, "low");
  EXPECT_EQ(spec.vocab[261].bytes, "ew");  // 6 times, as " low" and others
}

TEST(BpeTrainer, StopsAtTheMinimumFrequency) {
  BpeTrainer trainer;
  trainer.Add("ab ab ab cd");
  EXPECT_EQ(trainer.Train(1000, 3).merges.size(), 1u);
  EXPECT_EQ(trainer.Train(1000, 4).merges.size(), 0u);
}

TEST(BpeTrainer, RepeatedLettersAreCountedAsTheyMerge) {
  BpeTrainer trainer;
  trainer.Add("aaaaa");
  const BpeSpec spec = trainer.Train(1000, 1);
  ASSERT_EQ(spec.merges.size(), 3u);
  EXPECT_EQ(spec.vocab[257].bytes, "aa");
  EXPECT_EQ(spec.vocab.back().bytes, "aaaaa");
}

TEST(BpeTrainer, PrintedTokenizerEncodesAndDecodes) {
  BpeTrainer trainer;
  const std::string text = "The quick brown fox jumps over the lazy dog; the dog sleeps. Ünïcode too: é é é";
  trainer.Add(text);
  const BpeSpec spec = trainer.Train(300, 2);
  const std::unique_ptr<Tokenizer> tokenizer = NewBpeTokenizer(PrintTokenizerJson(spec), "trained");
  std::vector<int32_t> ids;
  tokenizer->Encode(text, &ids);
  EXPECT_EQ(tokenizer->Decode(ids), text);
  EXPECT_LT(ids.size(), text.size());
  EXPECT_EQ(tokenizer->vocab_size(), static_cast<int64_t>(spec.vocab.size()));
  EXPECT_EQ(tokenizer->eos_id(), 0);
}

TEST(BpeTrainer, TooSmallVocabulariesAreRefused) {
  EXPECT_THAT(ErrorOf([] { BpeTrainer().Train(256, 2); }), HasSubstr("too small"));
}

}  // namespace
}  // namespace sink::data
