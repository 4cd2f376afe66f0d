// sinkctl top: what a screen of a given size shows, what the keys do, and the command at a terminal that is not there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "coordinator/cli/base/exit_codes.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/top/render_top.h"
#include "coordinator/cli/views/documents.h"
#include "tests/coordinator/cli/helpers/cli_fixture.h"

namespace sink::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr v1::JobState kStates[] = {v1::RUNNING, v1::RUNNING, v1::QUEUED, v1::FAILED, v1::SUCCEEDED};

// A sweep with a job in each of kStates, again and again, and one worker.
TopState StateOfJobs(int jobs) {
  TopState state;
  state.coordinator = "head:7070";
  v1::Sweep sweep;
  sweep.set_name("optimization");
  sweep.set_jobs(jobs);
  (*sweep.mutable_jobs_by_state())["RUNNING"] = 2;
  (*sweep.mutable_jobs_by_state())["QUEUED"] = jobs - 2;
  state.sweeps.push_back(ToJson(sweep));
  v1::Worker worker;
  worker.set_name("node-1");
  worker.set_state("connected");
  worker.set_devices(2);
  worker.set_device_kind("NVIDIA H100");
  state.workers.push_back(ToJson(worker));
  for (int i = 0; i < jobs; ++i) {
    v1::Job job;
    char id[33];
    std::snprintf(id, sizeof id, "%08x%024x", 0x3f2a9100 + i, 0);
    job.set_id(id);
    job.set_state(kStates[i % 5]);
    v1::Membership* place = job.add_sweeps();
    place->set_sweep("optimization");
    place->set_experiment("learning_rate");
    place->set_label("train.learning_rate=" + std::string(i % 2 == 0 ? "0.001" : "0.0004"));
    place->set_index(i);
    v1::Progress* progress = job.mutable_progress();
    progress->set_max_steps(1000);
    if (job.state() != v1::QUEUED) {
      progress->set_step(10 * (i + 1));
      (*progress->mutable_latest())["train_loss"] = 4 - 0.1 * i;
      (*progress->mutable_latest())["alpha_mean/1"] = 0.01 * i;
      job.set_worker("node-1");
      for (int step = 1; step <= 10; ++step) {
        state.curves[id].loss.Add(step, 10 - step);
        state.curves[id].alpha.Add(step, step * step);
      }
    }
    state.jobs.push_back(ToJson(job, *place));
  }
  return state;
}

std::string TextOf(const TopState& state, int columns, int rows) {
  std::string text;
  for (const std::string& line : RenderTop(state, {columns, rows}, /*color=*/false)) text += line + "\n";
  return text;
}

void Type(const std::string& bytes, TopState* state) {
  for (const Key& key : DecodeKeys(bytes)) Press(key, /*page=*/5, state);
}

TEST(TopScreen, FillsItsWindowAndNoMore) {
  for (const int jobs : {0, 1, 5, 300}) {
    const TopState state = StateOfJobs(jobs);
    for (const int columns : {40, 80, 200}) {
      for (const int rows : {12, 24, 60}) {
        const std::vector<std::string> lines = RenderTop(state, {columns, rows}, /*color=*/false);
        EXPECT_LE(lines.size(), static_cast<size_t>(rows)) << jobs << " jobs in " << columns << "x" << rows;
        if (columns < 80) continue;  // below that the columns that never go may not fit
        for (const std::string& line : lines) EXPECT_LE(DisplayWidth(line), columns) << line;
      }
    }
  }
}

TEST(TopScreen, AskedForWithoutColourHasNoCodes) {
  EXPECT_THAT(TextOf(StateOfJobs(5), 80, 24), Not(HasSubstr("\x1b")));
}

TEST(TopScreen, WhatRunsComesFirstAndWhatHasEndedLast) {
  const TopState state = StateOfJobs(5);
  std::vector<std::string> states;
  for (const Json* job : ShownJobs(state)) states.push_back((*job)["state"].get<std::string>());
  EXPECT_THAT(states, ElementsAre("RUNNING", "RUNNING", "FAILED", "QUEUED", "SUCCEEDED"));
}

TEST(TopScreen, TheChosenJobStaysInTheWindow) {
  TopState state = StateOfJobs(300);
  const WindowSize window = {80, 24};
  for (int i = 0; i < 150; ++i) Type("j", &state);
  EXPECT_THAT(VisibleJobs(state, window), ::testing::Contains(state.selected));
  EXPECT_THAT(TextOf(state, 80, 24), HasSubstr(">" + state.selected.substr(0, 8)));
  Type("\x1b[F", &state);
  EXPECT_EQ(VisibleJobs(state, window).back(), state.selected);
  Type("\x1b[H", &state);
  EXPECT_EQ(VisibleJobs(state, window).front(), state.selected);
}

TEST(TopKeys, OrderTurnAroundAndFilter) {
  TopState state = StateOfJobs(5);
  Type("ooo", &state);  // setting, step, loss
  EXPECT_EQ(TopOrders()[state.order], "loss");
  EXPECT_EQ((*ShownJobs(state).front())["train_loss"], 4 - 0.1 * 4);
  EXPECT_TRUE((*ShownJobs(state).back())["train_loss"].is_null());
  Type("r", &state);
  EXPECT_EQ((*ShownJobs(state).front())["train_loss"], 4.0);
  EXPECT_TRUE((*ShownJobs(state).back())["train_loss"].is_null());  // what has none stays last
  EXPECT_THAT(TextOf(state, 80, 24), HasSubstr("by loss, the largest first"));

  Type("/FAILq\x7f", &state);
  EXPECT_TRUE(state.typing);
  EXPECT_EQ(ShownJobs(state).size(), 1u);
  EXPECT_THAT(TextOf(state, 80, 24), HasSubstr("with \"FAIL_\""));
  Type("\r", &state);
  EXPECT_FALSE(state.typing);
  EXPECT_EQ(ShownJobs(state).size(), 1u);
  Type("\x1b", &state);
  EXPECT_EQ(ShownJobs(state).size(), 5u);
}

TEST(TopKeys, AskForASweepForALogAndForTheEnd) {
  TopState state = StateOfJobs(2);
  EXPECT_EQ(Press({KeyKind::kText, "s"}, 5, &state), Wish::kAskAgain);
  EXPECT_EQ(state.sweep, "optimization");
  EXPECT_EQ(Press({KeyKind::kText, "s"}, 5, &state), Wish::kAskAgain);
  EXPECT_EQ(state.sweep, "");
  EXPECT_EQ(Press({KeyKind::kEnter}, 5, &state), Wish::kAskAgain);
  EXPECT_EQ(state.log_of, state.selected);
  v1::LogLine line;
  line.set_level("warning");
  for (int i = 0; i < 30; ++i) {
    line.set_text("line " + std::to_string(i) + "\x1b[31m");
    state.log.push_back(line);
  }
  EXPECT_THAT(TextOf(state, 80, 12), HasSubstr("line 29\n"));
  EXPECT_THAT(TextOf(state, 80, 12), Not(HasSubstr("line 19\n")));
  Type("\x1b[5~", &state);
  EXPECT_THAT(TextOf(state, 80, 12), Not(HasSubstr("line 25\n")));
  EXPECT_THAT(TextOf(state, 80, 12), HasSubstr("line 24\n"));
  EXPECT_EQ(Press({KeyKind::kText, "q"}, 5, &state), Wish::kNothing);  // back, not away
  EXPECT_EQ(state.log_of, "");
  EXPECT_EQ(Press({KeyKind::kText, "q"}, 5, &state), Wish::kQuit);
}

TEST(TopScreen, TellsWhenItIsOld) {
  TopState state = StateOfJobs(2);
  state.trouble = "cannot reach the coordinator at head:7070";
  EXPECT_THAT(TextOf(state, 80, 24), HasSubstr(state.trouble + "\n"));
}

// Keys that a test has prepared; nothing after them.
class ScriptedKeys final : public FullScreen {
 public:
  ScriptedKeys(std::deque<std::string> keys, int* alive) : keys_(std::move(keys)), alive_(alive) { ++*alive_; }
  ~ScriptedKeys() override { --*alive_; }
  std::string ReadKeys(absl::Duration) override {
    if (keys_.empty()) return "q";
    std::string next = keys_.front();
    keys_.pop_front();
    return next;
  }

 private:
  std::deque<std::string> keys_;
  int* const alive_;
};

TEST_F(CliTest, TopIsATextWhereNoTerminalIs) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3", "4e-4"})}).code, 0);
  StartWorker();
  const std::vector<v1::Grant> grants = TakeJobs();
  ASSERT_EQ(grants.size(), 2u);
  for (int step = 1; step <= 4; ++step)
    Report(grants[0],
           {pipe::Metrics{.step = step, .values = {{"train_loss", 5.0 - step}, {"alpha_mean/1", 0.1 * step}}}});
  const Result result = Sinkctl({"top"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("SWEEP"));
  EXPECT_THAT(result.out, HasSubstr("study"));
  EXPECT_THAT(result.out, HasSubstr("█"));
  EXPECT_THAT(result.out, HasSubstr("worker-1"));
  EXPECT_THAT(result.out, Not(HasSubstr("\x1b")));
  EXPECT_EQ(Sinkctl({"top", "nosuch"}).code, kNotFound);
  EXPECT_EQ(Sinkctl({"top", "--json"}).json()["jobs"].size(), 2u);
}

TEST_F(CliTest, TopDrawsUntilQIsPressedAndGivesTheTerminalBack) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, 0);
  int alive = 0, opened = 0;
  Place place;
  place.terminal = true;
  place.window = {80, 24};
  place.full_screen = [&] {
    ++opened;
    return std::make_unique<ScriptedKeys>(std::deque<std::string>{"", "s", "\r", "\x1b", "?"}, &alive);
  };
  const Result result = Sinkctl({"top"}, place);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(opened, 1);
  EXPECT_EQ(alive, 0);
  EXPECT_THAT(result.out, HasSubstr("jobs of study"));
  EXPECT_THAT(result.out, HasSubstr("it has said nothing yet"));
  EXPECT_THAT(result.out, HasSubstr("PageDown, Home, End: choose a job"));
}

}  // namespace
}  // namespace sink::cli
