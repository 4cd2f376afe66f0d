// What a report says of a hand-made study, in both formats.
#include "coordinator/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/coordinator/report/studies.h"

namespace sink::report {
namespace {

using testing::AddPoint;
using ::testing::ElementsAre;
using testing::EmptyStudy;
using testing::FinishedRun;
using ::testing::HasSubstr;
using ::testing::Not;

// Two settings of three replicas each, one setting that failed, one that runs; published values for all.
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
  AddPoint(&study, "train.learning_rate=0.001", {run(1, 1e-3, 0.30), run(2, 1e-3, 0.32), run(3, 1e-3, 0.31)});
  AddPoint(&study, "train.learning_rate=0.0001", {run(4, 1e-4, 0.02), run(5, 1e-4, 0.03), run(6, 1e-4, 0.025)});
  Run failed = run(7, 1, 0);
  failed.state = "FAILED";
  failed.reason = "nan: the loss is NaN";
  failed.step = 12;
  failed.curves.clear();
  AddPoint(&study, "train.learning_rate=1", {failed});
  Run running = run(8, 1e-5, 0.01);
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
  EXPECT_THAT(text, HasSubstr("| learning\\_rate=0.001 | 31.00 ± 1.00 | 32.23 | 3.500 ± 0.000 | 3.70 | 0.900 ± 0.000 | "
                              "3 of 3 done |"));
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
  EXPECT_THAT(
      Markdown(study),
      HasSubstr("| learning\\_rate=0.001 | 30.50 ± 0.71 | 32.23 | 3.500 ± 0.000 | 3.70 | 0.900 ± 0.000 | 2 of 3 done; "
                "failed at step 100 of 100: nan: the loss is NaN |"));
}

TEST(Report, WhatHappenedToSeveralReplicasIsSaidOnce) {
  Study study = Optimization();
  for (const int n : {1, 2}) {
    report::Run& replica = study.runs[testing::Id(n)];
    replica.state = "CANCELLED";
    replica.step = 0;
    replica.reason = "while queued";
  }
  EXPECT_THAT(Markdown(study), HasSubstr("| 1 of 3 done; cancelled: while queued (2 runs) |"));
}

TEST(Report, AReplicaThatEndsWithoutANumberIsSaidAndLeftOut) {
  Study study = Optimization();
  for (auto& [name, curve] : study.runs[testing::Id(2)].curves) curve.back().value = NAN;
  EXPECT_THAT(Markdown(study),
              HasSubstr("| learning\\_rate=0.001 | 30.50 ± 0.71 | 32.23 | 3.500 ± 0.000 | 3.70 | 0.900 ± 0.000 | "
                        "3 of 3 done; no finite sink rate at the end |"));
}

TEST(Report, HeaderNamesEpsilonTokensBosVersionAndMachines) {
  const std::string text = Markdown(Optimization());
  EXPECT_THAT(text, HasSubstr("epsilon 0.3, T 64, no BOS token prepended"));
  EXPECT_THAT(text, HasSubstr("8 jobs, 1 failed, 1 running, 6 succeeded"));
  EXPECT_THAT(text, HasSubstr("sinkctl report study, sinkctl 1.2.3"));
  EXPECT_THAT(text, HasSubstr("w1 (2 x cpu, sink-worker 1.2.3)"));
  EXPECT_THAT(text, HasSubstr("2023-11-14 22:15 UTC"));
}

TEST(Report, HeaderSaysHowLongWhoRanItAndOnWhat) {
  Study study = Optimization();
  EXPECT_THAT(Markdown(study), HasSubstr("- **Time**: 1 min from the first start to the last end, 8 min of jobs"));
  EXPECT_THAT(Markdown(study), Not(HasSubstr("**Machine**")));
  study.origin = {"deploy/quickstart.sh --all", "2 cores of a CPU", "0123 (of 4 values)"};
  study.runs[testing::Id(3)].finished_ms += 7'500'000;
  const std::string text = Markdown(study);
  EXPECT_THAT(text, HasSubstr("- **Run by**: deploy/quickstart.sh --all\n"));
  EXPECT_THAT(text, HasSubstr("- **Machine**: 2 cores of a CPU\n"));
  EXPECT_THAT(text, HasSubstr("- **Numbers**: 0123 (of 4 values)\n"));
  EXPECT_THAT(text, HasSubstr("- **Time**: 2 h 6 min from the first start to the last end, 2 h 13 min of jobs"));
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
  study.runs[testing::Id(7)].reason = "<script>alert(1)</script> | *x*";
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
  EXPECT_NEAR(experiment["takeaways"][0]["effect"]["value"].get<double>(), 28.5, 1e-9);
  EXPECT_LT(experiment["takeaways"][0]["effect"]["low"].get<double>(), 28.5);
  EXPECT_NEAR(experiment["takeaways"][0]["paper_effect"]["value"].get<double>(), 31.23, 1e-9);
}

std::vector<std::string> Names(const FigureSet& set) {
  std::vector<std::string> names;
  for (const Figure& figure : set.figures) names.push_back(figure.name);
  return names;
}
FigureSet FiguresOf(const Study& study) { return Figures(study, study.experiments[0], Palette(study)); }

TEST(Figures, CoverSinkRateAlphaLossOnsetOrderNormsAndMaps) {
  EXPECT_THAT(
      Names(FiguresOf(Optimization())),
      ElementsAre("learning_rate-sink_rate", "learning_rate-alpha_1", "learning_rate-loss", "learning_rate-onset",
                  "learning_rate-order", "learning_rate-hidden_norm", "learning_rate-alpha_1_map"));
}

TEST(Figures, OneInWhichEveryLineIsZeroIsASentence) {
  Study study = Optimization();
  for (auto& [id, run] : study.runs)
    for (Sample& sample : run.curves["sink_rate/0.3/1"]) sample.value = 0;
  const FigureSet set = FiguresOf(study);
  EXPECT_THAT(Names(set), Not(::testing::Contains("learning_rate-sink_rate")));
  EXPECT_THAT(set.sentences,
              ElementsAre("Sink rate of position 1 is 0 in every setting from the first step to the last."));
  EXPECT_THAT(Markdown(study), HasSubstr("is 0 in every setting"));
}

TEST(Figures, SayTheirValuesInWordsAndWhereTheMouseIs) {
  EXPECT_THAT(FiguresOf(Optimization()).figures[0].caption,
              HasSubstr("At the end: 31.00 learning_rate=0.001, 2.50 learning_rate=0.0001"));
  EXPECT_THAT(Html(Optimization()), HasSubstr("<title>learning_rate=0.001, 100: 31.000 (30.000 to 32.000)</title>"));
}

TEST(Figures, ShowTheRunsThatTheTablesCount) {
  Study study = Optimization();
  study.runs[testing::Id(2)].state = "FAILED";
  EXPECT_THAT(FiguresOf(study).figures[0].caption, HasSubstr("At the end: 30.50 learning_rate=0.001,"));
}

TEST(Figures, SayOfASettingWithoutASuccessThatItsNumbersAreNotTheEnd) {
  Study study = Optimization();
  for (const int n : {4, 5, 6}) study.runs[testing::Id(n)].state = "FAILED";
  const FigureSet set = FiguresOf(study);
  EXPECT_THAT(set.figures[0].caption,
              HasSubstr("At the end: 31.00 learning_rate=0.001. So far, where no run has succeeded: 2.50 "
                        "learning_rate=0.0001, 1.00 learning_rate=1e-05."));
  EXPECT_THAT(set.figures[2].caption, HasSubstr("At the end: 3.500 learning_rate=0.001 (validation). So far, "));
}

TEST(Figures, SayTheNumbersOfTheTableWhereASeedEndsWithoutOne) {
  Study study = Optimization();
  study.runs[testing::Id(2)].curves["sink_rate/0.3/1"].back().value = NAN;
  EXPECT_THAT(Markdown(study), HasSubstr("| learning\\_rate=0.001 | 30.50 ± 0.71 |"));
  EXPECT_THAT(FiguresOf(study).figures[0].caption, HasSubstr("At the end: 30.50 learning_rate=0.001,"));
  for (const int n : {1, 2, 3}) study.runs[testing::Id(n)].curves["sink_rate/0.3/1"].back().value = NAN;
  EXPECT_THAT(FiguresOf(study).figures[0].caption, HasSubstr("At the end: 2.50 learning_rate=0.0001. So far"));
}

TEST(Figures, WhatComesFirstIsDrawnInsideItsInterval) {
  Study study = Optimization();
  for (const int n : {1, 2, 3})  // the other setting's sink comes together with its loss
    study.runs[testing::Id(n)].curves["validation_loss/all"] = {{0, 5, 1}, {50, 2, 1}, {100, 2, 1}};
  for (const int n : {1, 2, 3})
    study.runs[testing::Id(n)].curves["alpha_max/1"] = {{0, 0, 1}, {50, 0, 1}, {75, 0.9, 1}, {100, 0.9, 1}};
  const std::vector<Order> orders = OrderOfEmergence(RunsWithAnEmergedSink(study, study.experiments[0]));
  const auto chart = OrderChart(orders, "here");
  ASSERT_TRUE(chart.has_value());
  EXPECT_EQ(chart->rows[0].value, orders[0].mean);
  for (const charts::IntervalRow& row : chart->rows) {
    if (!row.interval) continue;
    EXPECT_GE(row.value, row.interval->first);
    EXPECT_LE(row.value, row.interval->second);
  }
}

// As many settings as the study's largest experiments have.
Study Many(int settings) {
  Study study = EmptyStudy("many");
  for (int i = 0; i < settings; ++i)
    testing::AddSeeds(&study, "model.variant.window=" + std::to_string(i) + " train.max_steps=7",
                      {{"model.variant.window", i}}, {{"alpha_max/1", 0.5 + 0.005 * i}}, 0.01, 2);
  return study;
}

TEST(Figures, FortyEightSettingsAreSmallPanels) {
  const Study study = Many(48);
  const FigureSet set = FiguresOf(study);
  const auto& chart = std::get<LineChart>(set.figures[0].chart);
  EXPECT_TRUE(chart.panels);
  const std::string svg = Draw(set.figures[0].chart, Placement::kStandalone);
  size_t panels = 0;
  for (size_t at = svg.find("<use"); at != std::string::npos; at = svg.find("<use", at + 1)) ++panels;
  EXPECT_EQ(panels, 48u);
  EXPECT_THAT(svg, HasSubstr(">window=47</text>"));  // and not what all have in common
  EXPECT_FALSE(std::get<LineChart>(FiguresOf(Many(8)).figures[0].chart).panels);
  EXPECT_LT(Html(study).size(), 1'500'000u);
}

TEST(Labels, SayOnlyWhatDiffers) {
  const Study study = Many(2);
  EXPECT_EQ(LabelOf(study.experiments[0], study.experiments[0].points[1]), "window=1");
  const Study one = Many(1);
  EXPECT_EQ(LabelOf(one.experiments[0], one.experiments[0].points[0]), "window=0 max_steps=7");
}

TEST(Palette, ASettingKeepsItsColourInEveryExperiment) {
  Study study = Many(4);
  const Point shared = study.experiments[0].points[2];
  study.experiments.push_back({"second", "", Json::object(), {}});
  testing::AddSeeds(&study, "x", {{"model.variant.ffn", "x"}}, {}, 0, 1);
  study.experiments.back().points.push_back(shared);
  testing::AddSeeds(&study, "y", {{"model.variant.ffn", "y"}}, {}, 0, 1);
  const Palette palette(study);
  const auto color = [&](size_t point) { return palette.ColorOf(study.experiments[1].points[point]); };
  EXPECT_EQ(color(1), palette.ColorOf(study.experiments[0].points[2]));
  EXPECT_NE(color(0), color(1));
  EXPECT_NE(color(2), color(1));
  EXPECT_NE(color(2), color(0));
}

TEST(Palette, SeedsThatAnExperimentHoldsAgainstEachOtherLookDifferent) {
  Study study = EmptyStudy("seeds");
  for (const int seed : {42, 43, 44})
    testing::AddSeeds(&study, "train.seed=" + std::to_string(seed), {}, {{"alpha_max/1", 0.5}}, 0, 1, seed);
  const Palette palette(study);
  std::set<int> looks;
  for (const Point& point : study.experiments[0].points) looks.insert(palette.ColorOf(point));
  EXPECT_EQ(looks.size(), 3u);
}

TEST(Palette, TheBaseLooksTheSameInEveryReportAndNoSettingLooksLikeIt) {
  Study study = EmptyStudy("variants");
  const auto add = [&study](const char* key, const char* value) {
    testing::AddSeeds(&study, std::string(key) + "=" + value, {{"model.variant.ffn", "none"}, {key, value}},
                      {{"alpha_max/1", 0.7}});
  };
  add("model.variant.sink_logit", "zero");
  add("model.variant.qk_norm", "true");
  add("model.variant.ffn", "none");  // from which each of the others differs in one key alone
  add("train.optimizer", "muon");
  const std::vector<Point>& points = study.experiments[0].points;
  const Palette palette(study);
  EXPECT_EQ(palette.ColorOf(points[2]), 0);
  for (const size_t other : {0, 1, 3}) EXPECT_NE(palette.ColorOf(points[other]), 0);
  Study later = study;  // where in the file the base stands does not matter
  std::swap(later.experiments[0].points[0], later.experiments[0].points[2]);
  EXPECT_EQ(Palette(later).ColorOf(later.experiments[0].points[0]), 0);
}

TEST(Report, FirstPageHasATakeawayARowWithEffectAndThePapersNumber) {
  const std::string text = Markdown(Optimization());
  EXPECT_THAT(text, HasSubstr("2 takeaways of the paper. Hold here: 1. Do not hold: 1. Not enough data: 0."));
  EXPECT_THAT(text, HasSubstr("| A larger learning rate gives a stronger sink after equally many steps | "
                              "learning\\_rate | **holds**: 1 seed diverged (all of learning\\_rate=1) | +28.5 "
                              "\\[26.0, 31.0\\] points | +31.2 points |"));
  EXPECT_THAT(text, HasSubstr("How takeaways are judged."));
  EXPECT_THAT(text, HasSubstr("The paper's numbers (at its own values, where ours are named): sink rate (%) 32.2 at "
                              "learning\\_rate 0.001 against 1.0 at"));
  EXPECT_LT(text.find("At a glance"), text.find("## learning"));
  const std::string html = Html(Optimization());
  EXPECT_THAT(html, HasSubstr("<td class=\"holds\">holds<br><span class=\"source\">1 seed diverged (all of "
                              "learning_rate=1)</span></td><td><svg"));
  EXPECT_THAT(html, HasSubstr("<title>effect +28.5 [26.0, 31.0] points</title>"));
}

// The dot is the median: one late seed must not move it.
TEST(Report, TheFigureOfOnsetsSaysThatItShowsMedians) {
  EXPECT_THAT(
      Markdown(Optimization()),
      HasSubstr("First step from which alpha\\_1 of the strongest head is above 0.3 for good: median over the runs, "
                "where one that never reaches it is later than any, from the earliest to the latest of those "
                "that do."));
}

TEST(Report, SaysHowTheRecipeDiffersFromThePapers) {
  Study study = Optimization();
  EXPECT_THAT(Markdown(study), Not(HasSubstr("How the recipe differs")));  // nothing is known of these models
  for (auto& [id, run] : study.runs)
    run.settings.merge_patch({{"model",
                               {{"hidden_size", 64},
                                {"num_hidden_layers", 6},
                                {"num_attention_heads", 8},
                                {"vocab_size", 320},
                                {"variant", {{"ffn", "none"}, {"position_embedding", "sinusoidal"}}}}},
                              {"train", {{"optimizer", "muon"}, {"max_steps", 1500}}}});
  const std::string text = Markdown(study);
  EXPECT_THAT(text,
              HasSubstr("| Model | 64 wide, 6 layers of 8 heads, attention alone, positions sinusoidal, vocabulary of "
                        "320 | 768 wide, 10 layers of 8 heads, swiglu blocks of 1536, positions rope, vocabulary of "
                        "50432 |"));
  EXPECT_THAT(text,
              HasSubstr("| Training | 768k tokens: 1500 steps of 8 sequences of 64 | 21.0B tokens: 20000 steps of "
                        "512 sequences of 2048 |"));
  EXPECT_THAT(text, HasSubstr("| Seeds of a setting | "));
}

TEST(Report, SaysWhenTheSinkEmergesAndWhatComesFirst) {
  const std::string text = Markdown(Optimization());
  EXPECT_THAT(text,
              HasSubstr("| learning\\_rate=0.001 | step 50 (50 to 50), 26k tokens, in 3 of 3 runs | not within 100 "
                        "steps, in none of 3 runs (3 at the last measurement alone) |"));
  EXPECT_THAT(text, HasSubstr("| validation loss | not decided |"));
  EXPECT_THAT(text, HasSubstr("6 runs are counted. The intervals are not widened for the number of quantities."));
  EXPECT_THAT(text, Not(HasSubstr("There from the start")));
}

TEST(Report, SaysOfASinkThatIsThereAtStepZeroThatItDidNotEmerge) {
  Study study = Optimization();
  for (const int n : {1, 2, 3})
    for (Sample& sample : study.runs[testing::Id(n)].curves["alpha_max/1"]) sample.value = 0.9;
  const std::string text = Markdown(study);
  EXPECT_THAT(text, HasSubstr("| learning\\_rate=0.001 | there from the start, in 3 of 3 runs |"));
  EXPECT_THAT(text, HasSubstr("There from the start is what is above at step 0, before any training"));
  EXPECT_THAT(text, HasSubstr("3 runs are counted; not counted are 3 with a sink that is there from the start."));
}

TEST(Report, SaysWhereASinkIsThereAtTheLastMeasurementAlone) {
  Study study = Optimization();
  for (const int n : {1, 2, 3, 4, 5, 6}) {
    study.runs[testing::Id(n)].curves["alpha_max/1"] = {{0, 0, 1}, {50, 0, 1}, {100, 0.9, 1}};
    study.runs[testing::Id(n)].curves["sink_rate/0.3/1"] = {{0, 0, 1}, {50, 0, 1}, {100, 0, 1}};
  }
  EXPECT_THAT(Markdown(study),
              HasSubstr("In no run does it emerge and stay; 6 have it at the last measurement alone.\n"));
}

TEST(Report, JsonHasOnsetsOrderAndWhatRemovesASink) {
  const Study study = Optimization();
  const Json json = ReportJson(study, Evaluate(study));
  const Json& onset = json["experiments"][0]["rows"][0]["alpha_onset"];
  EXPECT_EQ(onset["steps"].dump(), "[50.0,50.0,50.0]");
  EXPECT_EQ(onset["median"], 50);
  EXPECT_EQ(onset["end"], 100);
  EXPECT_EQ(onset["diverged"], 0);
  EXPECT_EQ(onset["unconfirmed"], 0);
  EXPECT_EQ(onset["from_start"], 0);
  EXPECT_EQ(json["experiments"][0]["order"][0]["order"], "not decided");
  EXPECT_TRUE(json["removal"].is_null());
}

TEST(Report, ModelsThatAreMeasuredHaveNoOnsetAndNoTokens) {
  Study study = EmptyStudy("gpt2");
  AddPoint(&study, "evaluate.model=a", {FinishedRun(1, {{"kind", "evaluate"}}, {{"alpha_max/1", 0.9}})});
  const Json json = ReportJson(study, Evaluate(study));
  const Json& onset = json["experiments"][0]["rows"][0]["alpha_onset"];
  EXPECT_EQ(onset["runs"], 0);
  EXPECT_EQ(onset["steps"].dump(), "[]");
  EXPECT_TRUE(onset["tokens_a_step"].is_null());
  EXPECT_FALSE(MetricChart(study, {&study.experiments[0].points[0]}, "alpha_max/1", AxisUnit::kTokens).has_value());
  EXPECT_TRUE(MetricChart(study, {&study.experiments[0].points[0]}, "alpha_max/1", AxisUnit::kSteps).has_value());
}

TEST(Report, APageTellsWhatRemovesASinkAndAtWhatPrice) {
  Study study = EmptyStudy("sink_logit");
  const auto add = [&study](const char* label, const char* logit, double alpha, double loss) {
    testing::AddSeeds(&study, label, {{"model.variant.sink_logit", logit}},
                      {{"alpha_max/1", alpha}, {"sink_rate/0.3/1", alpha / 10}, {"validation_loss/all", loss}});
  };
  add("default", "none", 0.7, 2.0);
  add("model.variant.sink_logit=zero", "zero", 0.1, 2.1);
  add("model.variant.sink_logit=learned", "learned", 0.7, 2.0);
  add("model.variant.sink_logit=other", "other", 0.5, 2.0);
  const std::string text = Markdown(study);
  EXPECT_THAT(text, HasSubstr("## What removes a sink, and at what price in loss"));
  EXPECT_THAT(text, HasSubstr("| sink\\_logit=zero | removes it | 0.10 ± 0.01 | -0.60 \\[-0.61, -0.59\\] alpha | "
                              "1.0 ± 0.8 | 2.100 ± 0.008 | +0.100 \\[0.088, 0.112\\] nats |"));
  EXPECT_THAT(text, HasSubstr("](figures/removal-sink.svg)"));
  EXPECT_THAT(text, HasSubstr("| base (default) | the base |"));
  EXPECT_THAT(text, HasSubstr("Every setting that differs from the base (default) in the model's variant"));
  EXPECT_THAT(text, Not(HasSubstr("alpha\\_bias")));
  EXPECT_THAT(Html(study), HasSubstr("removes it</text>"));
}

TEST(Report, APageTellsWhatTheBiasHoldsWhereAVariantHasOne) {
  Study study = EmptyStudy("key_bias");
  const auto add = [&study](const char* bias, double alpha, double of_bias) {
    std::vector<std::pair<std::string, double>> metrics = {
        {"alpha_max/1", alpha}, {"sink_rate/0.3/1", alpha / 10}, {"validation_loss/all", 2.0}};
    if (of_bias > 0) metrics.emplace_back("alpha_max/bias", of_bias);
    testing::AddSeeds(&study, std::string("model.variant.key_bias=") + bias, {{"model.variant.key_bias", bias}},
                      metrics);
  };
  add("none", 0.7, 0);
  add("per_head", 0.1, 0.98);
  add("shared", 0.35, 0.98);
  add("other", 0.7, 0);
  const std::string text = Markdown(study);
  EXPECT_THAT(text, HasSubstr("| change | alpha\\_bias, strongest head | Sink\\_1 % |"));
  EXPECT_THAT(text, HasSubstr("| key\\_bias=shared | moves it to the bias | 0.35 ± 0.01 | -0.35 \\[-0.36, -0.34\\] "
                              "alpha | 0.98 ± 0.01 |"));
  EXPECT_THAT(text, HasSubstr("| key\\_bias=other | keeps it | 0.70 ± 0.01 | 0.00 \\[-0.01, 0.01\\] alpha | – |"));
  EXPECT_THAT(text, HasSubstr("Moved to the bias is a sink that is surely weaker at position 1"));
  EXPECT_NEAR(ReportJson(study, Evaluate(study))["removal"]["variants"][0]["alpha_max_bias"]["mean"].get<double>(),
              0.98, 1e-9);
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
