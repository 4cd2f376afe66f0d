// Watching: in place on a terminal, a line a change elsewhere, a document an update with --json; and how it ends.
#include "coordinator/cli/views/follow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "coordinator/cli/base/exit_codes.h"
#include "tests/coordinator/cli/helpers/cli_fixture.h"

namespace sink::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

size_t Count(const std::string& text, const std::string& piece) {
  size_t count = 0;
  for (size_t at = text.find(piece); at != std::string::npos; at = text.find(piece, at + piece.size())) ++count;
  return count;
}

v1::GetSweepResponse OneJob(v1::JobState state, int64_t step) {
  v1::GetSweepResponse status;
  status.mutable_sweep()->set_name("study");
  v1::Job* job = status.add_jobs();
  job->set_id("3f2a91c077b01d2e3f2a91c077b01d2e");
  job->set_state(state);
  job->set_worker("worker-1");
  job->mutable_progress()->set_step(step);
  job->mutable_progress()->set_max_steps(100);
  (*job->mutable_progress()->mutable_latest())["train_loss"] = 2.5;
  v1::Membership* place = job->add_sweeps();
  place->set_sweep("study");
  place->set_label("train.learning_rate=0.001");
  return status;
}

TEST(WatchedSweep, PutsPartsAndChangesTogetherAndTakesWholeStatusesToo) {
  const auto update = [](std::vector<std::pair<std::string, int64_t>> steps, bool changed_only, bool more) {
    v1::GetSweepResponse message;
    message.mutable_sweep()->set_name("s");
    for (const auto& [id, step] : steps) {
      v1::Job* job = message.add_jobs();
      job->set_id(id);
      job->mutable_progress()->set_step(step);
    }
    message.set_changed_only(changed_only);
    message.set_more(more);
    return message;
  };
  const auto shown = [](const WatchedSweep& watched) {
    std::string text;
    for (const v1::Job& job : watched.status().jobs()) text += job.id() + std::to_string(job.progress().step()) + " ";
    return text;
  };
  WatchedSweep watched;
  EXPECT_FALSE(watched.Take(update({{"a", 1}, {"b", 1}}, false, true)));
  EXPECT_TRUE(watched.Take(update({{"c", 1}}, true, false)));
  EXPECT_EQ(shown(watched), "a1 b1 c1 ");
  EXPECT_TRUE(watched.Take(update({{"b", 7}}, true, false)));
  EXPECT_EQ(shown(watched), "a1 b7 c1 ");
  EXPECT_TRUE(watched.Take(update({{"c", 2}, {"d", 2}}, false, false)));
  EXPECT_EQ(shown(watched), "c2 d2 ");
}

TEST(ChangeLog, TellsEachChangeOnceAndProgressEveryTenSeconds) {
  std::ostringstream out;
  const auto printer = MakeTablePrinter(out, 80, false);
  ChangeLog log(*printer, 1000);
  log.Show(OneJob(v1::QUEUED, 0), 1000);
  EXPECT_EQ(out.str(), "[  0:00]  study  0%  0/1 jobs done\n");
  out.str("");
  log.Show(OneJob(v1::RUNNING, 0), 2000);
  EXPECT_EQ(out.str(), "[  0:01]  3f2a91c0  running  learning_rate=0.001  on worker-1\n");
  out.str("");
  log.Show(OneJob(v1::RUNNING, 30), 3000);
  EXPECT_EQ(out.str(), "");
  log.Show(OneJob(v1::RUNNING, 50), 11'000);
  EXPECT_EQ(out.str(), "[  0:10]  study  50%  0/1 jobs done  3f2a91c0 50/100 loss 2.500\n");
  out.str("");
  log.Show(OneJob(v1::SUCCEEDED, 100), 12'000);
  EXPECT_EQ(out.str(),
            "[  0:11]  3f2a91c0  succeeded  learning_rate=0.001  step 100/100  loss 2.500\n"
            "[  0:11]  study  100%  1/1 jobs done\n");
}

TEST(ChangeLog, TellsOfANewAttempt) {
  std::ostringstream out;
  const auto printer = MakeTablePrinter(out, 80, false);
  ChangeLog log(*printer, 0);
  log.Show(OneJob(v1::RUNNING, 30), 0);
  out.str("");
  v1::GetSweepResponse again = OneJob(v1::QUEUED, 25);
  again.mutable_jobs(0)->set_attempt(1);
  again.mutable_jobs(0)->set_message("worker-1 did not answer");
  log.Show(again, 1000);
  EXPECT_EQ(out.str(), "[  0:01]  3f2a91c0  queued  learning_rate=0.001  worker-1 did not answer\n");
}

class FollowTest : public CliTest {
 protected:
  // What a command shows of a job that waits, and of one that trains.
  struct Cues {
    std::string waits, trains;
  };

  // Runs `args`, which ends when the job does, and a worker that makes its moves when it sees them shown: it takes the
  // job when it was shown to wait, and ends it when it was shown to train.
  Result WhileTheJobRuns(const std::vector<std::string>& args, Place place, const Cues& cues, v1::JobState outcome) {
    Transcript transcript;
    Interrupt give_up;
    place.transcript = &transcript;
    place.interrupt = &give_up;
    std::thread worker([&] {
      if (!transcript.WaitFor(cues.waits)) return give_up.Trigger();
      StartWorker();
      const std::vector<v1::Grant> grants = TakeJobs();
      if (grants.size() != 1) return give_up.Trigger();
      Report(grants[0], {pipe::Progress{.step = 50, .tokens = 25600, .tokens_per_second = 512}});
      if (!transcript.WaitFor(cues.trains)) return give_up.Trigger();
      Finish(grants[0], outcome, outcome == v1::FAILED ? "no data" : "");
    });
    Result result = Sinkctl(args, place);
    worker.join();
    EXPECT_FALSE(give_up.triggered()) << "waited for \"" << cues.waits << "\", then \"" << cues.trains << "\" in\n"
                                      << result.out;
    return result;
  }

  // Presses Ctrl-C as soon as `cue` is shown.
  Result InterruptedAt(const std::string& cue, const std::vector<std::string>& args) {
    Transcript transcript;
    Interrupt interrupt;
    std::thread finger([&] {
      EXPECT_TRUE(transcript.WaitFor(cue)) << cue;
      interrupt.Trigger();
    });
    Result result = Sinkctl(args, {.interrupt = &interrupt, .transcript = &transcript});
    finger.join();
    return result;
  }
};

TEST_F(FollowTest, SubmitFollowsAsLinesWhenNotOnATerminal) {
  const Result result = WhileTheJobRuns({"submit", WriteSweep("study", {"1e-3"}), "--follow"}, {},
                                        {"0/1 jobs done", "  running  "}, v1::SUCCEEDED);
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("study: 1 job, 1 new"));
  EXPECT_EQ(Count(result.out, "  running  "), 1u) << result.out;
  EXPECT_EQ(Count(result.out, "  succeeded  "), 1u) << result.out;
  EXPECT_THAT(result.out, HasSubstr("1/1 jobs done"));
  EXPECT_THAT(result.out, Not(HasSubstr("\x1b")));
}

TEST_F(FollowTest, WatchRedrawsInPlaceOnATerminal) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  const Result result = WhileTheJobRuns({"status", "study", "--watch"}, {.terminal = true, .window = {80, 24}},
                                        {"0/1 jobs done", "50/100"}, v1::SUCCEEDED);
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_GE(Count(result.out, "A\r\x1b[J"), 1u);  // up over the last page, and away with it
  EXPECT_THAT(result.out, HasSubstr("50/100"));
  EXPECT_THAT(result.out.substr(result.out.rfind("\x1b[J")), HasSubstr("1/1 jobs done"));
}

TEST_F(FollowTest, WatchStreamsDocumentsAndExitsWithOneWhenAJobFailed) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  const Result result =
      WhileTheJobRuns({"status", "study", "--watch", "--json"}, {}, {"QUEUED", "RUNNING"}, v1::FAILED);
  EXPECT_EQ(result.code, kFailedWork);
  EXPECT_THAT(result.err, HasSubstr("1 of 1 jobs did not succeed"));
  std::istringstream lines(result.out);
  Json last;
  int documents = 0;
  for (std::string line; std::getline(lines, line); ++documents) {
    last = Json::parse(line, nullptr, false);
    ASSERT_TRUE(last.contains("jobs")) << line;
  }
  EXPECT_GE(documents, 2);
  EXPECT_EQ(last["jobs"][0]["state"], "FAILED");
}

TEST_F(FollowTest, WatchOfEverythingEndsWithTheLastJob) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  const Result result = WhileTheJobRuns({"status", "--watch"}, {}, {"study 0/1 jobs done", "1 worker"}, v1::SUCCEEDED);
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("study 1/1 jobs done"));
}

TEST_F(FollowTest, CtrlCLeavesTheJobsAndSaysSo) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  const auto expect_state = [&](const Result& result, const char* state) {
    EXPECT_EQ(result.code, kInterrupted) << result.err;
    EXPECT_THAT(result.err, HasSubstr("go")) << "the jobs go on";
    EXPECT_EQ(Sinkctl({"status", "study", "--json"}).json()["jobs"][0]["state"], state);
  };
  expect_state(InterruptedAt("0/1 jobs done", {"status", "study", "--watch"}), "QUEUED");
  expect_state(InterruptedAt("study 0/1 jobs done", {"status", "--watch"}), "QUEUED");
  StartWorker();
  const std::vector<v1::Grant> grants = TakeJobs();
  ASSERT_EQ(grants.size(), 1u);
  Report(grants[0], {pipe::Log{"info", "hello"}});
  expect_state(InterruptedAt("hello", {"logs", JobId("study", 0), "-f"}), "RUNNING");
}

TEST_F(FollowTest, UnknownSweepIsNotWaitedFor) {
  const Result result = Sinkctl({"status", "none", "--watch"});
  EXPECT_EQ(result.code, kNotFound);
  EXPECT_THAT(result.err, HasSubstr("none"));
}

TEST(Interrupt, SleepEndsAtOnce) {
  Interrupt interrupt;
  EXPECT_TRUE(interrupt.Sleep(absl::Milliseconds(1)));
  interrupt.Trigger();
  EXPECT_FALSE(interrupt.Sleep(absl::Hours(1)));
  bool woken = false;
  Interrupt::Waker waker(interrupt, [&woken] { woken = true; });
  EXPECT_TRUE(woken) << "a trigger that came before is not missed";
}

}  // namespace
}  // namespace sink::cli
