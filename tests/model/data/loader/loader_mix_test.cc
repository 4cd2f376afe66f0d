// Mixing domains by weights: shares, what every domain gives, resuming, ranks, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "model/data/loader/domain_mix.h"
#include "model/data/loader/loader.h"
#include "model/data/packed/litpkds.h"
#include "model/data/packed/packed_set.h"
#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

using ::testing::HasSubstr;

// Domain d's tokens are 1000 * d and up, so that a row tells its domain and its place there.
class LoaderMixTest : public ::testing::Test {
 protected:
  LoaderMixTest() {
    PackedSet set = {.block = 9, .tokenizer = std::nullopt};
    const char* const names[] = {"a", "b", "c"};
    for (int d = 0; d < 3; ++d) {
      for (int f = 0; f < 2; ++f) {
        std::string bytes = EncodePackedHeader({.type = TokenType::kUint16, .tokens = 9 * 10});
        for (int i = 0; i < 9 * 10; ++i) {
          const int token = 1000 * d + 100 * f + i;
          bytes += {static_cast<char>(token & 0xff), static_cast<char>(token >> 8)};
        }
        const std::string name = SetFileName("train", names[d], 0, f);
        WriteText(dir_ / name, bytes);
        set.files.push_back({.name = name, .split = "train", .domain = names[d], .blocks = 10});
      }
    }
    WriteText(dir_ / kSetFileName, PrintSet(set));
    options_ = {.folder = dir_.path().string(),
                .domains = {"a", "b", "c"},
                .weights = {6, 3, 1},
                .sequence_length = 8,
                .vocab_size = 3000};
  }

  // The first token of each of the next n rows.
  static std::vector<int32_t> Take(Loader* loader, int64_t n) {
    std::vector<int32_t> rows(n * 9), first;
    loader->Next(n, rows.data());
    for (int64_t i = 0; i < n; ++i) first.push_back(rows[i * 9]);
    return first;
  }

  std::string ErrorWith(std::vector<std::string> domains, std::vector<double> weights) const {
    LoaderOptions options = options_;
    options.domains = std::move(domains);
    options.weights = std::move(weights);
    return ErrorOf([&] { Loader loader(options); });
  }

  testing::TempDir dir_;
  LoaderOptions options_;
};

TEST_F(LoaderMixTest, SharesFollowTheWeights) {
  Loader loader(options_);
  std::map<int32_t, int> counts;
  for (const int32_t first : Take(&loader, 4 * kMixBlock)) ++counts[first / 1000];
  EXPECT_NEAR(counts[0], 4 * kMixBlock * 0.6, 3);
  EXPECT_NEAR(counts[1], 4 * kMixBlock * 0.3, 3);
  EXPECT_NEAR(counts[2], 4 * kMixBlock * 0.1, 3);
  Loader again(options_);
  std::map<int32_t, int> early;  // already in a thousandth of it
  for (const int32_t first : Take(&again, 300)) ++early[first / 1000];
  EXPECT_NEAR(early[0], 180, 40);
}

TEST_F(LoaderMixTest, EveryDomainGivesAllItsRowsBeforeItBeginsAnew) {
  Loader loader(options_);
  std::map<int32_t, std::vector<int32_t>> of_domain;
  for (const int32_t first : Take(&loader, kMixBlock)) of_domain[first / 1000].push_back(first);
  for (auto& [domain, rows] : of_domain) {
    std::map<int32_t, int> times;
    for (const int32_t row : rows) ++times[row];
    EXPECT_EQ(times.size(), 20u);
    for (const auto& [row, n] : times) EXPECT_NEAR(n, static_cast<double>(rows.size()) / 20, 1.01) << row;
  }
}

TEST_F(LoaderMixTest, WeightOfZeroLeavesADomainOut) {
  options_.weights = {0, 1, 0};
  Loader loader(options_);
  for (const int32_t first : Take(&loader, 500)) EXPECT_EQ(first / 1000, 1);
}

TEST_F(LoaderMixTest, RestoredCursorContinuesExactly) {
  Loader straight(options_);
  Take(&straight, 1234);
  const Cursor cursor = straight.cursor();
  const std::vector<int32_t> expected = Take(&straight, 500);
  Loader resumed(options_);
  Take(&resumed, 7);
  resumed.Seek(cursor);
  EXPECT_EQ(Take(&resumed, 500), expected);
}

TEST_F(LoaderMixTest, RanksTogetherSeeWhatOneRankSees) {
  Loader one(options_);
  const std::vector<int32_t> all = Take(&one, 600);
  std::vector<int32_t> dealt(600);
  for (int64_t rank = 0; rank < 3; ++rank) {
    LoaderOptions options = options_;
    options.rank = rank;
    options.ranks = 3;
    Loader loader(options);
    const std::vector<int32_t> part = Take(&loader, 200);
    for (size_t i = 0; i < part.size(); ++i) dealt[3 * i + rank] = part[i];
    EXPECT_EQ(loader.cursor(), one.cursor());
  }
  EXPECT_EQ(dealt, all);
}

TEST_F(LoaderMixTest, OrderIsAFunctionOfTheSeed) {
  Loader first(options_), same(options_);
  options_.seed = 43;
  Loader other(options_);
  const std::vector<int32_t> rows = Take(&first, 100);
  EXPECT_EQ(Take(&same, 100), rows);
  EXPECT_NE(Take(&other, 100), rows);
}

TEST_F(LoaderMixTest, UnfittingMixesAreRefused) {
  EXPECT_THAT(ErrorWith({"a", "b"}, {1}), HasSubstr("2 domains have 1 weights"));
  EXPECT_THAT(ErrorWith({"a", "a"}, {1, 1}), HasSubstr("twice"));
  EXPECT_THAT(ErrorWith({"a", "b"}, {0, 0}), HasSubstr("must not all be 0"));
  EXPECT_THAT(ErrorWith({"a", "b"}, {1, -1}), HasSubstr("not negative"));
  EXPECT_THAT(ErrorWith({"a", "b"}, {1, std::nan("")}), HasSubstr("not negative"));
  EXPECT_THAT(ErrorWith({"a", "z"}, {1, 1}), HasSubstr("domain \"z\""));
}

TEST(DomainMix, DealsEveryRowOfEveryDomainOnceHoweverSmallItsWeight) {
  std::vector<double> weights(kMaxDomains, 1e-5);
  weights[7] = 1;
  weights[8] = 0.3;
  const DomainMix mix(weights, 1);
  std::map<size_t, std::set<int64_t>> seen;
  const int64_t n = 20 * kMixBlock;
  for (int64_t i = 0; i < n; ++i) {
    const auto [domain, index] = mix.At(i);
    EXPECT_TRUE(seen[domain].insert(index).second);
  }
  int64_t total = 0;
  for (const auto& [domain, indexes] : seen) {
    EXPECT_EQ(*indexes.rbegin() + 1, static_cast<int64_t>(indexes.size()));
    total += static_cast<int64_t>(indexes.size());
  }
  EXPECT_EQ(total, n);
  EXPECT_EQ(seen[3].size(), 1u);  // 163,840 * 1e-5 / 1.3006
}

}  // namespace
}  // namespace sink::data
