// Where sink-eval writes: --heatmap and --dump are taken as what they are, also by root, who may replace anything.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "model/base/model_error.h"
#include "model/eval/evaluate.h"
#include "model/eval/evaluation_report.h"
#include "model/storage/safetensors.h"
#include "proto/files/descriptor.h"
#include "tests/model/helpers/open_folder.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class EvalOutput : public ::testing::Test {
 protected:
  EvalOutput() {
    EvaluateOptions options;
    options.model = testing::GoldenOpenModels() / "llama2";
    options.inputs = {.kind = InputKind::kRandom, .probe_options = {.tokens = 10, .sequences = 1}};
    options.keep_logits = true;
    evaluation_ = Evaluate(options);
    DrawHeatMap(evaluation_, dir_ / "map.svg");
    Dump(evaluation_, dir_ / "dump.safetensors");
    map_ = testing::ReadBytes(dir_ / "map.svg");
    dump_ = testing::ReadBytes(dir_ / "dump.safetensors");
  }

  testing::TempDir dir_;
  Evaluation evaluation_;
  std::string map_, dump_;
};

TEST_F(EvalOutput, FilesAreWhole) {
  EXPECT_THAT(map_, HasSubstr("<svg"));
  EXPECT_EQ(SafetensorsFile(dir_ / "dump.safetensors").tensors().count("logits"), 1u);
}

TEST_F(EvalOutput, DashIsStandardOutput) {
  const fs::path before = fs::current_path();
  fs::current_path(dir_.path());
  ::testing::internal::CaptureStdout();
  DrawHeatMap(evaluation_, "-");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), map_);
  ::testing::internal::CaptureStdout();
  Dump(evaluation_, "-");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), dump_);
  EXPECT_FALSE(fs::exists("-"));
  fs::current_path(before);
}

TEST_F(EvalOutput, LinksFifosAndDevicesStay) {
  const std::string fifo = dir_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const auto reader = files::Open(fifo, O_RDONLY | O_NONBLOCK);
  ASSERT_TRUE(reader.ok());
  DrawHeatMap(evaluation_, fifo);
  EXPECT_EQ(*files::ReadRest(*reader, fifo, 1 << 20), map_);
  EXPECT_TRUE(fs::is_fifo(fifo));
  fs::create_symlink("target", dir_ / "link");
  fs::create_symlink("/dev/null", dir_ / "null");
  Dump(evaluation_, dir_ / "link");
  Dump(evaluation_, dir_ / "null");
  EXPECT_EQ(testing::ReadBytes(dir_ / "target"), dump_);
  EXPECT_TRUE(fs::is_symlink(dir_ / "link"));
  EXPECT_TRUE(fs::is_symlink(dir_ / "null"));
}

TEST_F(EvalOutput, WhatCannotBeWrittenIsNamedAndLeavesWhatWasThere) {
  for (void (*const output)(const Evaluation&, const std::string&) : {&Dump, &DrawHeatMap}) {
    const auto write = [&](const std::string& path) { output(evaluation_, path); };
    try {
      write("/dev/full");
      FAIL();
    } catch (const ModelError& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("/dev/full"), HasSubstr("No space left")));
    }
    EXPECT_THROW(write(dir_ / "none/file"), ModelError);
    EXPECT_THROW(write(dir_.path()), ModelError);
  }
}

TEST_F(EvalOutput, TheReportGivesWayToWhatTakesStandardOutput) {
  const std::string program = std::string(std::getenv("SINK_BIN_DIR")) + "/sink-eval";
  const std::string command = program + " '" + (testing::GoldenOpenModels() / "llama2").string() +
                              "' --inputs random --tokens 10 --sequences 1 --heatmap - >'" + (dir_ / "out") + "' 2>'" +
                              (dir_ / "err") + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(testing::ReadBytes(dir_ / "out"), map_);
  EXPECT_THAT(testing::ReadBytes(dir_ / "err"), HasSubstr("sink rate"));
}

}  // namespace
}  // namespace sink
