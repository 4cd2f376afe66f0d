// Tables at the widths of real terminals.
#include "coordinator/cli/print/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kNow = 1'000'000;

v1::GetSweepResponse Study() {
  v1::GetSweepResponse status;
  status.mutable_sweep()->set_name("optimization");
  status.mutable_sweep()->set_jobs(2);
  (*status.mutable_sweep()->mutable_jobs_by_state())["RUNNING"] = 1;
  (*status.mutable_sweep()->mutable_jobs_by_state())["QUEUED"] = 1;
  v1::Job* job = status.add_jobs();
  job->set_id("3f2a91c077b01d2e3f2a91c077b01d2e");
  job->set_state(v1::RUNNING);
  job->set_worker("worker-1");
  v1::Membership* place = job->add_sweeps();
  place->set_sweep("optimization");
  place->set_experiment("learning_rate");
  place->set_label("train.learning_rate=0.001 replica=1");
  v1::Progress* progress = job->mutable_progress();
  progress->set_step(500);
  progress->set_max_steps(2000);
  progress->set_tokens(1'024'000);
  progress->set_tokens_per_second(8090);
  auto& latest = *progress->mutable_latest();
  latest["train_loss"] = 2.3456;
  latest["validation_loss/bible"] = 2.0;
  latest["validation_loss/dictionary"] = 3.0;
  latest["sink_rate/0.2/1"] = 0.5;
  latest["sink_rate/0.3/1"] = 0.125;
  latest["sink_rate/0.3/2"] = 0.9;
  latest["alpha_mean/1"] = 0.0813;
  latest["alpha_max/1"] = 0.25;
  latest["hidden_norm_ratio/1"] = 1.5;
  latest["hidden_norm_ratio/2"] = 2.25;
  job = status.add_jobs();
  job->set_id("77b01d2e3f2a91c077b01d2e3f2a91c0");
  job->set_state(v1::QUEUED);
  *job->add_sweeps() = *place;
  job->mutable_sweeps(0)->set_label("train.learning_rate=0.0001 replica=1");
  return status;
}

int Widest(const std::string& text) {
  int widest = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    widest = std::max(widest, DisplayWidth(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return widest;
}

TEST(Table, NumbersAreRightAlignedAndUnknownOnesAreADash) {
  const std::vector<TableColumn> columns = {{"NAME"}, {"LOSS", Align::kRight}};
  EXPECT_THAT(LayOutTable(columns, {{{"a"}, {"12.5"}}, {{"bcdef"}, {""}}}, 80, false),
              ElementsAre("NAME   LOSS", "a      12.5", "bcdef     -"));
}

TEST(Table, AlignsByDisplayWidth) {
  const std::vector<TableColumn> columns = {{"A"}, {"B"}};
  EXPECT_THAT(LayOutTable(columns, {{{"\u6f22\u5b57"}, {"x"}}, {{"ab"}, {"y"}}}, 80, false),
              ElementsAre("A     B", "\u6f22\u5b57  x", "ab    y"));
}

TEST(Table, ShrinksFlexibleColumnsBeforeDroppingOthers) {
  const std::vector<TableColumn> columns = {{"ID"}, {"LABEL", Align::kLeft, 6}, {"NOTE", Align::kLeft, 0, 1}};
  const std::vector<std::vector<Cell>> rows = {{{"1"}, {"a long label"}, {"note"}}};
  EXPECT_THAT(LayOutTable(columns, rows, 18, false), ElementsAre("ID  LABEL     NOTE", "1   a long \u2026  note"));
  EXPECT_THAT(LayOutTable(columns, rows, 12, false), ElementsAre("ID  LABEL", "1   a long \u2026"));
}

TEST(Table, DropsTheLeastImportantColumnFirst) {
  const std::vector<TableColumn> columns = {{"KEEP"}, {"LATER", Align::kLeft, 0, 1}, {"FIRST", Align::kLeft, 0, 2}};
  EXPECT_THAT(LayOutTable(columns, {{{"1"}, {"2"}, {"3"}}}, 12, false), ElementsAre("KEEP  LATER", "1     2"));
}

TEST(Table, CellsCannotInjectEscapes) {
  EXPECT_THAT(LayOutTable({{"A"}}, {{{"\x1b[2Jgone\nline"}}}, 80, false), ElementsAre("A", "gone line"));
}

TEST(Table, ColoursOnlyWhenAsked) {
  const std::vector<std::vector<Cell>> rows = {{{"failed", Style::kRed}}};
  EXPECT_THAT(LayOutTable({{"A"}}, rows, 80, true)[1], HasSubstr("\x1b[31mfailed\x1b[0m"));
  EXPECT_THAT(LayOutTable({{"A"}}, rows, 80, false)[1], Not(HasSubstr("\x1b")));
}

TEST(SweepPage, FitsEveryWidth) {
  for (int width : {40, 60, 80, 100, 200}) {
    const std::string text = RenderPage(SweepPage(Study(), kNow), width, false);
    EXPECT_LE(Widest(text), width) << text;
    EXPECT_THAT(text, HasSubstr("3f2a91c0"));
    EXPECT_THAT(text, HasSubstr("running"));
  }
}

TEST(SweepPage, ShowsWhatTheStudyIsAboutIn80Columns) {
  const std::string text = RenderPage(SweepPage(Study(), kNow), 80, false);
  for (const char* heading : {"STEP", "LOSS", "VALID", "SINK%", "ETA"}) EXPECT_THAT(text, HasSubstr(heading));
  EXPECT_THAT(text, HasSubstr("500/2000"));
  EXPECT_THAT(text, HasSubstr("2.346"));
  EXPECT_THAT(text, HasSubstr("2.500"));  // mean of the two domains
  EXPECT_THAT(text, HasSubstr("12.5"));   // percent, of epsilon 0.3 and position 1
  EXPECT_THAT(text, HasSubstr("epsilon 0.3"));
}

TEST(SweepPage, ShowsEverythingIn200Columns) {
  const std::string text = RenderPage(SweepPage(Study(), kNow), 200, false);
  for (const char* piece : {"EXPERIMENT", "learning_rate=0.001 replica=1", "ALPHA1", "0.081", "NORM", "2.2", "8.09k"})
    EXPECT_THAT(text, HasSubstr(piece));
}

TEST(SweepPage, EtaCountsQueuedJobsAsLongAsTheKnownOnes) {
  const SweepTotals totals = Total(Study(), kNow);
  EXPECT_EQ(totals.jobs, 2);
  EXPECT_DOUBLE_EQ(totals.fraction, 0.125);
  // 2048 tokens a step: 1500 steps left of this job, 2000 of the other.
  ASSERT_TRUE(totals.left.has_value());
  EXPECT_NEAR(totals.left->seconds, 3500 * 2048 / 8090.0, 1e-6);
}

TEST(SweepPage, WhatEarlyStoppingStoppedHasNotFailed) {
  v1::GetSweepResponse status = Study();
  for (v1::Job& job : *status.mutable_jobs()) job.set_state(v1::CANCELLED);
  status.mutable_jobs(0)->set_stopped_early(true);
  EXPECT_EQ(Total(status, kNow).stopped_early, 1);
  EXPECT_EQ(Total(status, kNow).failed, 1);
}

TEST(SweepPage, TooManyRowsKeepTheOnesThatRun) {
  v1::GetSweepResponse status = Study();
  status.mutable_jobs()->SwapElements(0, 1);  // the queued one first
  const std::string text = RenderPage(SweepPage(status, kNow, 1), 80, false);
  EXPECT_THAT(text, HasSubstr("3f2a91c0"));
  EXPECT_THAT(text, Not(HasSubstr("77b01d2e")));
  EXPECT_THAT(text, HasSubstr("1 more"));
}

}  // namespace
}  // namespace sink::cli
