// What the worker makes of answers and of time, without a network or a clock.
#include <gtest/gtest.h>

#include "coordinator/errors/error_detail.h"
#include "worker/protocol/answer.h"
#include "worker/protocol/delivery.h"
#include "worker/protocol/lease_term.h"
#include "worker/protocol/upload_plan.h"

namespace sink::worker {
namespace {

using Kind = UploadPlan::Step::Kind;

TEST(Answer, SaysWhetherToTryAgain) {
  EXPECT_EQ(JudgeAnswer(absl::OkStatus()), Answer::kDone);
  EXPECT_EQ(JudgeAnswer(absl::InvalidArgumentError("")), Answer::kRefused);
  EXPECT_EQ(JudgeAnswer(MissingEventsError(3, "")), Answer::kRefused);
  EXPECT_EQ(JudgeAnswer(StaleLeaseError("")), Answer::kStale);
  EXPECT_EQ(JudgeAnswer(EventsFirstError(3, "")), Answer::kAgain);
  EXPECT_EQ(JudgeAnswer(absl::FailedPreconditionError("stale lease")), Answer::kAgain) << "a text is no reason";
  EXPECT_EQ(JudgeAnswer(absl::NotFoundError("")), Answer::kUnregistered);
  EXPECT_EQ(JudgeAnswer(absl::UnauthenticatedError("")), Answer::kUnregistered);
  EXPECT_EQ(JudgeAnswer(absl::UnavailableError("")), Answer::kAgain);
  EXPECT_TRUE(MustRegister(absl::NotFoundError("")));
  EXPECT_TRUE(MustRegister(absl::FailedPreconditionError("stale session")));
  EXPECT_FALSE(MustRegister(absl::UnavailableError("")));
  EXPECT_FALSE(MustRegister(absl::OkStatus()));
  EXPECT_TRUE(IsCredentialRefused(absl::UnauthenticatedError("revoked")));
  EXPECT_TRUE(IsCredentialRefused(absl::PermissionDeniedError("revoked")));
  EXPECT_FALSE(IsCredentialRefused(absl::NotFoundError("")));
  EXPECT_FALSE(IsCredentialRefused(absl::OkStatus()));
}

TEST(Delivery, GoesOnFromWhatIsDurable) {
  Delivery delivery(4);
  EXPECT_EQ(delivery.next(), 4u);
  EXPECT_EQ(delivery.Answered(4, absl::OkStatus(), 9).acknowledge, 9u);
  EXPECT_EQ(delivery.next(), 10u);
  delivery.Answered(4, absl::OkStatus(), 6);  // the answer to an earlier copy of a report
  EXPECT_EQ(delivery.next(), 10u);
}

TEST(Delivery, ACoordinatorThatLacksEventsIsSentThemAgain) {
  Delivery delivery(10);
  Delivery::Effect effect = delivery.Answered(10, MissingEventsError(5, ""), 0);
  EXPECT_TRUE(effect.failed.ok());
  EXPECT_EQ(effect.acknowledge, 0u);
  EXPECT_EQ(delivery.next(), 5u);
  EXPECT_FALSE(delivery.Answered(5, MissingEventsError(5, ""), 0).failed.ok()) << "just that one was sent";
  effect = delivery.Answered(5, MissingEventsError(8, ""), 0);  // it has more than we knew
  EXPECT_EQ(effect.acknowledge, 7u);
  EXPECT_EQ(delivery.next(), 8u);
  delivery.GoBack(9);
  EXPECT_EQ(delivery.next(), 8u);
  delivery.GoBack(2);
  EXPECT_EQ(delivery.next(), 2u);
  EXPECT_FALSE(delivery.Answered(2, absl::OutOfRangeError(""), 0).failed.ok());
  EXPECT_FALSE(delivery.Answered(2, absl::InvalidArgumentError(""), 0).failed.ok());
}

TEST(Delivery, AReportThatWasUnderWayWhenItWasToldToGoBackIsNotTheOneThatIsMissing) {
  Delivery delivery(14);
  delivery.GoBack(6);  // as a checkpoint's commit was told
  EXPECT_TRUE(delivery.Answered(14, MissingEventsError(6, ""), 0).failed.ok());
  EXPECT_EQ(delivery.next(), 6u);
}

TEST(UploadPlan, SendsWhatIsMissingAndCommits) {
  UploadPlan plan({100, 50, 7});
  EXPECT_EQ(plan.next().kind, Kind::kBegin);
  plan.Begun({100, 20});  // says nothing of the third
  EXPECT_EQ(plan.next().kind, Kind::kWrite);
  EXPECT_EQ(plan.next().file, 1u);
  EXPECT_EQ(plan.next().offset, 20u);
  EXPECT_TRUE(plan.Answered(absl::OkStatus()).ok());
  EXPECT_EQ(plan.next().file, 2u);
  EXPECT_EQ(plan.next().offset, 0u);
  EXPECT_TRUE(plan.Answered(absl::OkStatus()).ok());
  EXPECT_EQ(plan.next().kind, Kind::kCommit);
  EXPECT_TRUE(plan.Answered(absl::OkStatus()).ok());
  EXPECT_EQ(plan.next().kind, Kind::kDone);
}

TEST(UploadPlan, AsksAgainWhatIsThereAfterAnyError) {
  UploadPlan plan({100});
  plan.Begun({0});
  EXPECT_TRUE(absl::IsUnavailable(plan.Answered(absl::OutOfRangeError("expected offset 30")))) << "it will be known";
  EXPECT_EQ(plan.next().kind, Kind::kBegin);
  plan.Begun({100});
  EXPECT_EQ(plan.next().kind, Kind::kCommit);
  EXPECT_TRUE(absl::IsAborted(plan.Answered(absl::AbortedError("bytes are wrong"))));
  EXPECT_EQ(plan.next().kind, Kind::kBegin);
}

TEST(LeaseTerm, TheTrainerIsGoneBeforeItsLeaseIs) {
  for (const absl::Duration lease : {absl::Seconds(1), absl::Seconds(6), absl::Seconds(60), absl::Hours(2)}) {
    const LeaseTerm term = TermOf(absl::Seconds(100), lease);
    EXPECT_GT(term.stop_at, absl::Seconds(100) + lease / 2) << lease;
    EXPECT_GT(term.grace, absl::ZeroDuration());
    EXPECT_LT(term.stop_at + term.grace, absl::Seconds(100) + lease) << lease;
  }
}

}  // namespace
}  // namespace sink::worker
