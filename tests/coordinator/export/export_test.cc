// The formats, read back by hand here; read_back_test.cc has the real programs read them.
#include "coordinator/export/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <utility>

#include "tensorboard/event.pb.h"
#include "tests/coordinator/report/studies.h"

namespace sink::exports {
namespace {

using report::testing::AddPoint;
using report::testing::EmptyStudy;
using report::testing::FinishedRun;
using ::testing::HasSubstr;
using ::testing::SizeIs;

report::Study Small() {
  report::Study study = EmptyStudy("rates");
  report::Run run = FinishedRun(1, {{"train.learning_rate", 1e-3}}, {{"train_loss", 0.1}, {"alpha_max/1", 0.5}});
  run.data_content = "c0ffee";
  run.curves["train_loss"][1] = {50, NAN, 2};
  AddPoint(&study, "lr=0.001, \"odd\"", {run, FinishedRun(2, {}, {{"train_loss", 3}})});
  study.experiments.push_back({"again", "", report::Json::object(), study.experiments[0].points});
  return study;
}

TEST(Csv, HasARowAJobMetricAndStepAndEachJobOnce) {
  const std::string csv = ToCsv(Small());
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 6 + 3);
  EXPECT_THAT(csv, HasSubstr("sweep,experiment,label,job,state,attempt,metric,step,tokens,value,data_content\n"));
  EXPECT_THAT(csv, HasSubstr("study,rates,\"lr=0.001, \"\"odd\"\" replica=1\"," + report::testing::Id(1) +
                             ",SUCCEEDED,2,train_loss,50,25600,NaN,c0ffee\n"));
  EXPECT_THAT(csv, HasSubstr(",train_loss,100,51200,0.1,c0ffee\n"));
}

// Its step counts layers, and its settings have a batch size like every job's.
TEST(Csv, AModelThatIsMeasuredHasNoTokensAndNoOnset) {
  report::Study study = EmptyStudy("gpt2");
  AddPoint(&study, "evaluate.model=a", {FinishedRun(1, {{"kind", "evaluate"}}, {{"alpha_max/1", 0.9}})});
  EXPECT_THAT(ToCsv(study), HasSubstr(",SUCCEEDED,1,alpha_max/1,100,,0.9,\n"));
  EXPECT_THAT(ToResults({&study}), HasSubstr(",SUCCEEDED,0.9,,,,,\n"));
}

TEST(JsonExport, HoldsEverything) {
  report::Study study = Small();
  study.runs[report::testing::Id(1)].heat_maps = {{"alpha/1", 100, 1, 2, {0.25, NAN}}};
  const report::Json json = report::Json::parse(ToJson(study));
  EXPECT_EQ(json["experiments"].size(), 2u);
  EXPECT_EQ(json["jobs"].size(), 2u);
  EXPECT_EQ(json["jobs"][0]["curves"]["train_loss"][1][1], "NaN");
  EXPECT_EQ(json["jobs"][0]["heat_maps"][0]["values"][0], 0.25);
  EXPECT_EQ(json["jobs"][0]["config"]["train"]["learning_rate"], 1e-3);
  EXPECT_EQ(json["jobs"][0]["data_content"], "c0ffee");
}

TEST(TensorBoard, FramesHoldOneEventAStepAfterTheVersion) {
  const std::vector<OutputFile> files = ToTensorBoard(Small());
  ASSERT_THAT(files, SizeIs(2));
  EXPECT_EQ(files[0].path, "rates/lr=0.001___odd__replica=1-00010000/events.out.tfevents.1700000000.sink");
  std::vector<tensorboard::Event> events;
  const std::string& bytes = files[0].bytes;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data() + at, 8);
    events.emplace_back();
    ASSERT_TRUE(events.back().ParseFromString(bytes.substr(at + 12, length)));
    at += 12 + length + 4;
  }
  ASSERT_THAT(events, SizeIs(6));
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(events[4].step(), 100);
  EXPECT_DOUBLE_EQ(events[4].wall_time(), 1'700'000'060);
  EXPECT_EQ(events[4].summary().value_size(), 2);
  EXPECT_EQ(events[4].summary().value(0).tag(), "alpha_max/1");
  EXPECT_TRUE(std::isnan(events[3].summary().value(1).simple_value()));
  tensorboard::HparamsPluginData start, end;
  for (const auto& [event, data] : {std::pair(1, &start), std::pair(5, &end)}) {
    const auto& plugin = events[event].summary().value(0).metadata().plugin_data();
    EXPECT_EQ(plugin.plugin_name(), "hparams");
    ASSERT_TRUE(data->ParseFromString(plugin.content()));
  }
  const auto& hparams = start.session_start_info().hparams();
  EXPECT_EQ(hparams.at("train.learning_rate").number_value(), 1e-3);
  EXPECT_EQ(hparams.at("experiment").string_value(), "rates");
  EXPECT_EQ(hparams.at("data_content").string_value(), "c0ffee");
  EXPECT_FALSE(hparams.contains("eval.tokens")) << "the same in both jobs";
  EXPECT_EQ(start.session_start_info().group_name(), "rates lr=0.001, \"odd\"") << "of its replica, too";
  EXPECT_EQ(end.session_end_info().status(), 1);
  EXPECT_DOUBLE_EQ(end.session_end_info().end_time_secs(), 1'700'000'060);
}

TEST(TensorBoard, NoNameLeadsOutOfTheFolder) {
  report::Study study = EmptyStudy("..");
  AddPoint(&study, "../..", {FinishedRun(1, {}, {})});
  const std::vector<OutputFile> files = ToTensorBoard(study);
  ASSERT_THAT(files, SizeIs(1));
  EXPECT_TRUE(files[0].path.starts_with("_./")) << files[0].path;
}

TEST(PointTimes, AreSpreadOverTheTimeThatTheJobHasHad) {
  report::Study study = EmptyStudy("rates");
  report::Run run = FinishedRun(1, {}, {});
  EXPECT_EQ(PointTimeMs(study, run, 0), run.started_ms);
  EXPECT_EQ(PointTimeMs(study, run, 50), run.started_ms + 30'000);
  EXPECT_EQ(PointTimeMs(study, run, 100), run.finished_ms);
  run.finished_ms = 0;  // under way, half of it done when the study was read
  run.step = 50;
  EXPECT_EQ(PointTimeMs(study, run, 50), study.reported_ms);
  EXPECT_EQ(PointTimeMs(study, run, 25), run.started_ms + 50'000);
}

TEST(Mlflow, LaysOutAnExperimentWithARunAJob) {
  std::map<std::string, std::string> files;
  for (const OutputFile& file : ToMlflow(Small(), "/exports/a b")) files[file.path] = file.bytes;
  const std::string experiment = files.begin()->first.substr(0, 18);
  const std::string run = experiment + "/" + report::testing::Id(1);
  EXPECT_THAT(files[experiment + "/meta.yaml"], HasSubstr("name: \"study\"\n"));
  EXPECT_THAT(files[run + "/meta.yaml"], HasSubstr("status: 3\n"));
  EXPECT_EQ(files[run + "/params/train.learning_rate"], "0.001");
  EXPECT_EQ(files[run + "/metrics/train_loss"], "1700000000000 0 0\n1700000030000 nan 50\n1700000060000 0.1 100\n");
  EXPECT_THAT(files[run + "/meta.yaml"], HasSubstr("artifact_uri: \"file:///exports/a%20b/" + run + "/artifacts\"\n"));
  EXPECT_EQ(report::Json::parse(files[run + "/artifacts/config.json"])["train"]["learning_rate"], 1e-3);
  EXPECT_EQ(files[run + "/tags/sink.experiment"], "rates");
  EXPECT_EQ(files[run + "/tags/sink.data_content"], "c0ffee");
}

TEST(Wandb, InputGroupsMetricsByStep) {
  const report::Json json = report::Json::parse(ToWandbInput(Small()));
  EXPECT_EQ(json["project"], "study");
  const report::Json& run = json["runs"][0];
  EXPECT_EQ(run["history"][2], report::Json::parse(R"([100, 1700000060.0, {"alpha_max/1": 0.5, "train_loss": 0.1}])"));
  EXPECT_EQ(run["started"], 1700000000.0);
  EXPECT_EQ(run["duration"], 60.0);
  EXPECT_EQ(run["failed"], false);
  EXPECT_EQ(run["config"]["data_content"], "c0ffee");
  EXPECT_FALSE(json["runs"][1]["config"].contains("data_content")) << "unknown";
}

}  // namespace
}  // namespace sink::exports
