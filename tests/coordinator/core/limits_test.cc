// What one address, one user and one worker may do in a while, on clocks that the tests move.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/core/connection_limits.h"
#include "coordinator/core/connection_owners.h"
#include "coordinator/core/quotas.h"
#include "coordinator/core/rates.h"
#include "coordinator/core/token_bucket.h"

namespace sink {
namespace {

using ::testing::HasSubstr;
using Verdict = ConnectionLimits::Verdict;

constexpr int64_t kStart = 1'000'000;  // ms

TEST(TokenBucket, LetsABurstThroughAndThenARate) {
  const Rate rate{.per_second = 2, .burst = 3};
  TokenBucket bucket;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.Take(rate, 1, kStart));
  EXPECT_FALSE(bucket.Take(rate, 1, kStart));
  EXPECT_FALSE(bucket.Take(rate, 1, kStart + 499));
  EXPECT_TRUE(bucket.Take(rate, 1, kStart + 500));
  EXPECT_FALSE(bucket.Take(rate, 1, kStart + 500));
  EXPECT_FALSE(bucket.IsFull(rate, kStart + 1'000));
  EXPECT_TRUE(bucket.IsFull(rate, kStart + 2'000));
}

TEST(TokenBucket, NothingIsTooLargeForEver) {
  const Rate rate{.per_second = 10, .burst = 10};
  TokenBucket bucket;
  EXPECT_TRUE(bucket.Take(rate, 50, kStart));
  EXPECT_FALSE(bucket.Take(rate, 1, kStart + 4'000));  // 50 takes five seconds
  EXPECT_TRUE(bucket.Take(rate, 1, kStart + 4'200));
}

TEST(TokenBucket, AsksForAPauseBeforeItRefuses) {
  const Rate rate{.per_second = 2, .burst = 8};
  TokenBucket bucket;
  EXPECT_TRUE(bucket.Take(rate, 4, kStart));
  EXPECT_EQ(bucket.PauseMs(rate, kStart), 0);
  EXPECT_TRUE(bucket.Take(rate, 3, kStart));
  EXPECT_EQ(bucket.PauseMs(rate, kStart), 1'500);
  EXPECT_EQ(bucket.PauseMs(rate, kStart + 1'000), 500);
  EXPECT_EQ(bucket.PauseMs(rate, kStart + 60'000), 0);
  // Who pauses is never refused.
  int64_t now_ms = kStart + 60'000;
  for (int i = 0; i < 100; ++i) {
    now_ms += bucket.PauseMs(rate, now_ms);
    EXPECT_TRUE(bucket.Take(rate, 4, now_ms)) << i;
  }
}

TEST(TokenBucket, AClockThatGoesBackGivesNothing) {
  const Rate rate{.per_second = 1, .burst = 1};
  TokenBucket bucket;
  EXPECT_TRUE(bucket.Take(rate, 1, kStart));
  EXPECT_FALSE(bucket.Take(rate, 1, kStart - 60'000));
  EXPECT_FALSE(bucket.Take(rate, 1, kStart));
}

TEST(ConnectionLimits, OneAddressLeavesRoomForOthers) {
  ConnectionLimits limits({.total = 100, .per_address = 10});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(limits.Open("10.0.0.7", false, kStart), Verdict::kTake);
  EXPECT_EQ(limits.Open("10.0.0.7", false, kStart), Verdict::kAddressFull);
  EXPECT_EQ(limits.Open("10.0.0.8", false, kStart), Verdict::kTake);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(limits.Open("127.0.0.1", true, kStart), Verdict::kTake);
  EXPECT_EQ(limits.Open("127.0.0.1", true, kStart), Verdict::kAddressFull);
  EXPECT_EQ(limits.open(), 61);
}

TEST(ConnectionLimits, AllAddressesOfThisMachineLeaveRoomForOtherMachines) {
  ConnectionLimits limits({.total = 100, .per_address = 10});
  for (int i = 0; i < 100; ++i) {
    const Verdict verdict = limits.Open(i % 2 == 0 ? "127.0.0.1" : i % 4 == 1 ? "127.0.0.2" : "::1", true, kStart);
    EXPECT_EQ(verdict, i < 75 ? Verdict::kTake : Verdict::kAddressFull) << i;
  }
  EXPECT_EQ(limits.Open("10.0.0.8", false, kStart), Verdict::kTake);
  limits.Close("::1");
  EXPECT_EQ(limits.Open("127.0.0.2", true, kStart), Verdict::kTake);
}

TEST(ConnectionLimits, ASmallTotalIsNeverOneAddresssAlone) {
  ConnectionLimits limits({.total = 8, .per_address = 1024});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(limits.Open("10.0.0.7", false, kStart), Verdict::kTake);
  EXPECT_EQ(limits.Open("10.0.0.7", false, kStart), Verdict::kAddressFull);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(limits.Open("10.0.0.8", false, kStart), Verdict::kTake);
  EXPECT_EQ(limits.Open("10.0.0.9", false, kStart), Verdict::kFull);
  limits.Close("10.0.0.7");
  EXPECT_EQ(limits.Open("10.0.0.9", false, kStart), Verdict::kTake);
}

TEST(ConnectionLimits, AllOfAnAddressMayComeBackAtOnceAndThenSlowly) {
  ConnectionLimits limits({.total = 100, .per_address = 10});
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(limits.Open("10.0.0.7", false, kStart), Verdict::kTake);
    limits.Close("10.0.0.7");
  }
  EXPECT_EQ(limits.Open("10.0.0.7", false, kStart), Verdict::kAddressTooFast);
  EXPECT_EQ(limits.Open("10.0.0.7", false, kStart + 1'000), Verdict::kTake);
  EXPECT_EQ(limits.Open("10.0.0.7", false, kStart + 1'000), Verdict::kAddressTooFast);
}

TEST(ConnectionLimits, SaysWhetherAnAddressCouldHaveThePlaceOfAnother) {
  ConnectionLimits limits({.total = 100, .per_address = 10});
  EXPECT_TRUE(limits.HasRoom("10.0.0.7") && limits.IsSlowEnough("10.0.0.7", kStart));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(limits.Open("10.0.0.7", false, kStart), Verdict::kTake);
  EXPECT_FALSE(limits.HasRoom("10.0.0.7"));
  EXPECT_FALSE(limits.IsSlowEnough("10.0.0.7", kStart + 500));
  EXPECT_TRUE(limits.IsSlowEnough("10.0.0.7", kStart + 1'000));
  EXPECT_EQ(limits.Open("10.0.0.7", false, kStart + 1'000), Verdict::kAddressFull);
  limits.Close("10.0.0.7");
  EXPECT_TRUE(limits.HasRoom("10.0.0.7"));
  EXPECT_EQ(limits.Open("10.0.0.7", false, kStart + 1'000), Verdict::kTake);
}

TEST(ConnectionLimits, ForgetsWhoIsGone) {
  ConnectionLimits limits({.total = 100, .per_address = 10});
  EXPECT_EQ(limits.Open("10.0.0.7", false, kStart), Verdict::kTake);
  EXPECT_EQ(limits.Open("10.0.0.8", false, kStart), Verdict::kTake);
  limits.Close("10.0.0.7");
  limits.Prune(kStart);
  EXPECT_EQ(limits.addresses(), 2u);  // its handshake still counts
  limits.Prune(kStart + 1'000);
  EXPECT_EQ(limits.addresses(), 1u);
  limits.Close("10.0.0.7");  // and nothing is counted twice
  EXPECT_EQ(limits.open(), 1);
}

TEST(ConnectionOwners, StrangersHaveHalfAndTheOldestOfThemGoesFirst) {
  ConnectionOwners owners(8);
  const uint64_t first = owners.Open("10.0.0.7:1", "10.0.0.7");
  const uint64_t second = owners.Open("10.0.0.7:2", "10.0.0.7");
  const uint64_t third = owners.Open("10.0.0.8:1", "10.0.0.8");
  EXPECT_FALSE(owners.StrangersHaveTheirShare());
  const uint64_t fourth = owners.Open("10.0.0.8:2", "10.0.0.8");
  EXPECT_TRUE(owners.StrangersHaveTheirShare());
  ASSERT_TRUE(owners.Claim("10.0.0.7:1", "worker/a").ok());
  EXPECT_FALSE(owners.StrangersHaveTheirShare());
  EXPECT_EQ(owners.TakeOldestStranger("10.0.0.8"), third);
  EXPECT_EQ(owners.TakeOldestStranger(), second);
  EXPECT_EQ(owners.TakeOldestStranger("10.0.0.7"), std::nullopt) << "what is left there is the worker's";
  owners.Close("10.0.0.8:2", fourth);
  owners.Close("10.0.0.8:2", fourth);  // and nothing is counted twice
  EXPECT_EQ(owners.TakeOldestStranger(), std::nullopt);
  EXPECT_EQ(owners.strangers(), 0);
  owners.Close("10.0.0.7:1", first);
  EXPECT_TRUE(owners.Claim("10.0.0.7:1", "worker/a").ok());  // closed while its call was answered
}

TEST(ConnectionOwners, OnePrincipalHasAQuarterFromWhereverItComes) {
  ConnectionOwners owners(8);
  std::vector<uint64_t> opened;
  for (int i = 0; i < 3; ++i) opened.push_back(owners.Open("10.0.0." + std::to_string(i) + ":1", "10.0.0.7"));
  EXPECT_TRUE(owners.Claim("10.0.0.0:1", "token/ci").ok());
  EXPECT_TRUE(owners.Claim("10.0.0.1:1", "token/ci").ok());
  const absl::Status refused = owners.Claim("10.0.0.2:1", "token/ci");
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("token/ci has 2 connections open"));
  EXPECT_TRUE(owners.Claim("10.0.0.1:1", "token/ci").ok()) << "one that it has goes on";
  EXPECT_EQ(owners.strangers(), 1);
  owners.Close("10.0.0.0:1", opened[0]);
  EXPECT_TRUE(owners.Claim("10.0.0.2:1", "token/ci").ok());
}

TEST(ConnectionOwners, TheNextOneFromAPlaceIsAStrangersThoughTheLastIsNotKnownToBeClosed) {
  ConnectionOwners owners(8);
  const uint64_t last = owners.Open("10.0.0.7:1", "10.0.0.7");
  ASSERT_TRUE(owners.Claim("10.0.0.7:1", "worker/a").ok());
  const uint64_t next = owners.Open("10.0.0.7:1", "10.0.0.7");
  EXPECT_EQ(owners.strangers(), 1);
  owners.Close("10.0.0.7:1", last);
  EXPECT_EQ(owners.TakeOldestStranger(), next);
}

class RatesTest : public ::testing::Test {
 protected:
  absl::Status Take(const std::string& who, Role role, Use use, double amount = 1, int64_t now_ms = kStart) {
    return rates_.Take({.name = who, .role = role, .serial = ""}, use, amount, now_ms);
  }

  int refused_ = 0;
  Rates rates_{{.calls = {.per_second = 2, .burst = 4},
                .worker_calls = {.per_second = 20, .burst = 40},
                .submissions = {.per_second = 1, .burst = 2},
                .reads = {.per_second = 5, .burst = 5},
                .report_bytes = {.per_second = 1 << 20, .burst = 2 << 20},
                .certificates = {.per_second = 0.5, .burst = 3},
                .certificates_by_address = {.per_second = 1, .burst = 6}},
               [this] { ++refused_; }};
};

TEST_F(RatesTest, WhoAsksTooOftenIsToldHowOftenAndOthersAreNot) {
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(Take("user/lena", Role::kSubmitter, Use::kSubmit).ok());
  const absl::Status refused = Take("user/lena", Role::kSubmitter, Use::kSubmit);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("user/lena may make 1 submissions and plans a second, 2 at"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("try again"));
  EXPECT_EQ(refused_, 1);
  EXPECT_TRUE(Take("user/lena", Role::kSubmitter, Use::kRead).ok());
  EXPECT_TRUE(Take("user/max", Role::kSubmitter, Use::kSubmit).ok());
  EXPECT_TRUE(Take("user/lena", Role::kSubmitter, Use::kSubmit, 1, kStart + 1'000).ok());
}

TEST_F(RatesTest, WhoCallsWithoutEndIsToldHowOftenAndAWorkerMayCallMoreOften) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Take("user/lena", Role::kViewer, Use::kCall).ok());
  const absl::Status refused = Take("user/lena", Role::kViewer, Use::kCall);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("user/lena may make 2 calls a second, 4 at once"));
  EXPECT_EQ(refused_, 1);
  EXPECT_TRUE(Take("user/lena", Role::kViewer, Use::kRead).ok()) << "of which there is another bucket";
  EXPECT_TRUE(Take("user/max", Role::kViewer, Use::kCall).ok());
  for (int i = 0; i < 40; ++i) EXPECT_TRUE(Take("worker/a", Role::kWorker, Use::kWorkerCall).ok());
  EXPECT_THAT(std::string(Take("worker/a", Role::kWorker, Use::kWorkerCall).message()),
              HasSubstr("worker/a may make 20 calls a second, 40 at once"));
  EXPECT_TRUE(Take("user/lena", Role::kViewer, Use::kCall, 1, kStart + 500).ok());
}

TEST(RateOptions, AllReadsAndCheapCallsBesideThemPass) {
  const RateOptions options;
  EXPECT_GE(options.calls.per_second, 2 * options.reads.per_second);
  EXPECT_GE(options.calls.burst, 2 * options.reads.burst);
  EXPECT_GT(options.worker_calls.per_second, options.calls.per_second);
  EXPECT_GT(options.worker_calls.burst, options.calls.burst);
}

TEST_F(RatesTest, AdminsHaveNone) {
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(Take("user/admin", Role::kAdmin, Use::kSubmit).ok());
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(Take("user/admin", Role::kAdmin, Use::kCall).ok());
  EXPECT_EQ(refused_, 0);
}

TEST_F(RatesTest, AReportThatIsLargerThanTheBucketIsTakenOnce) {
  EXPECT_TRUE(Take("worker/a", Role::kWorker, Use::kReport, 16 << 20).ok());
  EXPECT_THAT(std::string(Take("worker/a", Role::kWorker, Use::kReport, 10, kStart + 1'000).message()),
              HasSubstr("1 MiB of events a second"));
  EXPECT_TRUE(Take("worker/a", Role::kWorker, Use::kReport, 10, kStart + 15'000).ok());
}

TEST_F(RatesTest, WhoAsksForCertificatesWithoutEndIsToldWhenToTryAgain) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Take("join/a", Role::kJoin, Use::kToken).ok());
  const absl::Status refused = Take("join/a", Role::kJoin, Use::kToken);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("try again in 2 s"));
  EXPECT_TRUE(Take("join/b", Role::kJoin, Use::kToken).ok());
  EXPECT_TRUE(Take("join/a", Role::kJoin, Use::kToken, 1, kStart + 2'000).ok());
}

TEST_F(RatesTest, AnAddressHasARateWhateverTokensItShows) {
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(rates_.TakeFrom("10.0.0.7", kStart).ok());
  const absl::Status refused = rates_.TakeFrom("10.0.0.7", kStart);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("10.0.0.7 may make requests for 1 certificates a second"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("try again in 1 s"));
  EXPECT_EQ(refused_, 1);
  EXPECT_TRUE(rates_.TakeFrom("10.0.0.8", kStart).ok());
  EXPECT_TRUE(rates_.TakeFrom("10.0.0.7", kStart + 1'000).ok());
}

TEST_F(RatesTest, AddressesBeyondThoseThatAreRememberedShareABucketUntilOthersAreQuiet) {
  for (size_t i = 0; i < Rates::kMostAddresses; ++i)
    EXPECT_TRUE(rates_.TakeFrom("2001:db8:0:" + std::to_string(i) + "::/64", kStart).ok());
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(rates_.TakeFrom("10.0.0." + std::to_string(i), kStart).ok());
  EXPECT_FALSE(rates_.TakeFrom("10.0.0.6", kStart).ok());
  EXPECT_TRUE(rates_.TakeFrom("2001:db8:0:7::/64", kStart).ok()) << "one that is remembered has its own";
  // A second later the others' buckets are full again, and who comes now is remembered.
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(rates_.TakeFrom("10.0.0.6", kStart + 1'000).ok());
  EXPECT_TRUE(rates_.TakeFrom("10.0.0.9", kStart + 1'000).ok());
}

Sweep OwnSweep(const std::string& name, int queued, int succeeded) {
  return {.name = name,
          .jobs = queued + succeeded,
          .jobs_by_state = {{JobState::kQueued, queued}, {JobState::kSucceeded, succeeded}}};
}

absl::Status Check(const std::vector<Sweep>& own, const std::string& sweep, size_t jobs) {
  SubmitRequest request;
  request.sweep = sweep;
  request.jobs.resize(jobs);
  return CheckQuota({.waiting_jobs = 10, .sweeps = 2}, "user/lena", own, request);
}

TEST(Quota, CountsJobsThatHaveNotEnded) {
  EXPECT_TRUE(Check({}, "one", 10).ok());
  EXPECT_EQ(Check({}, "one", 11).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Check({OwnSweep("one", 4, 100)}, "two", 6).ok());
  const absl::Status refused = Check({OwnSweep("one", 4, 100)}, "two", 7);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("user/lena would have 11 jobs"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("may have 10"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--jobs-per-user"));
}

TEST(Quota, ASweepThatIsThereMayBeSubmittedAgain) {
  EXPECT_TRUE(Check({OwnSweep("one", 10, 0)}, "one", 10).ok());
  EXPECT_FALSE(Check({OwnSweep("one", 10, 0)}, "one", 11).ok());
}

TEST(Quota, JobsThatAreQueuedAgainCountAsNewOnesDo) {
  const Quota quota{.waiting_jobs = 10, .sweeps = 2};
  const std::vector<Sweep> own = {OwnSweep("one", 4, 100), OwnSweep("two", 1, 0), OwnSweep("done", 0, 9)};
  EXPECT_TRUE(CheckRetryQuota(quota, "user/lena", own, {{"one", 5}}).ok());
  EXPECT_FALSE(CheckRetryQuota(quota, "user/lena", own, {{"one", 6}}).ok());
  EXPECT_FALSE(CheckRetryQuota(quota, "user/lena", own, {{"done", 1}}).ok());  // a third sweep
  EXPECT_TRUE(CheckRetryQuota(quota, "user/lena", own, {{"done", 0}}).ok());
  // What is too much already is not made worse by nothing.
  EXPECT_TRUE(CheckRetryQuota({.waiting_jobs = 1, .sweeps = 1}, "user/lena", own, {{"one", 0}}).ok());
}

TEST(Quota, CountsSweepsThatHaveNotEnded) {
  EXPECT_TRUE(Check({OwnSweep("one", 1, 0), OwnSweep("done", 0, 9)}, "two", 1).ok());
  const absl::Status refused = Check({OwnSweep("one", 1, 0), OwnSweep("two", 1, 0)}, "three", 1);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--sweeps-per-user"));
  EXPECT_TRUE(Check({OwnSweep("one", 1, 0), OwnSweep("two", 1, 0)}, "two", 2).ok());
}

}  // namespace
}  // namespace sink
