// What a report says of a hand-made study, in both formats.
#include "coordinator/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/report/studies.h"

namespace sink::report {
namespace {

using testing::AddPoint;
using testing::EmptyStudy;
using testing::FinishedRun;
using ::testing::HasSubstr;
using ::testing::Not;

// Two settings of two replicas each, one setting that failed, one that runs; published values for all.
Study Optimization() {
  Study study = EmptyStudy("learning_rate");
  study.experiments[0].paper = {{"source", "Table 9"},
                                {"sink_rate_percent", {32.23, 2.9, nullptr, 1.0}},
                                {"validation_loss", {3.7, 3.92, nullptr, nullptr}}};
  const auto run = [](int n, double rate, double sink) {
    return FinishedRun(n, {{"train.learning_rate", rate}},
                       {{"sink_rate/0.3/1", sink},
                        {"alpha_mean/1", 0.2},
                        {"alpha_max/1", 0.9},
                        {"validation_loss/all", 3.5},
                        {"train_loss", 3.4},
                        {"hidden_norm_ratio/0", 1},
                        {"hidden_norm_ratio/1", 4}});
  };
  AddPoint(&study, "train.learning_rate=0.001", {run(1, 1e-3, 0.30), run(2, 1e-3, 0.32)});
  AddPoint(&study, "train.learning_rate=0.0001", {run(3, 1e-4, 0.02), run(4, 1e-4, 0.03)});
  Run failed = run(5, 1, 0);
  failed.state = "FAILED";
  failed.reason = "nan: the loss is NaN";
  failed.step = 12;
  failed.curves.clear();
  AddPoint(&study, "train.learning_rate=1", {failed});
  Run running = run(6, 1e-5, 0.01);
  running.state = "RUNNING";
  running.step = 50;
  AddPoint(&study, "train.learning_rate=1e-05", {running});
  study.runs[testing::Id(1)].heat_maps = {{"alpha/1", 0, 2, 2, {0, 0, 0, 0}},
                                          {"alpha/1", 100, 2, 2, {0.1, 0.2, 0.3, 0.9}}};
  return study;
}

std::string Markdown(const Study& study) { return ToMarkdown(MakeReport(study, Evaluate(study))); }
std::string Html(const Study& study) { return ToHtml(MakeReport(study, Evaluate(study))); }

// Three open models, of which one is measured after a BOS token and one is missing.
TEST(Report, OpenModelsSayTheirBosAndHaveNoCurvesOverSteps) {
  Study study = EmptyStudy("llama2");
  const auto run = [](int n, std::vector<std::pair<std::string, double>> metrics) {
    return FinishedRun(n, {{"kind", "evaluate"}}, std::move(metrics));
  };
  AddPoint(
      &study, "evaluate.model=a/with",
      {run(1, {{"sink_rate/0.3/1", 0.9}, {"alpha_mean/1", 0.5}, {"bos_token", 2.0}, {"hidden_norm_ratio/1", 9.0}})});
  AddPoint(&study, "evaluate.model=a/without", {run(2, {{"sink_rate/0.3/1", 0.8}, {"alpha_mean/1", 0.5}})});
  auto missing = run(3, {});
  missing.state = "FAILED";
  missing.reason = "model a/missing not found";
  AddPoint(&study, "evaluate.model=a/missing", {missing});
  const std::string text = Markdown(study);
  EXPECT_THAT(text, HasSubstr("BOS token 2 prepended by the model's own rule, no BOS token prepended"));
  EXPECT_THAT(text, HasSubstr("model a/missing not found"));
  EXPECT_THAT(text, HasSubstr("llama2-hidden_norm.svg"));
  EXPECT_THAT(text, Not(HasSubstr("over training steps")));
}

TEST(ShortLabel, KeepsWhatTellsSettingsApart) {
  EXPECT_EQ(ShortLabel("train.learning_rate=0.001 replica=2"), "learning_rate=0.001 replica=2");
  EXPECT_EQ(ShortLabel("evaluate.model=openai-community/gpt2 evaluate.inputs=random"), "model=gpt2 inputs=random");
  EXPECT_EQ(ShortLabel("default"), "default");
  EXPECT_EQ(ShortLabel("data.weights=[0.5,1]"), "weights=[0.5,1]");
}

TEST(Report, TableShowsThePapersValueBesideOurMeanAndSpread) {
  const std::string text = Markdown(Optimization());
  EXPECT_THAT(text, HasSubstr("| learning\\_rate=0.001 | 31.00 ± 1.41 | 32.23 | 3.500 ± 0.000 | 3.70 | 0.900 ± 0.000 | "
                              "2 of 2 done |"));
  EXPECT_THAT(text, HasSubstr("Published values: Table 9."));
}

TEST(Report, FailedAndUnfinishedRunsAreRowsWithTheirReason) {
  const std::string text = Markdown(Optimization());
  EXPECT_THAT(text,
              HasSubstr("| learning\\_rate=1 | – | – | – | – | – | 0 of 1 done; failed at step 12 of 100: nan: the "
                        "loss is NaN |"));
  EXPECT_THAT(text, HasSubstr("running at step 50 of 100; values so far |"));
  EXPECT_THAT(Html(Optimization()), HasSubstr("<td class=\"warning\">0 of 1 done; failed"));
}

TEST(Report, AFailedReplicaIsNotInTheMeanOfThoseThatFinished) {
  Study study = Optimization();
  report::Run& replica = study.runs[testing::Id(2)];
  replica.state = "FAILED";
  replica.reason = "nan: the loss is NaN";
  EXPECT_THAT(Markdown(study),
              HasSubstr("| learning\\_rate=0.001 | 30.00 | 32.23 | 3.500 | 3.70 | 0.900 | 1 of 2 done; "
                        "failed at step 100 of 100: nan: the loss is NaN |"));
}

TEST(Report, HeaderNamesEpsilonTokensBosVersionAndMachines) {
  const std::string text = Markdown(Optimization());
  EXPECT_THAT(text, HasSubstr("epsilon 0.3, T 64, no BOS token prepended"));
  EXPECT_THAT(text, HasSubstr("6 jobs, 1 failed, 1 running, 4 succeeded"));
  EXPECT_THAT(text, HasSubstr("sinkctl report study, sinkctl 1.2.3"));
  EXPECT_THAT(text, HasSubstr("w1 (2 x cpu, sink-worker 1.2.3)"));
  EXPECT_THAT(text, HasSubstr("2023-11-14 22:15 UTC"));
}

TEST(Report, TakeawaysCarryVerdictAndNumbers) {
  EXPECT_THAT(Markdown(Optimization()), HasSubstr("**holds**: A larger learning rate gives a stronger sink"));
  EXPECT_THAT(Html(Optimization()), HasSubstr("<li class=\"holds\">"));
}

TEST(Report, HtmlStandsAlone) {
  const std::string html = Html(Optimization());
  for (const char* outside : {"<script", "http://", "https://", "src=", "@import", "url("}) {
    std::string rest = html;  // the namespace of SVG is a name, not an address that is loaded
    for (size_t at; (at = rest.find("http://www.w3.org/2000/svg")) != std::string::npos;) rest.erase(at, 26);
    EXPECT_THAT(rest, Not(HasSubstr(outside)));
  }
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(html, HasSubstr("@media print"));
  EXPECT_THAT(html, HasSubstr("<svg"));
}

TEST(Report, SameStudyGivesTheSameBytes) {
  EXPECT_EQ(Html(Optimization()), Html(Optimization()));
  EXPECT_EQ(Markdown(Optimization()), Markdown(Optimization()));
}

TEST(Report, NamesOfASweepCannotBecomeMarkup) {
  Study study = Optimization();
  study.runs[testing::Id(5)].reason = "<script>alert(1)</script> | *x*";
  EXPECT_THAT(Html(study), Not(HasSubstr("<script>")));
  EXPECT_THAT(Markdown(study), HasSubstr("\\<script\\>alert(1)\\</script\\> \\| \\*x\\*"));
}

TEST(Report, BiasColumnAppearsWhereARunHasABias) {
  Study study = EmptyStudy("biases_per_head");
  AddPoint(
      &study, "model.variant.key_bias=per_head",
      {FinishedRun(
          1, {},
          {{"sink_rate/0.3/bias", 0.73}, {"alpha_mean/bias", 0.5}, {"sink_rate/0.3/1", 0}, {"alpha_mean/1", 0.1}})});
  EXPECT_THAT(Markdown(study), HasSubstr("Sink rate % of the bias, ours"));
  EXPECT_THAT(Markdown(study), HasSubstr("| 73.00 |"));
}

TEST(Report, JsonHasTheRowsAndVerdicts) {
  const Study study = Optimization();
  const Json json = ReportJson(study, Evaluate(study));
  const Json& experiment = json["experiments"][0];
  EXPECT_EQ(experiment["rows"].size(), 4u);
  EXPECT_NEAR(experiment["rows"][0]["measures"]["sink_rate_percent"]["ours"]["mean"].get<double>(), 31, 1e-9);
  EXPECT_EQ(experiment["rows"][0]["measures"]["sink_rate_percent"]["paper"], 32.23);
  EXPECT_TRUE(experiment["rows"][2]["measures"]["sink_rate_percent"]["ours"].is_null());
  EXPECT_EQ(experiment["takeaways"][0]["verdict"], "holds");
}

TEST(Figures, CoverSinkRateAlphaLossNormsAndMaps) {
  const Study study = Optimization();
  std::vector<std::string> names;
  for (const Figure& figure : Figures(study, study.experiments[0])) names.push_back(figure.name);
  EXPECT_THAT(names, ::testing::ElementsAre("learning_rate-sink_rate", "learning_rate-alpha_1", "learning_rate-loss",
                                            "learning_rate-hidden_norm", "learning_rate-alpha_1_map"));
}

TEST(Figures, ALineIsTheMeanOfItsReplicasInABand) {
  const Study study = Optimization();
  const auto chart = MetricChart(study, {&study.experiments[0].points[0]}, "sink_rate/0.3/1", AxisUnit::kTokens, 100);
  ASSERT_TRUE(chart.has_value());
  const charts::LineSeries& line = chart->series[0];
  EXPECT_THAT(line.x, ::testing::ElementsAre(0, 50 * 512, 100 * 512));
  EXPECT_NEAR(line.y[2], 31, 1e-9);
  EXPECT_NEAR(line.low[2], 30, 1e-9);
  EXPECT_NEAR(line.high[2], 32, 1e-9);
  EXPECT_FALSE(MetricChart(study, {&study.experiments[0].points[0]}, "no_such", AxisUnit::kSteps).has_value());
}

TEST(Figures, AMapIsTheNewestOne) {
  const Study study = Optimization();
  const auto chart = MapChart(study, {&study.experiments[0].points[0]}, "alpha/1");
  ASSERT_TRUE(chart.has_value());
  EXPECT_EQ(chart->panels[0].values.back(), 0.9);
}

}  // namespace
}  // namespace sink::report
