// Command lines: values, mistakes, help and what completion reads, as the programs use them.
#include "proto/args/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sink::args {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Kind = Parsed::Kind;

TEST(CommandLine, FillsVariablesAndLeavesTheOthersAlone) {
  CommandLine line("Does things.", "prog");
  std::string name = "before", file;
  int64_t count = 7;
  std::optional<int64_t> id;
  std::vector<std::string> words;
  bool quiet = false, loss = true;
  line.root().AddOption("FILE", file, "A file").Required();
  line.root().AddOption("--name", name, "A name");
  line.root().AddOption("--count", count, "A number");
  line.root().AddOption("--id", id, "An id");
  line.root().AddOption("--word", words, "Words").OneValueEach().CutAt(',');
  line.root().AddFlag("-q,--quiet", quiet, "Say less");
  line.root().AddFlag("!--no-loss", loss, "Without it");
  const Parsed parsed = line.Parse({"--word", "a,b", "path", "-q", "--word=c", "--no-loss", "--id", "5"});
  EXPECT_EQ(parsed.kind, Kind::kRun) << parsed.mistake;
  EXPECT_EQ(parsed.command, line.root());
  EXPECT_EQ(file, "path");
  EXPECT_EQ(name, "before");
  EXPECT_EQ(count, 7);
  EXPECT_EQ(id, 5);
  EXPECT_THAT(words, ElementsAre("a", "b", "c"));
  EXPECT_TRUE(quiet);
  EXPECT_FALSE(loss);
}

TEST(CommandLine, SaysWhatANumberWithOneBoundMustBe) {
  const auto mistake = [](const std::vector<std::string>& words) {
    CommandLine line("Does things.", "prog");
    int64_t step = 0, from = 0;
    double speed = 0;
    line.root().AddOption("--step", step, "Above 0").Positive();
    line.root().AddOption("--from", from, "Not below 0").NotNegative();
    line.root().AddOption("--speed", speed, "Above 0").Positive();
    return line.Parse(words).mistake;
  };
  EXPECT_EQ(mistake({"--step", "-1"}), "--step: -1 is not a number above 0");
  EXPECT_EQ(mistake({"--step", "0"}), "--step: 0 is not a number above 0");
  EXPECT_EQ(mistake({"--from", "-1"}), "--from: -1 is not a number from 0 up");
  for (const char* speed : {"inf", "nan", "fast", "1x"})
    EXPECT_EQ(mistake({"--speed", speed}), "--speed: " + std::string(speed) + " is not a number above 0");
  EXPECT_EQ(mistake({"--step", "1", "--from", "0", "--speed", "4e14"}), "");
}

TEST(CommandLine, RefusesValuesOutsideTheirBounds) {
  const std::map<std::string, std::vector<std::string>> cases = {{"--ratio", {"1.5", "-0.1", "x"}},
                                                                 {"--some", {"0", "4"}},
                                                                 {"--step", {"0", "-1"}},
                                                                 {"--from", {"-1"}},
                                                                 {"--format", {"c", "A"}},
                                                                 {"--metric", {"C", "al"}},
                                                                 {"--checked", {"bad"}},
                                                                 {"--kind", {"third", "2", "-1"}}};
  enum class Of { kFirst, kSecond };
  for (const auto& [option, values] : cases) {
    for (const std::string& value : values) {
      CommandLine line("Does things.", "prog");
      std::vector<double> ratios;
      int some = 1;
      int64_t step = 1, from = 1;
      std::string format, metric, checked;
      Of kind = Of::kFirst;
      Command root = line.root();
      root.AddOption("--ratio", ratios, "").Fraction();
      root.AddOption("--some", some, "").Within(1, 3);
      root.AddOption("--step", step, "").Positive();
      root.AddOption("--from", from, "").NotNegative();
      root.AddOption("--format", format, "").OneOf({"a", "b"});
      root.AddOption("--metric", metric, "").OneOf({"a", "b"}, {"all"});
      root.AddOption("--checked", checked, "").Check([](const std::string& text) {
        return text == "bad" ? "is bad" : "";
      });
      root.AddOption("--kind", kind, {{"first", Of::kFirst}, {"second", Of::kSecond}}, "");
      const Parsed parsed = line.Parse({option + "=" + value});
      EXPECT_EQ(parsed.kind, Kind::kMistake) << option << " " << value;
      EXPECT_THAT(parsed.mistake, HasSubstr(option));
    }
  }
}

TEST(CommandLine, TakesANamedValueInAnyCaseOrItsNumber) {
  enum class Of { kFirst, kSecond };
  for (const char* word : {"second", "SECOND", "1"}) {
    CommandLine line("Does things.", "prog");
    Of kind = Of::kFirst;
    line.root().AddOption("--kind", kind, {{"first", Of::kFirst}, {"second", Of::kSecond}}, "");
    EXPECT_EQ(line.Parse({"--kind", word}).kind, Kind::kRun);
    EXPECT_EQ(kind, Of::kSecond) << word;
  }
}

TEST(CommandLine, HoldsWhatOptionsNeedAndExclude) {
  const auto parse = [](std::vector<std::string> words) {
    CommandLine line("Does things.", "prog");
    bool json = false, csv = false, both = false;
    const Option first = line.root().AddFlag("--json", json, "");
    const Option second = line.root().AddFlag("--csv", csv, "").Excludes(first);
    line.root().AddFlag("--both", both, "").Needs(second);
    line.root().CheckTogether([&] { return both && csv ? "not both together" : ""; });
    return line.Parse(std::move(words));
  };
  EXPECT_EQ(parse({"--json"}).kind, Kind::kRun);
  EXPECT_EQ(parse({"--json", "--csv"}).kind, Kind::kMistake);
  EXPECT_EQ(parse({"--both"}).kind, Kind::kMistake);
  EXPECT_THAT(parse({"--csv", "--both"}).mistake, HasSubstr("not both together"));
}

TEST(CommandLine, TellsTheInnermostCommandAndWhatNothingTakes) {
  CommandLine line("Does things.", "prog");
  bool json = false, ran = false;
  line.root().AllowOneCommand();
  line.root().AddFlag("--json", json, "");
  Command group = line.root().AddCommand("group", "A group");
  group.RequireCommand();
  group.TakeOptionsOfParent();
  Command leaf = group.AddCommand("leaf", "A command");
  leaf.TakeOptionsOfParent();
  leaf.OnParsed([&ran] { ran = true; });
  EXPECT_EQ(leaf.path(), "prog group leaf");

  const Parsed good = line.Parse({"group", "leaf", "--json"});
  EXPECT_EQ(good.kind, Kind::kRun);
  EXPECT_EQ(good.command, leaf);
  EXPECT_TRUE(json && ran);

  const Parsed incomplete = line.Parse({"group"});
  EXPECT_EQ(incomplete.kind, Kind::kMistake);
  EXPECT_TRUE(incomplete.command.needs_command());

  const Parsed extra = line.Parse({"group", "leaf", "what"});
  EXPECT_EQ(extra.kind, Kind::kMistake);
  EXPECT_EQ(extra.command, leaf);
  EXPECT_THAT(extra.unexpected, ElementsAre("what"));
}

TEST(CommandLine, HelpIsOfTheCommandAndHidesTypes) {
  CommandLine line("Does things.", "prog");
  line.SetHelpText("Print this help");
  line.HideTypes();
  line.root().AllowOneCommand();
  Command leaf = line.root().AddCommand("leaf", "A command");
  leaf.SetFooter("The end.");
  int lines = 10;
  leaf.AddOption("--tail", lines, "Only the last lines").ValueText("N").Within(1, 100).ShowDefault();
  const Parsed parsed = line.Parse({"leaf", "--help"});
  EXPECT_EQ(parsed.kind, Kind::kHelp);
  EXPECT_EQ(parsed.command, leaf);
  const std::string help = leaf.Help();
  EXPECT_THAT(help, HasSubstr("prog leaf"));
  EXPECT_THAT(help, HasSubstr("--tail N"));
  EXPECT_THAT(help, HasSubstr("The end."));
  EXPECT_THAT(help, Not(HasSubstr("INT")));
}

TEST(CommandLine, ShowsCompletionWhatThereIs) {
  CommandLine line("Does things.", "prog");
  std::string out;
  bool follow = false;
  Command leaf = line.root().AddCommand("leaf", "A command");
  leaf.AddOption("--out", out, "A folder").ValueText("DIR");
  leaf.AddFlag("-f,--follow", follow, "Go on");
  ASSERT_TRUE(line.root().FindCommand("leaf"));
  EXPECT_FALSE(line.root().FindCommand("other"));
  EXPECT_EQ(line.root().commands().size(), 1u);
  const std::optional<Option> option = leaf.FindOption("-f");
  ASSERT_TRUE(option);
  EXPECT_TRUE(option->Is("--follow"));
  EXPECT_FALSE(option->takes_value());
  EXPECT_THAT(option->long_names(), ElementsAre("follow"));
  EXPECT_TRUE(leaf.FindOption("--out")->takes_value());
  EXPECT_EQ(leaf.FindOption("--out")->value_text(), "DIR");
  EXPECT_FALSE(leaf.FindOption("--nothing"));
  EXPECT_EQ(leaf.parent(), line.root());
}

TEST(CommandLine, TakesAnEnvironmentVariableWhereNothingIsWritten) {
  setenv("SINK_ARGS_TEST", "from there", 1);
  CommandLine line("Does things.", "prog");
  std::string value;
  line.root().AddOption("--value", value, "").OrEnvironment("SINK_ARGS_TEST").Required();
  EXPECT_EQ(line.Parse({}).kind, Kind::kRun);
  EXPECT_EQ(value, "from there");
  unsetenv("SINK_ARGS_TEST");
}

TEST(CommandLine, EndsAProgramWithItsOwnStatusForMistakes) {
  const auto parse = [](const char* word) {
    CommandLine line("Does things.", "prog");
    line.SetVersion("prog 1");
    std::string program = "prog", argument = word;
    char* argv[] = {program.data(), argument.data(), nullptr};
    return line.Parse(2, argv, /*usage=*/64);
  };
  EXPECT_EQ(parse("--help"), 0);
  EXPECT_EQ(parse("--version"), 0);
  EXPECT_EQ(parse("--nothing"), 64);
}

}  // namespace
}  // namespace sink::args
