// Where sink-data's commands write: --out is taken as what it is, also by root, who may replace anything.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "model/base/data_error.h"
#include "model/data/commands/data_commands.h"
#include "model/data/corpus/json_lines.h"
#include "proto/args/command_line.h"
#include "proto/files/descriptor.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_files.h"

namespace sink::data {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

struct Command {
  std::function<void(args::Command)> add;
  std::vector<std::string> words;  // without --in and --out
  std::string content;             // what the output holds
};

class OutputTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* split : {"train", "valid"}) {
      fs::create_directories(dir_.path() / "in" / split);
      std::string lines;
      for (int i = 0; i < 8; ++i) lines += PrintTextLine("the same few words, again and again") + "\n";
      testing::WriteFile(dir_.path() / "in" / split / "a.jsonl", lines);
    }
  }

  void Run(const Command& command, const std::string& out) const {
    args::CommandLine line("Writes a file.", "sink-data");
    command.add(line.root());
    std::vector<std::string> words = command.words;
    words.insert(words.end(), {"--in", dir_ / "in", "--out", out});
    ASSERT_EQ(line.Parse(words).kind, args::Parsed::Kind::kRun);
  }

  testing::TempDir dir_;
  const std::vector<Command> commands_ = {
      {AddTrainTokenizerCommand, {"train-tokenizer", "--vocab-size", "260"}, "\"merges\""},
      {AddProbeCommand, {"probe", "--tokenizer", "bytes", "--sequences", "2", "--tokens", "8"}, "\"probe\""}};
};

TEST_F(OutputTest, DashIsStandardOutputWhichThenHoldsNothingElse) {
  const fs::path before = fs::current_path();
  fs::current_path(dir_.path());
  for (const Command& command : commands_) {
    Run(command, "file");
    ::testing::internal::CaptureStdout();
    Run(command, "-");
    EXPECT_EQ(::testing::internal::GetCapturedStdout(), testing::ReadFile("file"));
    EXPECT_THAT(testing::ReadFile("file"), HasSubstr(command.content));
    EXPECT_FALSE(fs::exists("-"));
  }
  fs::current_path(before);
}

TEST_F(OutputTest, LinksFifosAndDevicesStay) {
  const std::string link = dir_ / "link", fifo = dir_ / "fifo", null = dir_ / "null";
  fs::create_symlink("target", link);
  fs::create_symlink("/dev/null", null);
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  for (const Command& command : commands_) {
    const auto reader = files::Open(fifo, O_RDONLY | O_NONBLOCK);
    ASSERT_TRUE(reader.ok());
    for (const std::string& out : {link, fifo, null}) Run(command, out);
    EXPECT_THAT(testing::ReadFile(dir_ / "target"), HasSubstr(command.content));
    EXPECT_EQ(*files::ReadRest(*reader, fifo, 1 << 20), testing::ReadFile(dir_ / "target"));
    EXPECT_TRUE(fs::is_symlink(link));
    EXPECT_TRUE(fs::is_symlink(null));
    EXPECT_TRUE(fs::is_fifo(fifo));
  }
}

TEST_F(OutputTest, WhatCannotBeWrittenIsNamedWithTheReason) {
  for (const Command& command : commands_) {
    try {
      Run(command, dir_ / "none/file");
      FAIL();
    } catch (const DataError& error) {
      EXPECT_EQ(std::string(error.what()), "cannot write " + (dir_ / "none/file") + ": No such file or directory");
    }
    EXPECT_THROW(Run(command, dir_.path()), DataError);
  }
}

}  // namespace
}  // namespace sink::data
