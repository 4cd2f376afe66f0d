// Which end of several ranks the coordinator hears of.
#include "worker/outcome.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "proto/pipe/other_rank.h"

namespace sink::worker {
namespace {

// Ends of a rank, in seconds on the boot clock.
TrainerReport Exit(int code, int at) {
  TrainerReport report;
  report.exit.code = code;
  report.finished = code == pipe::kExitFinished;
  report.ended_at = absl::Seconds(at);
  return report;
}
TrainerReport Died(int signal, int at) {
  TrainerReport report = Exit(0, at);
  report.finished = false;
  report.exit.signal = signal;
  return report;
}
TrainerReport Failed(pipe::FailureClass failure_class, int at) {
  TrainerReport report = Exit(pipe::kExitInfra, at);
  report.failed = pipe::Failed{failure_class, absl::StrCat("it says ", std::string(NameOf(failure_class)))};
  return report;
}
TrainerReport Asked(TrainerReport report, StopReason reason, bool killed_here = false) {
  report.reason = reason;
  report.killed_here = killed_here;
  return report;
}

Outcome Judge(const TrainerReport& rank0, const TrainerReport& rank1) {
  return JudgeRanks({{"rank 0: ", rank0}, {"rank 1: ", rank1}});
}

TEST(JudgeRanks, AllMustSucceed) {
  EXPECT_EQ(Judge(Exit(0, 1), Exit(0, 2)).state, v1::SUCCEEDED);
  const Outcome outcome = Judge(Exit(0, 1), Exit(pipe::kExitUser, 2));
  EXPECT_EQ(outcome.failure_class, v1::USER);
  EXPECT_EQ(outcome.message, "rank 1: trainer ended: exit code 64");
}

TEST(JudgeRanks, AnOwnCauseComesBeforeWhatMayFollowFromIt) {
  // The watch of rank 1 noticed its end later than that of rank 0, whose collective failed.
  EXPECT_EQ(Judge(Failed(pipe::FailureClass::kInfra, 1), Died(SIGSEGV, 2)).message,
            "rank 1: trainer ended: killed by SIGSEGV");
  EXPECT_EQ(Judge(Failed(pipe::FailureClass::kInfra, 1), Failed(pipe::FailureClass::kNan, 2)).message,
            "rank 1: it says nan");
  EXPECT_EQ(Judge(Failed(pipe::FailureClass::kInfra, 1), Exit(pipe::kExitOutOfMemory, 2)).failure_class,
            v1::OUT_OF_MEMORY);
  TrainerReport hung = Asked(Died(SIGKILL, 9), StopReason::kRankLost, true);
  hung.noticed = StopReason::kHang;
  hung.limit = absl::Minutes(10);
  EXPECT_EQ(Judge(Failed(pipe::FailureClass::kInfra, 1), hung).message,
            "rank 1: no progress: the trainer sent no event for 10m");
}

TEST(JudgeRanks, AmongEqualsTheFirstInTimeIsNamed) {
  EXPECT_EQ(Judge(Died(SIGABRT, 2), Died(SIGKILL, 1)).message, "rank 1: trainer ended: killed by SIGKILL");
  EXPECT_EQ(Judge(Failed(pipe::FailureClass::kNan, 1), Failed(pipe::FailureClass::kUser, 2)).message,
            "rank 0: it says nan");
  EXPECT_EQ(Judge(Failed(pipe::FailureClass::kInfra, 2), Failed(pipe::FailureClass::kInfra, 1)).message,
            "rank 1: it says infra");
}

TEST(JudgeRanks, WhoSaysThatAnotherFailedIsNotTheCause) {
  TrainerReport seen = Failed(pipe::FailureClass::kInfra, 1);
  seen.failed->message = pipe::OfAnotherRank("rank 1 of 4 failed: it ended", "rank 0 of 4", "broken pipe");
  EXPECT_EQ(Judge(seen, Failed(pipe::FailureClass::kInfra, 2)).message, "rank 1: it says infra");
  EXPECT_EQ(Judge(seen, Exit(pipe::kExitInfra, 2)).message, "rank 1: trainer ended: exit code 67");
  // Unless there is no other: that one is on another worker then, which is to be told from this one's message.
  const Outcome outcome = Judge(seen, Asked(Died(SIGKILL, 2), StopReason::kRankLost, true));
  EXPECT_EQ(outcome.message, "rank 0: " + seen.failed->message);
  EXPECT_TRUE(pipe::IsOfAnotherRank(outcome.message));
}

TEST(JudgeRanks, WhoWasStoppedIsNotTheCause) {
  const TrainerReport killed = Asked(Died(SIGKILL, 1), StopReason::kRankLost, true);
  const TrainerReport terminated = Asked(Died(SIGTERM, 1), StopReason::kRankLost);
  for (const TrainerReport& stopped : {killed, terminated, Exit(pipe::kExitStopped, 1)}) {
    EXPECT_EQ(Judge(stopped, Failed(pipe::FailureClass::kInfra, 2)).message, "rank 1: it says infra");
  }
  // Unless there is no other: another worker's ranks were asked to stop then, and these agreed.
  const Outcome agreed = Judge(Exit(0, 1), Exit(pipe::kExitStopped, 2));
  EXPECT_EQ(agreed.state, v1::CANCELLED);
  EXPECT_EQ(agreed.message, "rank 1: another worker of the job stopped it");
}

TEST(JudgeRanks, ADrainGivesTheJobBackUnlessARankHadFailedBefore) {
  const TrainerReport drained = Asked(Exit(pipe::kExitStopped, 2), StopReason::kDrain);
  EXPECT_EQ(Judge(drained, drained).state, v1::CANCELLED);
  EXPECT_EQ(Judge(drained, Asked(Died(SIGKILL, 3), StopReason::kDrain, true)).state, v1::CANCELLED);
  EXPECT_EQ(Judge(drained, Failed(pipe::FailureClass::kInfra, 1)).message, "rank 1: it says infra");
  EXPECT_EQ(JudgeRanks({{"", Exit(pipe::kExitStopped, 1)}}).failure_class, v1::INFRA) << "nobody here asked";
}

TEST(JudgeRanks, WhatConcernsTheWholeAttemptNamesNoRank) {
  const TrainerReport cancelled = Asked(Exit(pipe::kExitStopped, 2), StopReason::kCancel);
  EXPECT_EQ(Judge(Exit(pipe::kExitStopped, 1), cancelled).state, v1::CANCELLED);
  EXPECT_EQ(Judge(Exit(0, 1), Asked(Failed(pipe::FailureClass::kInfra, 2), StopReason::kDrain)).message,
            "worker stopped");
}

TEST(JudgeRanks, AJobOfOneProcessIsJudgedAsItsTrainer) {
  for (const TrainerReport& report :
       {Exit(0, 1), Exit(pipe::kExitNan, 1), Died(SIGSEGV, 1), Failed(pipe::FailureClass::kUser, 1),
        Asked(Exit(pipe::kExitStopped, 1), StopReason::kCancel),
        Asked(Died(SIGKILL, 1), StopReason::kLeaseLost, true)}) {
    EXPECT_EQ(EncodeOutcome(JudgeRanks({{"", report}})), EncodeOutcome(JudgeTrainer(report)));
  }
}

TEST(JudgeTrainer, AFailureBeginsWithTheNewsThatTheTrainerDoesNotDie) {
  TrainerReport left = Asked(Died(SIGKILL, 1), StopReason::kRankLost, true);
  left.pid = 7;
  left.trainer_gone = false;
  EXPECT_EQ(JudgeTrainer(left), Failure(v1::INFRA, DescribeUndead(7) + "; another rank of the job failed"));
  EXPECT_EQ(Judge(left, Failed(pipe::FailureClass::kNan, 2)).message, "rank 1: it says nan") << "that is why it ends";
  left.finished = true;
  EXPECT_EQ(JudgeTrainer(left).state, v1::FAILED) << "nobody knows how it would have ended";
  left.reason = left.noticed = StopReason::kHang;
  left.limit = absl::Seconds(90);
  EXPECT_EQ(Judge(Asked(Died(SIGKILL, 2), StopReason::kHang, true), left).message,
            "rank 1: " + DescribeUndead(7) + "; no progress: the trainer sent no event for 1m30s");
  EXPECT_EQ(JudgeTrainer(Asked(left, StopReason::kCancel, true)), JudgeStop(StopReason::kCancel));
  EXPECT_EQ(JudgeTrainer(Asked(left, StopReason::kDrain, true)), JudgeStop(StopReason::kDrain)) << "given back";
}

TEST(EncodeOutcome, IsReadBackWithTheNumberOfItsLastEvent) {
  const Outcome outcome = {v1::SUCCEEDED, v1::FAILURE_CLASS_NONE, "", "a checkpoint", uint64_t{1} << 63};
  const auto decoded = DecodeOutcome(EncodeOutcome(outcome));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, outcome);
  const auto older = DecodeOutcome(R"({"state": "SUCCEEDED", "class": "FAILURE_CLASS_NONE", "message": ""})");
  ASSERT_TRUE(older.ok()) << older.status();
  EXPECT_EQ(older->last_seq, 0u) << "an older daemon has not written it";
}

}  // namespace
}  // namespace sink::worker
