// The page of all takeaways, of hand-made studies.
#include "coordinator/report/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

#include "tests/coordinator/report/studies.h"

namespace sink::report {
namespace {

using testing::AddPoint;
using testing::EmptyStudy;
using testing::FinishedRun;
using ::testing::HasSubstr;
using ::testing::Not;

// A setting of the study's last experiment, three seeds whose sink rates (0..1) lie half a point apart; runs are
// numbered from `first` on.
void Add(Study* study, int first, double rate, double sink, int seeds = 3) {
  std::vector<report::Run> runs;
  for (int seed = 0; seed < seeds; ++seed)
    runs.push_back(FinishedRun(first + seed, {{"train.learning_rate", rate}, {"train.seed", 42 + seed}},
                               {{"sink_rate/0.3/1", sink + 0.005 * seed},
                                {"alpha_max/1", 0.1 + 2 * sink},
                                {"validation_loss/all", 3.5 + 0.1 * sink}}));
  AddPoint(study, "train.learning_rate=" + SettingText(runs[0], "train.learning_rate"), runs);
}

// Two learning rates with these sinks.
Study Rates(const std::string& sweep, int first, double high, double low, int seeds = 3) {
  Study study = EmptyStudy("learning_rate");
  study.sweep = sweep;
  Add(&study, first, 1e-3, high, seeds);
  Add(&study, first + 10, 1e-4, low, seeds);
  return study;
}

struct Compared {
  explicit Compared(const std::vector<Study>& given, const Origin& origin = {}) : studies(given) {
    for (const Study& study : studies) results.push_back(Evaluate(study));
    std::vector<EvaluatedStudy> evaluated;
    for (size_t i = 0; i < studies.size(); ++i) evaluated.push_back({&studies[i], &results[i], "", ""});
    document = MakeComparison(evaluated, origin);
    text = ToMarkdown(document);
  }

  const Chart* figure(const std::string& name) const {
    for (const DocumentBlock& block : document.blocks)
      if (const auto* figure = std::get_if<FigureBlock>(&block); figure && figure->figure.name == name)
        return &figure->figure.chart;
    return nullptr;
  }

  std::vector<Study> studies;
  std::vector<std::vector<ExperimentResult>> results;
  Document document;
  std::string text;
};

TEST(Comparison, SaysOfEveryTakeawayOfSeveralSweepsWhetherItHoldsHere) {
  const Compared page({Rates("study", 0, 0.30, 0.02), Rates("second", 20, 0.30, 0.30)});
  EXPECT_THAT(page.text, HasSubstr("4 comparisons on 2 of the "));
  EXPECT_THAT(page.text, HasSubstr("Hold here: 1. Do not hold: 3. Not enough data: 0."));
  const size_t holds = page.text.find("## What holds at this scale"), fails = page.text.find("## What does not hold");
  EXPECT_LT(holds, fails);
  EXPECT_LT(page.text.find("| study, learning\\_rate | **holds** |"), fails);
  EXPECT_GT(page.text.find("| second, learning\\_rate | **does not hold** |"), fails);
  EXPECT_THAT(page.text, Not(HasSubstr("cannot decide")));
}

TEST(Comparison, OfSweepsWithoutATakeawaySaysSoAndPrintsNoRule) {
  Study study = Rates("study", 0, 0.30, 0.02);
  for (Experiment& experiment : study.experiments) experiment.name = "search";
  const Compared page({study});
  EXPECT_THAT(page.text, HasSubstr("No experiment here is one that the paper draws a takeaway from."));
  EXPECT_THAT(page.text, Not(HasSubstr("How takeaways are judged.")));
  EXPECT_THAT(page.text, Not(HasSubstr("Hold here")));
  EXPECT_THAT(page.text, Not(HasSubstr("not put to the test")));
}

TEST(Comparison, ListsWhatNobodyPutToTheTest) {
  const Compared page({Rates("study", 0, 0.30, 0.02)});
  const size_t begin = page.text.find("## What was not put to the test");
  ASSERT_NE(begin, std::string::npos);
  const std::string rest = page.text.substr(begin, page.text.find("How takeaways are judged") - begin);
  EXPECT_THAT(rest, HasSubstr("| Softmax attention has a sink | section 7.3, Table 6; at 1B, section 7.3 | "
                              "attention\\_operation, attention\\_sink |"));
  EXPECT_THAT(rest, Not(HasSubstr("With a larger learning rate")));
}

TEST(Comparison, AComparisonThatTwoSweepsShareIsThereOnce) {
  const Study study = Rates("study", 0, 0.30, 0.02);
  Study twin = study;
  twin.sweep = "twin";
  const Compared page({study, twin});
  EXPECT_THAT(page.text, HasSubstr("2 comparisons on 2 of the "));
  EXPECT_THAT(page.text, HasSubstr("| study, learning\\_rate; twin, learning\\_rate | **holds** |"));
}

TEST(Comparison, WhatComesFirstIsAskedOfTheSettingsOfAllSweepsTogether) {
  std::vector<Study> studies;
  for (int sweep = 0; sweep < 3; ++sweep) {
    Study study = EmptyStudy("default");
    study.sweep = "sweep" + std::to_string(sweep);
    std::vector<report::Run> runs;
    for (int seed = 0; seed < 3; ++seed) {
      runs.push_back(FinishedRun(10 * sweep + seed, {{"train.weight_decay", 0.1 * sweep}, {"train.seed", seed}}, {}));
      Curve loss, alpha;
      for (int step = 0; step <= 100; step += 10) {
        loss.push_back({step, step >= 10 ? 2.0 : 5.0, 1});
        alpha.push_back({step, step >= 50 + 10 * sweep ? 0.6 : 0.1, 1});
      }
      runs.back().curves["validation_loss/all"] = loss;
      runs.back().curves["alpha_max/1"] = alpha;
    }
    AddPoint(&study, "train.weight_decay=" + std::to_string(sweep), runs);
    studies.push_back(std::move(study));
  }
  const Compared page(studies);
  EXPECT_THAT(page.text, HasSubstr("| The loss falls before the sink emerges | all together | **holds** | +50 "));
}

// What a shorter sweep trained is the beginning of what a longer one did, under other ids and other labels.
TEST(Comparison, TheSameMeasurementsAreOneComparisonWhateverTheyAreCalled) {
  const Study study = Rates("study", 0, 0.30, 0.02);
  Study renamed = Rates("again", 40, 0.30, 0.02);
  for (Point& point : renamed.experiments[0].points) point.label = "again " + point.label;
  const Compared page({study, renamed});
  EXPECT_THAT(page.text, HasSubstr("2 comparisons on 2 of the "));
  EXPECT_THAT(page.text, HasSubstr("| study, learning\\_rate; again, learning\\_rate | **holds** |"));
}

TEST(Comparison, CountsTakeawaysBesideComparisons) {
  const Compared page({Rates("study", 0, 0.30, 0.02), Rates("second", 20, 0.02, 0.30)});
  EXPECT_THAT(page.text, HasSubstr("4 comparisons on 2 of the "));
  EXPECT_THAT(page.text,
              HasSubstr("By takeaway: 0 hold in at least one comparison and fail in none, 1 fail in at least "
                        "one and hold in none, 1 do both, 0 are undecided in each."));
  EXPECT_THAT(page.text, HasSubstr("whether longer ones would have it they do not say"));
}

TEST(Comparison, WhatIsNotDecidedSaysWhyInAFewWords) {
  const Compared page({Rates("study", 0, 0.30, 0.02, 2), Rates("flat", 20, 0.0, 0.0)});
  const std::string open = page.text.substr(page.text.find("## What these runs cannot decide"));
  EXPECT_THAT(open, HasSubstr("| study, learning\\_rate | **not enough data**: fewer than three seeds |"));
  EXPECT_THAT(open, HasSubstr("| flat, learning\\_rate | **not enough data**: no sink on either side |"));
  EXPECT_THAT(ToHtml(page.document), HasSubstr("<br><span class=\"source\">fewer than three seeds</span>"));
}

TEST(Comparison, OneFigureHasEveryEffectInMultiplesOfTheLeastThatCounts) {
  const Compared page({Rates("study", 0, 0.30, 0.02), Rates("second", 20, 0.95, 0.02)});
  const Chart* const chart = page.figure("takeaways");
  ASSERT_NE(chart, nullptr);
  const std::vector<charts::IntervalRow>& rows = std::get<IntervalChart>(*chart).rows;
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].label, "A larger learning rate gives a stronger s… (learning_rate)");
  EXPECT_NEAR(rows[0].value, 28.0 / 2, 1e-9);  // 28 points
  EXPECT_EQ(rows[0].note, "holds");
  EXPECT_EQ(rows[1].value, 20);  // 93 points end at the edge
  EXPECT_EQ(rows[1].interval->first, 20);
  EXPECT_THAT(rows[1].hover, HasSubstr("steps (second, learning_rate): +93.0 ["));  // what was measured, not the edge
  EXPECT_EQ(rows[3].note, "does not hold");
}

TEST(Comparison, NoRowOfThatFigureLiesOnTheSideThatItsVerdictDenies) {
  Study study = EmptyStudy("attention_operation");
  const auto add = [&study](const char* similarity, bool normalize, double sink) {
    testing::AddSeeds(&study, std::string("model.variant.similarity=") + similarity,
                      {{"model.variant.similarity", similarity}, {"model.variant.normalize", normalize}},
                      {{"sink_rate/0.3/1", sink}}, 0.003);
  };
  add("sigmoid", false, 0.15);  // weaker by more than what counts, but there
  add("softmax", true, 0.18);
  const Compared page({study, Rates("second", 20, 0.30, 0.30)});
  const auto* const chart = page.figure("takeaways");
  ASSERT_NE(chart, nullptr);
  const auto& drawn = std::get<IntervalChart>(*chart);
  std::map<std::string, charts::IntervalRow> rows;  // by statement
  for (const charts::IntervalRow& row : drawn.rows) {
    rows[row.label] = row;
    const bool of_a_level = row.note.ends_with(" *");
    if (row.note.starts_with("does not hold")) {
      EXPECT_LT(row.interval->second, of_a_level ? 0 : 1) << row.label;
    }
    if (row.note.starts_with("holds")) {
      EXPECT_GE(row.value, of_a_level ? 0 : 1) << row.label;
    }
  }
  EXPECT_EQ(rows["Sigmoid weights without normalisation have no sink"].note, "does not hold *");
  EXPECT_NEAR(rows["Sigmoid weights without normalisation have no sink"].value, -7, 1e-9);  // 14 points, by twos
  EXPECT_EQ(rows["Softmax attention has a sink"].note, "holds *");
  EXPECT_THAT(drawn.description, HasSubstr("Those with a * are distances to the level of a sink, in multiples of 2"));
}

TEST(Comparison, AClaimThatThereIsNoEffectIsNotInThatFigure) {
  Study study = EmptyStudy("batch_size");
  for (const int batch : {128, 256})
    testing::AddSeeds(&study, "train.global_batch_size=" + std::to_string(batch), {{"train.global_batch_size", batch}},
                      {{"sink_rate/0.3/1", 0.2}, {"alpha_max/1", 0.6}});
  const Compared page({study});
  EXPECT_THAT(page.text, HasSubstr("| The batch size has no effect on the sink |"));
  EXPECT_EQ(page.figure("takeaways"), nullptr);
}

TEST(Comparison, SaysWhenSinksComeOverAllRuns) {
  const Compared page({Rates("study", 0, 0.30, 0.02), Rates("second", 20, 0.30, 0.30)});
  EXPECT_THAT(page.text, HasSubstr("## When the sink emerges"));
  EXPECT_THAT(page.text, HasSubstr("9 of the 12 runs that trained to their end have a sink then"));
  EXPECT_THAT(page.text, HasSubstr("What comes first, over the runs that end with a sink"));
  EXPECT_THAT(Compared({Rates("flat", 0, 0.0, 0.0)}).text, Not(HasSubstr("## When the sink emerges")));
}

TEST(Comparison, WhatRemovesASinkIsReadOverAllSweeps) {
  Study one = EmptyStudy("default"), two = EmptyStudy("sink_logit");
  two.sweep = "second";
  const auto add = [](Study* study, int first, const char* logit, double alpha) {
    std::vector<report::Run> runs;
    for (int seed = 0; seed < 3; ++seed)
      runs.push_back(FinishedRun(first + seed, {{"model.variant.sink_logit", logit}, {"train.seed", seed}},
                                 {{"sink_rate/0.3/1", alpha / 10},
                                  {"alpha_max/1", alpha + 0.01 * seed},
                                  {"validation_loss/all", 2.0 + 0.01 * seed}}));
    AddPoint(study, std::string("model.variant.sink_logit=") + logit, runs);
  };
  add(&one, 0, "none", 0.7);
  add(&two, 10, "zero", 0.1);
  add(&two, 20, "learned", 0.7);
  add(&two, 30, "other", 0.5);
  const Compared page({one, two});
  EXPECT_THAT(page.text, HasSubstr("## What removes a sink, and at what price in loss"));
  EXPECT_THAT(page.text, HasSubstr("| sink\\_logit=zero | removes it |"));
  EXPECT_NE(page.figure("base-alpha_1"), nullptr);
  EXPECT_NE(page.figure("removal-sink"), nullptr);
}

TEST(Comparison, SaysAtOnceAtWhichScaleItsRunsAre) {
  Study study = Rates("study", 0, 0.30, 0.02);
  for (auto& [id, run] : study.runs) {
    testing::Set(&run.settings, "model.hidden_size", 96);
    testing::Set(&run.settings, "train.max_steps", 1500);
  }
  const std::string text = Compared({study}).text;
  EXPECT_THAT(text, HasSubstr("This scale: 96 wide, "));
  EXPECT_THAT(text, HasSubstr("; 768k tokens: 1500 steps of 8 sequences of 64. The paper's: 768 wide, 10 layers of 8 "
                              "heads, swiglu blocks of 1536, positions rope, vocabulary of 50432; 21.0B tokens: "));
  EXPECT_LT(text.find("This scale"), text.find("What holds at this scale"));
}

TEST(Comparison, LeadsToTheReportOfEachSweep) {
  const Study study = Rates("study", 0, 0.30, 0.02);
  const auto results = Evaluate(study);
  const Document linked = MakeComparison({{&study, &results, "study/report.md", "study/report.html"}});
  EXPECT_THAT(ToMarkdown(linked), HasSubstr("- [study](study/report.md): 6 jobs, reported "));
  EXPECT_THAT(ToHtml(linked), HasSubstr("<li><a href=\"study/report.html\">study</a>: 6 jobs, reported "));
  const Document alone = MakeComparison({{&study, &results, "", ""}});
  EXPECT_THAT(ToMarkdown(alone), HasSubstr("- **study**: 6 jobs, reported "));
}

TEST(Comparison, SaysWhereItsNumbersComeFrom) {
  const Compared page({Rates("study", 0, 0.30, 0.02), Rates("second", 20, 0.30, 0.30)},
                      {"deploy/quickstart.sh --all", "2 cores of a CPU", "0123 (of 4 values)"});
  EXPECT_THAT(page.text, HasSubstr("- **Sweep**: study, second\n"));
  EXPECT_THAT(page.text, HasSubstr("- **Jobs**: 12 jobs, 12 succeeded\n"));
  EXPECT_THAT(page.text, HasSubstr("- **Run by**: deploy/quickstart.sh --all\n"));
  EXPECT_THAT(page.text, HasSubstr("- **Machine**: 2 cores of a CPU\n"));
  EXPECT_THAT(page.text, HasSubstr("- **Numbers**: 0123 (of 4 values)\n"));
  EXPECT_THAT(page.text, HasSubstr("- **Workers**: w1 (2 x cpu, sink-worker 1.2.3)\n"));
}

}  // namespace
}  // namespace sink::report
