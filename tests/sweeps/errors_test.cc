// Every fault that a sweep file can have, with the exact text that a person will read. Each file of fixtures/errors
// says in its first line what must be said about it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sweeps/expand.h"
#include "tests/sweeps/files.h"

namespace sink {
namespace {

using testing::ExpandText;
using ::testing::HasSubstr;
using testing::ReadFrom;

std::string FixtureFolder() { return testing::SourceDir() + "/tests/sweeps/fixtures/errors"; }

std::vector<std::string> Fixtures() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(FixtureFolder())) {
    if (entry.is_regular_file()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(SweepErrors, EveryFixtureGivesItsExactMessage) {
  const std::vector<std::string> fixtures = Fixtures();
  ASSERT_GE(fixtures.size(), 60u);
  const FileReader read = ReadFrom(FixtureFolder());
  for (const std::string& name : fixtures) {
    SCOPED_TRACE(name);
    const std::string text = *read(name);
    const std::string expected = text.substr(0, text.find('\n'));
    const absl::StatusOr<ExpandedSweep> sweep = ExpandSweep({name, {}, read});
    ASSERT_FALSE(sweep.ok());
    EXPECT_EQ(sweep.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ("# error: " + std::string(sweep.status().message()), expected);
  }
}

std::string ErrorOf(const std::string& text) {
  const auto sweep = ExpandSweep({"x.yaml", {}, ReadFrom(std::map<std::string, std::string>{{"x.yaml", text}})});
  return sweep.ok() ? "" : std::string(sweep.status().message());
}

TEST(SweepErrors, MissingEntryNamesTheFile) {
  const auto sweep = ExpandSweep({"absent.yaml", {}, ReadFrom(std::map<std::string, std::string>{})});
  EXPECT_EQ(sweep.status().message(), "absent.yaml: cannot read the file: no file absent.yaml");
}

TEST(SweepErrors, EveryMistakeIsToldInOneGo) {
  EXPECT_EQ(
      ErrorOf("schema: sink/v2\n"
              "name: a b\n"
              "train: {max_steps: many, seed: -1}\n"
              "experiments:\n"
              "  - name: one\n"
              "    grid: {train.learning_rate: [1e-3, fast], train.sed: [1]}\n"
              "  - set: {model.hidden_size: 0}\n"),
      "x.yaml:1:9: this program reads \"schema: sink/v1\" only\n"
      "x.yaml:2:7: a sweep's name must be 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter, a digit or _ and "
      "without \"..\"\n"
      "x.yaml:3:20: train.max_steps must be a number, not \"many\"\n"
      "x.yaml:3:32: train.seed must be between 0 and 9007199254740991\n"
      "x.yaml:6:40: train.learning_rate must be a number, not \"fast\"\n"
      "x.yaml:6:47: unknown key \"train.sed\"; did you mean \"train.seed\"?\n"
      "x.yaml:7:30: model.hidden_size must be between 1 and 65536\n"
      "x.yaml:7:5: an experiment without a name; add \"name: ...\"");
}

TEST(SweepErrors, ManyMistakesAreCounted) {
  std::string text = "schema: sink/v1\nname: a\nexperiments: [{name: b}]\n";
  for (int i = 0; i < 30; ++i) absl::StrAppend(&text, "key_", i, ": 1\n");
  EXPECT_THAT(ErrorOf(text), HasSubstr("\nand 10 more mistakes"));
}

TEST(SweepErrors, InvalidUtf8IsRefusedAtItsPlace) {
  for (const char* bytes : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82"}) {
    EXPECT_EQ(ErrorOf(absl::StrCat("schema: sink/v1\nname: ", bytes, "\n")),
              "x.yaml:2:7: not valid UTF-8; save the file as UTF-8");
  }
}

TEST(SweepErrors, ControlCharactersAreRefused) {
  EXPECT_EQ(ErrorOf(std::string("a: \0b\n", 6)), "x.yaml:1:4: a control character; remove it");
}

TEST(SweepErrors, OversizedFileIsRefused) {
  EXPECT_EQ(ErrorOf(std::string(256 * 1024 + 1, '#')), "x.yaml: the file has 262145 bytes; at most 262144 (256 KiB)");
}

TEST(SweepErrors, TooManyValuesAreRefused) {
  std::string text = "a: [";
  for (int i = 0; i < 10'000; ++i) text += "1,";
  EXPECT_THAT(ErrorOf(text + "1]\n"), HasSubstr("more than 10000 values in one file"));
}

TEST(SweepErrors, DeepNestingIsRefusedWithoutRecursion) {
  EXPECT_THAT(ErrorOf("a: " + std::string(100'000, '[') + std::string(100'000, ']')),
              HasSubstr("nested deeper than 32 levels"));
}

TEST(SweepErrors, LongChainOfBasesIsRefused) {
  std::map<std::string, std::string> files = {{"x.yaml", "base: 1.yaml\n"}};
  for (int i = 1; i < 20; ++i) files[absl::StrCat(i, ".yaml")] = absl::StrCat("base: ", i + 1, ".yaml\n");
  EXPECT_EQ(ExpandSweep({"x.yaml", {}, ReadFrom(files)}).status().message(),
            "7.yaml:1:7: more than 8 files in a chain of bases");
}

TEST(SweepErrors, ProportionalKeyNeedsAValueInTheProfile) {
  const std::string sweep = "schema: sink/v1\nname: a\nexperiments: [{name: a}]\n";
  const auto expand = [&](const std::string& profile) {
    const FileReader read = ReadFrom(std::map<std::string, std::string>{{"a.yaml", sweep}, {"p.yaml", profile}});
    return std::string(ExpandSweep({"a.yaml", {"p.yaml"}, read}).status().message());
  };
  EXPECT_EQ(expand("proportional: [train.max_steps]\n"),
            "p.yaml:1:16: train.max_steps is proportional, but the profile gives no value for it; add one");
  EXPECT_EQ(expand("proportional: [data.set]\n"),
            "p.yaml:1:16: data.set is not a number, so it cannot be proportional");
  EXPECT_EQ(expand("data: {fixed_token_position: 1}\nproportional: [data.fixed_token_position]\n"),
            "p.yaml:2:16: the sweep's own data.fixed_token_position is 0: nothing is proportional to it");
  EXPECT_THAT(expand("experiments: []\n"), HasSubstr("p.yaml:1:1: unknown key \"experiments\""));
}

TEST(SweepErrors, ConditionsAreBounded) {
  const auto error = [](const std::string& condition) {
    return std::string(ExpandText("experiments: [{name: a, exclude: ['" + condition + "']}]\n").status().message());
  };
  EXPECT_THAT(error(std::string(40, '(') + "1" + std::string(40, ')')), HasSubstr("nested too deeply"));
  EXPECT_THAT(error(std::string(200, '-') + "1 == 1"), HasSubstr("nested too deeply"));
  EXPECT_THAT(error(std::string(257, ' ')), HasSubstr("more than 256 characters"));
}

TEST(SweepErrors, ExcludedPointsDoNotHideTooManyJobs) {
  const auto sweep = ExpandText(
      "experiments:\n  - name: a\n    grid: {train.seed: [1, 2, 3, 4]}\n    exclude: [train.seed == 1]\n"
      "limits: {max_jobs: 2}\n");
  EXPECT_EQ(sweep.status().message(),
            "test.yaml:8:20: the sweep has more than 2 jobs, but limits.max_jobs is 2; raise it or sweep less");
}

}  // namespace
}  // namespace sink
