// The rules of questions for work that wait: each step by hand, without threads and at times of the test's own.
#include "coordinator/core/question_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace sink {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Effects = QuestionQueue::Effects;
using Look = QuestionQueue::Look;
using QuestionPtr = QuestionQueue::QuestionPtr;

constexpr milliseconds kLong{30'000};

class QuestionQueueTest : public ::testing::Test {
 protected:
  static QuestionPtr Question(const std::string& worker, milliseconds wait = kLong, int devices_free = 1) {
    auto question = std::make_shared<QuestionQueue::Question>();
    question->request.worker_id = worker;
    question->request.devices_free = devices_free;
    question->wait = wait;
    return question;
  }
  QuestionPtr Ask(const std::string& worker, milliseconds wait = kLong) {
    QuestionPtr question = Question(worker, wait);
    const Effects effects = queue_.Asked(question, now_);
    EXPECT_FALSE(effects.answer);
    EXPECT_EQ(effects.looks, 1);
    return question;
  }
  // The next look, at a store of the version that the newest round is of.
  Look Begin() {
    std::optional<Look> look = queue_.BeginLook(now_);
    EXPECT_TRUE(look.has_value());
    if (!look) return {};
    look->seen = queue_.version();
    return *look;
  }
  // The worker of the next look; empty: there is none.
  std::string Next() {
    std::optional<Look> look = queue_.BeginLook(now_);
    return look ? look->question->request.worker_id : "";
  }
  Effects FindWork(Look look) {
    look.got = true;
    return queue_.Looked(look, now_);
  }
  Effects FindNothing(const Look& look) { return queue_.Looked(look, now_); }
  Effects FindNothingReady(Look look) {
    look.nothing_ready = true;
    return queue_.Looked(look, now_);
  }
  QuestionPtr Park(const std::string& worker, milliseconds wait = kLong) {
    QuestionPtr question = Ask(worker, wait);
    EXPECT_FALSE(FindNothing(Begin()).answer);
    return question;
  }
  // A round of all that wait.
  Effects BeginRound(const WorkAhead& ahead = {.ready = true, .members = {}}) {
    EXPECT_TRUE(queue_.PlacementChanged(++placement_, now_));
    return queue_.LookedAhead(ahead, now_);
  }

  QuestionQueue queue_{{.looks = 4, .waiting = 8}};
  QuestionQueue::Time now_{std::chrono::hours(1)};
  uint64_t placement_ = 1;
};

TEST_F(QuestionQueueTest, AQuestionIsLookedAtOnceItIsAsked) {
  const QuestionPtr question = Ask("w");
  EXPECT_EQ(question->asked(), now_);
  const Look look = Begin();
  EXPECT_EQ(look.question, question);
  EXPECT_FALSE(look.of_round);
  EXPECT_EQ(Next(), "") << "it is looked at once";
}

TEST_F(QuestionQueueTest, WhatALookGivesIsTheAnswer) {
  Ask("w");
  EXPECT_TRUE(FindWork(Begin()).answer);
  now_ += kLong;
  EXPECT_THAT(queue_.Overdue(now_), IsEmpty()) << "it is over";
}

TEST_F(QuestionQueueTest, OneThatDoesNotWaitIsAnsweredAfterItsLook) {
  Ask("w", milliseconds(0));
  EXPECT_TRUE(FindNothing(Begin()).answer);
}

TEST_F(QuestionQueueTest, OneThatGotNothingWaitsUntilItsTimeIsOver) {
  const QuestionPtr question = Park("w", milliseconds(500));
  now_ += milliseconds(499);
  EXPECT_THAT(queue_.Overdue(now_), IsEmpty());
  now_ += milliseconds(1);
  EXPECT_THAT(queue_.Overdue(now_), ElementsAre(question));
  EXPECT_THAT(queue_.Overdue(now_), IsEmpty());
}

TEST_F(QuestionQueueTest, OneWhoseTimeIsOverWhileItIsLookedAtIsAnsweredAfterTheLook) {
  Park("w", milliseconds(500));
  BeginRound();
  const Look look = Begin();
  now_ += milliseconds(500);
  EXPECT_THAT(queue_.Overdue(now_), IsEmpty());
  EXPECT_TRUE(FindNothing(look).answer);
}

TEST_F(QuestionQueueTest, ANewerQuestionOfTheWorkerDismissesOneThatWaits) {
  const QuestionPtr older = Park("w");
  Park("other");
  const QuestionPtr newer = Question("w");
  EXPECT_EQ(queue_.Asked(newer, now_).dismissed, older);
  EXPECT_FALSE(FindNothing(Begin()).answer) << "the newer one waits in its place";
  now_ += kLong;
  EXPECT_EQ(queue_.Overdue(now_).size(), 2u);
}

TEST_F(QuestionQueueTest, ANewerQuestionEndsTheWaitOfOneThatIsLookedAt) {
  Park("w");
  BeginRound();
  const Look older = Begin();
  EXPECT_EQ(queue_.Asked(Question("w"), now_).dismissed, nullptr) << "whoever looks at it answers it";
  EXPECT_TRUE(FindNothing(older).answer);
}

TEST_F(QuestionQueueTest, OfTwoThatAreLookedAtTheNewerOneStaysWhicheverLookEndsFirst) {
  for (const bool older_first : {true, false}) {
    const QuestionPtr older = Ask("w");
    const QuestionPtr newer = Ask("w");
    const Look first = Begin(), second = Begin();
    if (older_first) {
      EXPECT_FALSE(FindNothing(first).answer);
      const Effects effects = FindNothing(second);
      EXPECT_FALSE(effects.answer);
      EXPECT_EQ(effects.dismissed, older);
    } else {
      EXPECT_FALSE(FindNothing(second).answer);
      EXPECT_TRUE(FindNothing(first).answer);
    }
    now_ += kLong;
    EXPECT_THAT(queue_.Overdue(now_), ElementsAre(newer));
  }
}

TEST_F(QuestionQueueTest, OneThatIsWithdrawnIsLookedAtNoMore) {
  const QuestionPtr waits = Park("a"), in_line = Ask("b");
  for (const QuestionPtr& question : {waits, in_line}) {
    const Effects effects = queue_.Withdrawn(question);
    EXPECT_TRUE(effects.answer);
    EXPECT_TRUE(effects.left);
  }
  EXPECT_EQ(Next(), "");
  EXPECT_FALSE(queue_.PlacementChanged(++placement_, now_)) << "nobody waits";
}

TEST_F(QuestionQueueTest, OneThatIsWithdrawnWhileItIsLookedAtIsOverAfterTheLook) {
  const QuestionPtr question = Ask("w");
  const Look look = Begin();
  const Effects effects = queue_.Withdrawn(question);
  EXPECT_FALSE(effects.answer);
  EXPECT_TRUE(effects.left);
  EXPECT_TRUE(FindNothing(look).answer);
}

TEST_F(QuestionQueueTest, WithdrawingOneThatHasItsAnswerSaysNothingOfTheWorker) {
  const QuestionPtr question = Ask("w");
  FindWork(Begin());
  const Effects effects = queue_.Withdrawn(question);
  EXPECT_FALSE(effects.answer);
  EXPECT_FALSE(effects.left);
}

TEST_F(QuestionQueueTest, OtherFreeDevicesEndTheWait) {
  const QuestionPtr question = Park("w");
  EXPECT_EQ(queue_.Heard("w", 1).dismissed, nullptr);
  EXPECT_EQ(queue_.Heard("other", 0).dismissed, nullptr);
  EXPECT_EQ(queue_.Heard("w", 0).dismissed, question);
  Park("w");
  BeginRound();
  const Look look = Begin();
  EXPECT_EQ(queue_.Heard("w", 0).dismissed, nullptr);
  EXPECT_TRUE(FindNothing(look).answer);
}

TEST_F(QuestionQueueTest, ARoundBeginsWhereThePlacementHasChangedAndSomebodyWaits) {
  EXPECT_FALSE(queue_.PlacementChanged(++placement_, now_));
  EXPECT_EQ(queue_.version(), placement_) << "nobody has missed it";
  Park("w");
  EXPECT_FALSE(queue_.PlacementChanged(placement_, now_));
  EXPECT_TRUE(queue_.PlacementChanged(++placement_, now_));
  EXPECT_TRUE(queue_.in_round());
  EXPECT_FALSE(queue_.PlacementChanged(placement_ + 1, now_)) << "one round at a time";
  EXPECT_EQ(queue_.version(), placement_) << "the next one comes later";
}

TEST_F(QuestionQueueTest, ARoundLooksAtOneAndAtTwiceAsManyWithEachThatGetsSomething) {
  for (const char* const worker : {"a", "b", "c", "d", "e", "f"}) Park(worker);
  EXPECT_EQ(BeginRound().looks, 1);
  const Look first = Begin();
  EXPECT_TRUE(first.of_round);
  EXPECT_EQ(Next(), "");
  EXPECT_EQ(FindWork(first).looks, 2);
  const Look second = Begin();
  Begin();
  EXPECT_EQ(Next(), "");
  EXPECT_EQ(FindWork(second).looks, 3);
  for (const char* const worker : {"d", "e", "f"}) EXPECT_EQ(Next(), worker);
}

TEST_F(QuestionQueueTest, ARoundNeverLooksAtMoreAtOnceThanItMay) {
  for (const char* const worker : {"a", "b", "c", "d", "e", "f", "g", "h"}) Park(worker);
  BeginRound();
  FindWork(Begin());
  FindWork(Begin());
  const Look third = Begin();
  for (const char* const worker : {"d", "e", "f"}) EXPECT_EQ(Next(), worker);
  EXPECT_EQ(Next(), "");
  EXPECT_EQ(FindWork(third).looks, 1);
}

TEST_F(QuestionQueueTest, QuestionsThatWereNeverLookedAtGoBeforeThoseOfARound) {
  Park("a");
  BeginRound();
  Ask("b");
  EXPECT_EQ(Next(), "b");
  EXPECT_EQ(Next(), "a");
}

TEST_F(QuestionQueueTest, WithoutAReadyJobOnlyThoseWithAPlaceInAGangAreLookedAt) {
  for (const char* const worker : {"a", "b", "c"}) Park(worker);
  EXPECT_EQ(BeginRound({.ready = false, .members = {}}).looks, 0);
  EXPECT_FALSE(queue_.in_round());
  EXPECT_EQ(BeginRound({.ready = false, .members = {"b"}}).looks, 1);
  const Look look = Begin();
  EXPECT_EQ(look.question->request.worker_id, "b");
  FindWork(look);
  EXPECT_EQ(Next(), "");
  EXPECT_FALSE(queue_.in_round());
}

TEST_F(QuestionQueueTest, ThoseWithAPlaceInAGangComeFirst) {
  for (const char* const worker : {"a", "b", "c"}) Park(worker);
  BeginRound({.ready = true, .members = {"c"}});
  EXPECT_EQ(Next(), "c");
}

TEST_F(QuestionQueueTest, ARoundEndsWhereNothingIsLeftToGiveOutAndKeepsThoseWithAPlaceInAGang) {
  for (const char* const worker : {"a", "b", "c", "d"}) Park(worker);
  BeginRound({.ready = true, .members = {"c", "d"}});
  EXPECT_FALSE(FindNothingReady(Begin()).answer);
  EXPECT_TRUE(queue_.in_round());
  FindWork(Begin());
  EXPECT_FALSE(queue_.in_round());
  EXPECT_EQ(Next(), "");
  EXPECT_EQ(BeginRound().looks, 1) << "the rest go on waiting";
}

TEST_F(QuestionQueueTest, ARoundThatGaveNothingIsFollowedByAPauseOfTenTimesItsLength) {
  Park("w");
  BeginRound();
  const Look look = Begin();
  now_ += milliseconds(20);
  FindNothing(look);
  EXPECT_FALSE(queue_.in_round());
  EXPECT_EQ(queue_.not_before(), now_ + milliseconds(200));
  now_ += milliseconds(199);
  EXPECT_FALSE(queue_.PlacementChanged(++placement_, now_));
  EXPECT_NE(queue_.version(), placement_) << "it is kept for later";
  now_ += milliseconds(1);
  EXPECT_TRUE(queue_.PlacementChanged(placement_, now_));
}

TEST_F(QuestionQueueTest, NoPauseIsLongerThanHalfASecond) {
  Park("w");
  BeginRound();
  const Look look = Begin();
  now_ += milliseconds(1000);
  FindNothing(look);
  EXPECT_EQ(queue_.not_before(), now_ + milliseconds(500));
}

TEST_F(QuestionQueueTest, ARoundThatGaveSomethingIsFollowedByTheNext) {
  Park("a");
  Park("b");
  BeginRound();
  const Look a = Begin();
  now_ += milliseconds(20);
  FindWork(a);
  FindNothing(Begin());
  EXPECT_FALSE(queue_.in_round());
  EXPECT_TRUE(queue_.PlacementChanged(++placement_, now_));
}

TEST_F(QuestionQueueTest, WhereNobodyCanSayWhatThereIsTheRoundIsOver) {
  Park("w");
  EXPECT_TRUE(queue_.PlacementChanged(++placement_, now_));
  EXPECT_EQ(queue_.LookedAhead(absl::UnavailableError("closing"), now_).looks, 0);
  EXPECT_FALSE(queue_.in_round());
  EXPECT_FALSE(queue_.PlacementChanged(++placement_, now_));
  now_ += milliseconds(500);
  EXPECT_TRUE(queue_.PlacementChanged(placement_, now_));
}

TEST_F(QuestionQueueTest, ARoundForWhichNobodyCouldSayWhatThereIsComesAgainThoughNothingElseHasChanged) {
  Park("w");
  EXPECT_TRUE(queue_.PlacementChanged(++placement_, now_));
  queue_.LookedAhead(absl::UnavailableError("busy"), now_);
  EXPECT_FALSE(queue_.PlacementChanged(placement_, now_));
  EXPECT_NE(queue_.version(), placement_);
  now_ += milliseconds(500);
  EXPECT_TRUE(queue_.PlacementChanged(placement_, now_));
  EXPECT_EQ(queue_.LookedAhead(WorkAhead{.ready = true, .members = {}}, now_).looks, 1);
  EXPECT_EQ(queue_.version(), placement_);
}

TEST_F(QuestionQueueTest, ALookThatEndsWhileItIsAskedWhatThereIsDoesNotEndTheRound) {
  Park("a");
  Ask("b");
  const Look look = Begin();
  EXPECT_TRUE(queue_.PlacementChanged(++placement_, now_));
  FindWork(look);
  EXPECT_TRUE(queue_.in_round());
  EXPECT_FALSE(queue_.PlacementChanged(++placement_, now_));
}

TEST_F(QuestionQueueTest, ARoundWhoseRestHasBeenAnsweredIsOver) {
  const QuestionPtr question = Park("w");
  BeginRound();
  EXPECT_TRUE(queue_.Withdrawn(question).answer);
  EXPECT_EQ(Next(), "");
  EXPECT_FALSE(queue_.in_round());
}

TEST_F(QuestionQueueTest, ALookThatBeganBeforeTheRoundIsFollowedByAnother) {
  Park("other");
  Ask("w");
  const Look look = Begin();
  BeginRound();
  FindNothing(Begin());
  EXPECT_FALSE(queue_.in_round());
  EXPECT_EQ(FindNothing(look).looks, 1);
  const Look again = Begin();
  EXPECT_EQ(again.question, look.question);
  EXPECT_TRUE(again.of_round);
  EXPECT_EQ(FindNothing(again).looks, 0) << "this one has seen what the round is for";
  EXPECT_EQ(Next(), "");
}

TEST_F(QuestionQueueTest, ALookThatHasSeenWhatTheRoundIsForIsEnough) {
  Park("other");
  Ask("w");
  Look look = Begin();
  look.seen = placement_ + 1;
  BeginRound();
  FindNothing(Begin());
  EXPECT_EQ(FindNothing(look).looks, 0);
  EXPECT_EQ(Next(), "");
}

TEST_F(QuestionQueueTest, ThatNothingWasReadyBeforeTheRoundSaysNothingOfIt) {
  Ask("w");
  const Look look = Begin();
  EXPECT_FALSE(queue_.PlacementChanged(++placement_, now_)) << "nobody waits yet";
  EXPECT_EQ(FindNothingReady(look).looks, 1);
  const Look again = Begin();
  EXPECT_EQ(again.question, look.question);
  Park("other");
  BeginRound();
  EXPECT_EQ(FindNothingReady(again).looks, 1) << "nor does it end a round that began after it";
  EXPECT_EQ(Next(), "other");
}

TEST_F(QuestionQueueTest, ALookThatBeganBeforeTheRoundIsEnoughWhereTheRoundHasFoundNothing) {
  Park("other");
  Ask("w");
  Ask("x");
  const Look w = Begin(), x = Begin();
  EXPECT_EQ(BeginRound({.ready = false, .members = {"x"}}).looks, 0);
  EXPECT_EQ(FindNothing(w).looks, 0);
  EXPECT_EQ(FindNothing(x).looks, 1) << "a place in a gang waits for it";
  EXPECT_EQ(Next(), "x");
}

TEST_F(QuestionQueueTest, OneThatParksWhileItIsAskedWhatThereIsIsOfTheRound) {
  Park("a");
  Ask("b");
  const Look look = Begin();
  EXPECT_TRUE(queue_.PlacementChanged(++placement_, now_));
  EXPECT_EQ(FindNothing(look).looks, 0) << "not before it is known";
  EXPECT_EQ(queue_.LookedAhead(WorkAhead{.ready = true, .members = {}}, now_).looks, 1);
  FindWork(Begin());
  EXPECT_EQ(Next(), "b");
}

TEST_F(QuestionQueueTest, BeyondSoManyThatWaitTheNextIsAnsweredAfterItsLook) {
  for (const char* const worker : {"a", "b", "c", "d", "e", "f", "g", "h"}) Park(worker);
  Ask("i");
  EXPECT_TRUE(FindNothing(Begin()).answer);
  BeginRound();
  EXPECT_FALSE(FindNothing(Begin()).answer) << "one that waits keeps its place";
}

TEST_F(QuestionQueueTest, WhenItIsClosedAllAreAnsweredAndLaterOnesRefused) {
  const QuestionPtr waits = Park("a");
  Ask("b");
  const Look look = Begin();
  Ask("c");
  EXPECT_THAT(queue_.Closed(), ElementsAre(waits));
  EXPECT_TRUE(queue_.closed());
  EXPECT_TRUE(FindNothing(look).answer);
  EXPECT_TRUE(FindNothing(Begin()).answer) << "one in line has its look";
  const QuestionPtr refused = Question("d");
  EXPECT_TRUE(queue_.Asked(refused, now_).answer);
  EXPECT_FALSE(queue_.Withdrawn(refused).answer) << "it has its answer";
  EXPECT_EQ(Next(), "");
}

}  // namespace
}  // namespace sink
