// A worker that sends more than it may: it pauses as it is asked to, and no longer than is sensible.
#include "worker/event_sender.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/fake_coordinator.h"

namespace sink::worker {
namespace {

// Answers each report with the same pause.
class Asking : public FakeCoordinator {
 public:
  explicit Asking(absl::Duration pause) : pause_(pause) {}
  absl::StatusOr<v1::ReportResponse> Report(const v1::ReportRequest& request) override {
    auto response = FakeCoordinator::Report(request);
    if (response.ok()) response->set_pause_ms(absl::ToInt64Milliseconds(pause_));
    ++reports;
    return response;
  }
  std::atomic<int> reports = 0;

 private:
  const absl::Duration pause_;
};

class EventSenderTest : public ::testing::Test {
 protected:
  // So many events, by default for three reports, and what carries them to `coordinator`.
  void Begin(Asking* coordinator, size_t events = kEvents) {
    const std::string lease = coordinator->AddJob("job1", "{}");
    calls_ = std::make_unique<LeasedCalls>(coordinator, "worker", coordinator->attempt(lease).grant.lease(), &control_,
                                           [] {});
    spool_ = *Spool::Open(folder_ / "spool", Spool::Options());
    for (size_t i = 0; i < events; ++i) ASSERT_GT(spool_->Append("a line", 1), 0u);
  }

  static constexpr size_t kEvents = 2 * EventSender::kMaxBatchEvents + 1;
  testing::TempDir folder_;
  StopControl control_;
  std::unique_ptr<LeasedCalls> calls_;
  std::unique_ptr<Spool> spool_;
};

TEST_F(EventSenderTest, PausesBetweenReportsAsItIsAskedAndLosesNothing) {
  Asking coordinator(absl::Milliseconds(500));
  Begin(&coordinator);
  const absl::Time begun = absl::Now();
  {
    EventSender sender(calls_.get(), spool_.get());
    EXPECT_TRUE(sender.WaitUntilDurable(kEvents));
  }
  EXPECT_EQ(coordinator.reports, 3);
  EXPECT_GE(absl::Now() - begun, absl::Milliseconds(1000));
  EXPECT_FALSE(calls_->events_given_up());
}

TEST_F(EventSenderTest, APauseWithoutEndHoldsUpNoEnd) {
  Asking coordinator(absl::Hours(1000));
  Begin(&coordinator, 1);
  const absl::Time begun = absl::Now();
  {
    EventSender sender(calls_.get(), spool_.get());
    EXPECT_TRUE(sender.WaitUntilDurable(1));
  }
  EXPECT_LT(absl::Now() - begun, EventSender::kLongestPause / 2);
}

TEST_F(EventSenderTest, APauseWithoutEndHoldsUpNoStop) {
  Asking coordinator(absl::Hours(1000));
  Begin(&coordinator);
  const absl::Time begun = absl::Now();
  {
    EventSender sender(calls_.get(), spool_.get());
    EXPECT_TRUE(sender.WaitUntilDurable(1));
    control_.AbandonDelivery();
  }
  EXPECT_EQ(coordinator.reports, 1);
  EXPECT_LT(absl::Now() - begun, EventSender::kLongestPause / 2);
}

TEST_F(EventSenderTest, SaysThatTheSpoolWasDamagedWhereItCannotBeRead) {
  Asking coordinator(absl::ZeroDuration());
  Begin(&coordinator, 3);
  const std::filesystem::path segment = std::filesystem::directory_iterator(folder_ / "spool")->path();
  {
    std::fstream file(segment, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(kSpoolHeaderBytes + std::string("a line").size() + kSpoolHeaderBytes + 2);  // in the second event's line
    file.put('X');
  }
  {
    EventSender sender(calls_.get(), spool_.get());
    EXPECT_FALSE(sender.WaitUntilDurable(3));
  }
  ASSERT_TRUE(calls_->events_given_up());
  EXPECT_EQ(calls_->why_given_up(), "the worker's spool was damaged: events after 1 are lost");
  EXPECT_EQ(spool_->acknowledged_seq(), 1u);
  EXPECT_EQ(control_.reason(), StopReason::kRefused);
}

// Takes no event.
class Refusing : public Asking {
 public:
  Refusing() : Asking(absl::ZeroDuration()) {}
  absl::StatusOr<v1::ReportResponse> Report(const v1::ReportRequest&) override {
    return absl::InvalidArgumentError("step 5 of 4");
  }
};

TEST_F(EventSenderTest, SaysThatTheCoordinatorRefusedWhatItRefused) {
  Refusing coordinator;
  Begin(&coordinator, 3);
  EventSender sender(calls_.get(), spool_.get());
  EXPECT_FALSE(sender.WaitUntilDurable(3));
  ASSERT_TRUE(calls_->events_given_up());
  EXPECT_EQ(calls_->why_given_up(), "the coordinator refused the trainer's events as invalid: step 5 of 4");
}

}  // namespace
}  // namespace sink::worker
