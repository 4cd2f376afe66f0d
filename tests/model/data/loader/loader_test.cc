// The loader: which rows in which order, for one rank and for many, from the start and from a cursor; the transforms;
// and what it refuses.
#include "model/data/loader/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <vector>

#include "model/data/packed/litpkds.h"
#include "model/data/packed/packed_set.h"
#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kBlock = 9;  // a context of 8
constexpr int64_t kBlocksPerFile = 5;
constexpr int kFiles = 20;  // of train: three groups of files that are permuted together

using Row = std::vector<int32_t>;

// A set in which the token at (file f, offset i) is 100 * f + i, so that a row tells where it came from.
class LoaderTest : public ::testing::Test {
 protected:
  LoaderTest() {
    PackedSet set = {.folder = dir_.path(),
                     .block = kBlock,
                     .chunk_blocks = kBlocksPerFile,
                     .valid_chunk_blocks = kBlocksPerFile,
                     .tokenizer = SetTokenizer{.name = "bytes", .hash = "", .vocab_size = 2000, .eos_id = 0},
                     .sources = {},
                     .files = {}};
    for (int f = 0; f < kFiles; ++f) AddFile(&set, "train", f % 2 == 0 ? "even" : "odd", f);
    for (int f = 0; f < 2; ++f) AddFile(&set, "valid", "even", f);
    WriteText(dir_ / kSetFileName, PrintSet(set));
    options_ = {.folder = dir_.path().string(), .sequence_length = 4, .vocab_size = 2100};
  }

  void AddFile(PackedSet* set, const std::string& split, const std::string& domain, int f) {
    const std::string name = SetFileName(split, domain, 0, f);
    std::string bytes = EncodePackedHeader({.type = TokenType::kUint16, .tokens = kBlock * kBlocksPerFile});
    for (int i = 0; i < kBlock * kBlocksPerFile; ++i) {
      const int token = 100 * f + i;
      bytes += {static_cast<char>(token & 0xff), static_cast<char>(token >> 8)};
    }
    WriteText(dir_ / name, bytes);  // WritePackedFile would sync each of the files
    set->files.push_back({.name = name, .split = split, .domain = domain, .blocks = kBlocksPerFile});
  }

  std::vector<Row> Take(Loader* loader, int64_t n) const {
    std::vector<int32_t> flat(n * (options_.sequence_length + 1));
    loader->Next(n, flat.data());
    std::vector<Row> rows;
    for (int64_t i = 0; i < n; ++i) {
      rows.emplace_back(flat.begin() + i * (options_.sequence_length + 1),
                        flat.begin() + (i + 1) * (options_.sequence_length + 1));
    }
    return rows;
  }

  std::vector<Row> Rows(const LoaderOptions& options, int64_t n) const {
    Loader loader(options);
    return Take(&loader, n);
  }

  std::string ErrorWith(const LoaderOptions& options) const {
    return ErrorOf([&] { Loader loader(options); });
  }

  testing::TempDir dir_;
  LoaderOptions options_;
};

TEST_F(LoaderTest, EpochHoldsEveryWindowOnce) {
  Loader loader(options_);
  ASSERT_EQ(loader.rows_per_epoch(), kFiles * kBlocksPerFile * 2);  // two windows of 4 in a block of 9
  EXPECT_EQ(loader.tokens_per_epoch(), loader.rows_per_epoch() * 4);
  std::set<int32_t> starts;
  for (const Row& row : Take(&loader, loader.rows_per_epoch())) {
    for (size_t i = 1; i < row.size(); ++i) ASSERT_EQ(row[i], row[0] + static_cast<int32_t>(i));
    EXPECT_TRUE(row[0] % 100 % kBlock == 0 || row[0] % 100 % kBlock == 4) << row[0];
    starts.insert(row[0]);
  }
  EXPECT_EQ(static_cast<int64_t>(starts.size()), loader.rows_per_epoch());
  EXPECT_EQ(loader.cursor(), (Cursor{.epoch = 1, .position = 0}));
}

TEST_F(LoaderTest, OrderIsAFunctionOfTheSeed) {
  EXPECT_EQ(Rows(options_, 50), Rows(options_, 50));
  LoaderOptions other = options_;
  other.seed = 43;
  EXPECT_NE(Rows(options_, 50), Rows(other, 50));
}

TEST_F(LoaderTest, EpochsDifferButHoldTheSameRows) {
  Loader loader(options_);
  std::vector<Row> first = Take(&loader, loader.rows_per_epoch());
  std::vector<Row> second = Take(&loader, loader.rows_per_epoch());
  EXPECT_NE(first, second);
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  EXPECT_EQ(first, second);
}

TEST_F(LoaderTest, NeighbouringRowsComeFromSeveralFiles) {
  std::set<int32_t> files;
  for (const Row& row : Rows(options_, 20)) files.insert(row[0] / 100);
  EXPECT_GE(files.size(), 4u);
  EXPECT_LE(files.size(), static_cast<size_t>(kFilesPerShuffle));
}

TEST_F(LoaderTest, RestoredCursorContinuesExactly) {
  Loader straight(options_);
  const int64_t rows = straight.rows_per_epoch();
  for (const int64_t before : {int64_t{0}, int64_t{1}, rows - 3, rows, rows + 17, 3 * rows + 1}) {
    Loader stopped(options_);
    Take(&stopped, before);
    Loader resumed(options_);
    resumed.Seek(stopped.cursor());
    EXPECT_EQ(Take(&resumed, 60), Take(&stopped, 60)) << before;
    EXPECT_EQ(resumed.cursor(), stopped.cursor());
  }
}

TEST_F(LoaderTest, RanksTogetherSeeWhatOneRankSees) {
  Loader one(options_);
  constexpr int kRanks = 3, kEach = 2;
  std::vector<Loader> loaders;
  for (int rank = 0; rank < kRanks; ++rank) {
    LoaderOptions options = options_;
    options.rank = rank;
    options.ranks = kRanks;
    loaders.emplace_back(options);
  }
  for (int batch = 0; batch < 50; ++batch) {  // crosses the end of an epoch
    std::vector<Row> expected = Take(&one, kRanks * kEach);
    for (int rank = 0; rank < kRanks; ++rank) {
      const std::vector<Row> got = Take(&loaders[rank], kEach);
      for (int i = 0; i < kEach; ++i) EXPECT_EQ(got[i], expected[i * kRanks + rank]);
      EXPECT_EQ(loaders[rank].cursor(), one.cursor());
    }
  }
}

TEST_F(LoaderTest, FractionKeepsWholeFilesRoundedDown) {
  const auto files_with = [&](double fraction, uint64_t seed) {
    LoaderOptions options = options_;
    options.fraction = fraction;
    options.seed = seed;
    Loader loader(options);
    std::set<int32_t> files;
    for (const Row& row : Take(&loader, loader.rows_per_epoch())) files.insert(row[0] / 100);
    EXPECT_EQ(static_cast<int64_t>(files.size()) * kBlocksPerFile * 2, loader.rows_per_epoch());
    return files;
  };
  EXPECT_EQ(files_with(1.0, 1).size(), 20u);
  EXPECT_EQ(files_with(0.55, 1).size(), 11u);
  EXPECT_EQ(files_with(0.29, 1).size(), 5u);
  EXPECT_EQ(files_with(0.05, 1).size(), 1u);
  EXPECT_NE(files_with(0.5, 1), files_with(0.5, 2));
  const std::set<int32_t> few = files_with(0.2, 1), many = files_with(0.6, 1);
  EXPECT_TRUE(std::includes(many.begin(), many.end(), few.begin(), few.end()));
}

TEST_F(LoaderTest, AFractionOfLessThanAFileIsThatManyBlocksOfOne) {
  const auto rows_with = [&](double fraction) {
    LoaderOptions options = options_;
    options.fraction = fraction;
    Loader loader(options);
    std::set<int32_t> rows;
    for (const Row& row : Take(&loader, 3 * loader.rows_per_epoch())) rows.insert(row[0]);
    EXPECT_EQ(static_cast<int64_t>(rows.size()), loader.rows_per_epoch());
    return rows;
  };
  const std::set<int32_t> file = rows_with(0.05), three = rows_with(0.031), one = rows_with(1e-9);
  EXPECT_EQ(file.size(), 10u);  // two windows a block
  EXPECT_EQ(three.size(), 6u);  // 20 files of 5 blocks x 0.031 = 3.1
  EXPECT_EQ(one.size(), 2u);
  EXPECT_TRUE(std::includes(file.begin(), file.end(), three.begin(), three.end()));
  EXPECT_TRUE(std::includes(three.begin(), three.end(), one.begin(), one.end()));
}

TEST_F(LoaderTest, DomainSelectsItsFiles) {
  EXPECT_EQ(Domains(options_.folder, "train"), (std::vector<std::string>{"even", "odd"}));
  LoaderOptions odd = options_;
  odd.domain = "odd";
  for (const Row& row : Rows(odd, 50)) EXPECT_EQ(row[0] / 100 % 2, 1);
  odd.domain = "none";
  EXPECT_THAT(ErrorWith(odd), HasSubstr("domain \"none\""));
  EXPECT_THAT(ErrorWith(odd), HasSubstr("only of even, odd"));
}

TEST_F(LoaderTest, DomainSelectsTheShardsThatTheStudysCorpusCutsItInto) {
  PackedSet set = {.block = kBlock, .tokenizer = std::nullopt};
  for (int f = 0; f < 4; ++f) AddFile(&set, "train", "arxiv-" + std::to_string(f), f);
  AddFile(&set, "train", "arxiv-more", 4);
  AddFile(&set, "train", "web", 5);
  AddFile(&set, "train", "web-1", 6);
  WriteText(dir_ / kSetFileName, PrintSet(set));
  const auto files_of = [&](const std::string& domain) {
    LoaderOptions options = options_;
    options.domain = domain;
    std::set<int32_t> files;
    for (const Row& row : Rows(options, 40)) files.insert(row[0] / 100);
    return files;
  };
  EXPECT_EQ(files_of("arxiv"), (std::set<int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(files_of("arxiv-2"), (std::set<int32_t>{2}));
  EXPECT_EQ(files_of("web"), (std::set<int32_t>{5})) << "a domain of this very name comes first";
  LoaderOptions unknown = options_;
  unknown.domain = "arxif";
  EXPECT_THAT(ErrorWith(unknown), HasSubstr("only of arxiv (4 shards), arxiv-more, web (2 shards)"));
}

TEST_F(LoaderTest, FixedTokenReplacesItsPositionInEveryRow) {
  LoaderOptions fixed = options_;
  fixed.fixed_token_position = 1;
  fixed.fixed_token_id = 2099;
  std::vector<Row> expected = Rows(options_, 30);
  for (Row& row : expected) row[0] = 2099;
  EXPECT_EQ(Rows(fixed, 30), expected);
}

TEST_F(LoaderTest, RandomTokensAreUniformAndTheSameInEveryEpoch) {
  LoaderOptions random = options_;
  random.random_tokens_start = 1;
  random.random_tokens_end = 3;
  Loader loader(random);
  const int64_t rows = loader.rows_per_epoch();
  std::vector<Row> first = Take(&loader, rows), second = Take(&loader, rows), plain = Rows(options_, rows);
  double sum = 0;
  std::set<int32_t> ids;
  for (int64_t i = 0; i < rows; ++i) {
    for (const int position : {0, 3, 4}) EXPECT_EQ(first[i][position], plain[i][position]);
    for (const int position : {1, 2}) {
      EXPECT_LT(first[i][position], random.vocab_size);
      sum += first[i][position];
      ids.insert(first[i][position]);
    }
  }
  EXPECT_NEAR(sum / (2.0 * rows), random.vocab_size / 2.0, random.vocab_size / 12.0);  // four standard deviations
  EXPECT_GT(ids.size(), 350u);                                                         // of 400 draws
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  EXPECT_EQ(first, second);
  random.seed = 43;
  std::vector<Row> other = Rows(random, rows);
  std::sort(other.begin(), other.end());
  EXPECT_NE(other, first);
}

TEST_F(LoaderTest, ProbesAreDistinctHeldOutBlocksWhateverTheSeed) {
  const std::vector<int32_t> probe = LoadProbe(options_, 10, 8);
  ASSERT_EQ(probe.size(), 10u * 9);
  std::set<int32_t> starts;
  for (int i = 0; i < 10; ++i) {
    starts.insert(probe[i * 9]);
    EXPECT_EQ(probe[i * 9] % 100 % kBlock, 0);
    EXPECT_EQ(probe[i * 9 + 8], probe[i * 9] + 8);
  }
  EXPECT_EQ(starts.size(), 10u);
  LoaderOptions other = options_;
  other.seed = 7;
  EXPECT_EQ(LoadProbe(other, 10, 8), probe);
  other.fixed_token_position = 2;
  other.fixed_token_id = 5;
  const std::vector<int32_t> fixed = LoadProbe(other, 10, 4);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(fixed[i * 5], probe[i * 9]);
    EXPECT_EQ(fixed[i * 5 + 1], 5);
  }
}

TEST_F(LoaderTest, ImpossibleProbesAreRefused) {
  EXPECT_THAT(ErrorOf([&] { LoadProbe(options_, 11, 4); }), HasSubstr("only 10 held-out blocks for 11 probes"));
  EXPECT_THAT(ErrorOf([&] { LoadProbe(options_, 2, 9); }), HasSubstr("lower eval.tokens"));
}

TEST_F(LoaderTest, PaddingBlocksAreNeverRead) {
  PackedSet set = OpenSet(dir_.path());
  for (SetFile& file : set.files) file.blocks = 2;
  WriteText(dir_ / kSetFileName, PrintSet(set));
  Loader loader(options_);
  EXPECT_EQ(loader.rows_per_epoch(), kFiles * 2 * 2);
  for (const Row& row : Take(&loader, loader.rows_per_epoch())) EXPECT_LT(row[4] % 100, 2 * kBlock);
}

TEST_F(LoaderTest, UnfittingOptionsAreRefused) {
  LoaderOptions options = options_;
  options.sequence_length = 9;
  EXPECT_THAT(ErrorWith(options), HasSubstr("--block 10"));
  options = options_;
  options.split = "test";
  EXPECT_THAT(ErrorWith(options), HasSubstr("no packed files of split \"test\""));
  options = options_;
  options.vocab_size = 1999;
  EXPECT_THAT(ErrorWith(options), HasSubstr("its tokenizer has 2000 ids but the model only 1999"));
  options = options_;
  options.folder += "/none";
  EXPECT_THAT(ErrorWith(options), HasSubstr("no such folder"));
  options = options_;
  options.fixed_token_position = 1;
  options.fixed_token_id = 2100;
  EXPECT_THAT(ErrorWith(options), HasSubstr("outside the vocabulary"));
  options = options_;
  options.random_tokens_end = 6;
  EXPECT_THAT(ErrorWith(options), HasSubstr("random_tokens"));
  options = options_;
  options.fraction = 0;
  EXPECT_THAT(ErrorWith(options), HasSubstr("fraction"));
}

TEST_F(LoaderTest, CursorOfAnotherSetIsRefused) {
  Loader loader(options_);
  const int64_t rows = loader.rows_per_epoch();
  EXPECT_THAT(ErrorOf([&] { loader.Seek({.epoch = 0, .position = rows}); }), HasSubstr("the checkpoint was made with"));
  EXPECT_THAT(ErrorOf([&] { loader.Seek({.epoch = -1, .position = 0}); }), HasSubstr("resume with the set"));
}

TEST_F(LoaderTest, TruncatedFileIsNamed) {
  const std::string name = SetFileName("train", "odd", 0, 3);
  std::filesystem::resize_file(dir_ / name, 60);
  EXPECT_THAT(ErrorWith(options_), HasSubstr(name + ": truncated"));
  std::filesystem::remove(dir_ / name);
  EXPECT_THAT(ErrorWith(options_), HasSubstr(name + ": cannot open"));
}

TEST_F(LoaderTest, IdOutsideTheVocabularyIsNamed) {
  const std::string name = SetFileName("train", "odd", 0, 3);
  WritePackedFile(dir_.path() / name, TokenType::kInt32, std::vector<int32_t>(kBlock * kBlocksPerFile, -1));
  EXPECT_THAT(ErrorOf([&] { Rows(options_, 200); }), HasSubstr(name + ": token id -1 is outside"));
}

TEST(ForeignSet, TinyLlamaFolderIsReadWithItsBlockSize) {
  testing::TempDir dir;
  WritePackedFile(dir / "train_slim_pajama_3_0000000000.bin", TokenType::kUint16,
                  std::vector<int32_t>(kDefaultBlock * 2, 11));
  LoaderOptions options = {.folder = dir.path().string(), .sequence_length = 1024, .vocab_size = 32000};
  EXPECT_EQ(Loader(options).rows_per_epoch(), 4);
  EXPECT_EQ(Domains(options.folder, "train"), std::vector<std::string>{"slim_pajama"});
  WritePackedFile(dir / "train_slim_pajama_3_0000000001.bin", TokenType::kUint16, std::vector<int32_t>(100, 11));
  EXPECT_THAT(ErrorOf([&] { Loader loader(options); }), HasSubstr("not whole blocks of 2049"));
}

TEST(ForeignSet, FractionLosesNoFileToRounding) {
  testing::TempDir dir;
  const std::string file =
      EncodePackedHeader({.type = TokenType::kUint16, .tokens = kDefaultBlock}) + std::string(2 * kDefaultBlock, '\0');
  for (int i = 0; i < 50; ++i) WriteText(dir / SetFileName("train", "a", 0, i), file);
  LoaderOptions options = {.folder = dir.path().string(), .fraction = 0.58, .vocab_size = 257};
  EXPECT_EQ(Loader(options).rows_per_epoch(), 29);  // 50 * 0.58 is 28.999999999999996
}

}  // namespace
}  // namespace sink::data
