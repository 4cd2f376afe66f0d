// TensorBoard, MLflow and Weights & Biases themselves read what we export (read_exports.py). $SINK_TRACKERS_PYTHON is a
// Python that has them, from deploy/bootstrap.sh --tests; without it these tests are skipped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "coordinator/export/export.h"
#include "tests/coordinator/report/studies.h"
#include "tests/testing/temp_dir.h"

namespace sink::exports {
namespace {

using report::Json;
using report::testing::AddPoint;
using report::testing::EmptyStudy;
using report::testing::FinishedRun;
using report::testing::Id;

std::string Quoted(const std::string& text) { return "'" + text + "'"; }

class ReadBack : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* python = std::getenv("SINK_TRACKERS_PYTHON");
    if (python == nullptr) GTEST_SKIP() << "SINK_TRACKERS_PYTHON is not set (deploy/bootstrap.sh --tests)";
    python_ = python;
    study_ = EmptyStudy("rates");
    report::Run odd = FinishedRun(1, {{"train.learning_rate", 1e-3}}, {{"train_loss", 3.25}, {"sink_rate/0.3/1", 0.5}});
    odd.curves["train_loss"][1].value = NAN;
    report::Run failed = FinishedRun(2, {{"train.learning_rate", 1.0}}, {{"train_loss", 7}});
    failed.state = "FAILED";
    AddPoint(&study_, "train.learning_rate=0.001", {odd});
    AddPoint(&study_, "train.learning_rate=1", {failed});
  }

  void Write(const std::vector<OutputFile>& files) {
    for (const OutputFile& file : files) {
      const std::filesystem::path path = folder_.path() / file.path;
      std::filesystem::create_directories(path.parent_path());
      std::ofstream(path, std::ios::binary) << file.bytes;
    }
  }

  // What the program that `format` names sees in the folder.
  Json Read(const std::string& format) {
    const testing::TempDir outside;
    const std::string script =
        std::string(std::getenv("SINK_SOURCE_DIR")) + "/tests/coordinator/export/read_exports.py";
    const std::string out = outside / "out.json";
    const std::string command = "HOME=" + Quoted(outside.path()) + " " + Quoted(python_) + " " + Quoted(script) + " " +
                                format + " " + Quoted(folder_.path()) + " >" + Quoted(out);
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    std::stringstream text;
    text << std::ifstream(out).rdbuf();
    return Json::parse(text.str(), nullptr, /*allow_exceptions=*/false);
  }

  std::string python_;
  report::Study study_;
  testing::TempDir folder_;
};

TEST_F(ReadBack, TensorBoardSeesEveryScalar) {
  Write(ToTensorBoard(study_));
  const Json runs = Read("tensorboard");
  const Json& run = runs["rates/learning_rate=0.001-00010000"]["metrics"];
  EXPECT_EQ(run["train_loss"], Json::parse(R"([[0, 0.0], [50, "nan"], [100, 3.25]])"));
  EXPECT_EQ(run["sink_rate/0.3/1"], Json::parse("[[0, 0.0], [50, 0.25], [100, 0.5]]"));
  EXPECT_EQ(runs.size(), 2u);
}

TEST_F(ReadBack, TensorBoardFillsItsPageOfHyperparameters) {
  Write(ToTensorBoard(study_));
  const Json runs = Read("tensorboard");
  const Json& run = runs["rates/learning_rate=0.001-00010000"];
  const Json wanted = Json::parse(R"({"experiment": "rates", "train.learning_rate": 0.001})");
  EXPECT_EQ(run["parameters"], wanted);
  EXPECT_EQ(run["page"], wanted);
  EXPECT_EQ(run["group"], "rates learning_rate=0.001");
  EXPECT_EQ(run["started"], 1.7e9);
  EXPECT_EQ(run["ended"], 1.7e9 + 60);
  EXPECT_EQ(run["status"], 1);  // STATUS_SUCCESS
  EXPECT_EQ(runs["rates/learning_rate=1-00020000"]["status"], 2);
}

// By the commands that sinkctl prints.
TEST_F(ReadBack, MlflowSeesRunsParametersMetricsTagsTimesAndArtifacts) {
  Write(ToMlflow(study_, folder_.path()));
  const Json runs = Read("mlflow");
  ASSERT_EQ(runs.size(), 2u);
  const Json& run = runs[Id(1)];
  EXPECT_EQ(run["experiment"], "study");
  EXPECT_EQ(run["name"], "rates learning_rate=0.001");
  EXPECT_EQ(run["status"], "FINISHED");
  EXPECT_EQ(runs[Id(2)]["status"], "FAILED");
  EXPECT_EQ(run["parameters"]["train.learning_rate"], "0.001");
  EXPECT_EQ(run["tags"]["sink.label"], "train.learning_rate=0.001");
  EXPECT_EQ(run["metrics"]["train_loss"], Json::parse(R"([[0, 0.0], [50, "nan"], [100, 3.25]])"));
  EXPECT_EQ(run["metrics"]["sink_rate/0.3/1"], Json::parse("[[0, 0.0], [50, 0.25], [100, 0.5]]"));
  EXPECT_EQ(run["times"]["train_loss"], Json::parse("[1700000000000, 1700000030000, 1700000060000]"));
  EXPECT_EQ(run["started"], 1700000000000);
  EXPECT_EQ(run["ended"], 1700000060000);
  EXPECT_EQ(run["artifacts"], Json::parse(R"(["config.json"])"));
}

TEST_F(ReadBack, WandbMakesOfflineRunsOfTheRunsOwnTimes) {
  std::ofstream(folder_ / "study.json") << ToWandbInput(study_);
  std::ofstream(folder_ / "script.py") << kWandbScript;
  const std::string command = Quoted(python_) + " " + Quoted(folder_ / "script.py") + " " +
                              Quoted(folder_ / "study.json") + " " + Quoted(folder_.path());
  ASSERT_EQ(std::system(command.c_str()), 0);
  const Json runs = Read("wandb");
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[Id(1)]["metrics"]["sink_rate/0.3/1"], Json::parse("[[0, 0.0], [50, 0.25], [100, 0.5]]"));
  EXPECT_EQ(runs[Id(1)]["metrics"]["train_loss"], Json::parse(R"([[0, 0.0], [50, "nan"], [100, 3.25]])"));
  EXPECT_EQ(runs[Id(1)]["parameters"]["train"]["learning_rate"], 1e-3);
  EXPECT_EQ(runs[Id(1)]["started"], 1700000000000);
  EXPECT_EQ(runs[Id(1)]["duration"], 60);
  EXPECT_EQ(runs[Id(1)]["exit_code"], 0);
  EXPECT_EQ(runs[Id(2)]["exit_code"], 1);
  EXPECT_EQ(runs[Id(1)]["times"]["train_loss"],
            Json::parse("[[1.7e9, 0.0], [1.70000003e9, 30.0], [1.70000006e9, 60.0]]"));
}

}  // namespace
}  // namespace sink::exports
