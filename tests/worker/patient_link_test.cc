// A worker whose credential is refused: how seldom it calls, what it says, and that it comes back.
#include "worker/patient_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/daemon_process.h"
#include "tests/worker/fake_coordinator.h"
#include "worker/client_link.h"
#include "worker/daemon.h"

namespace sink::worker {
namespace {

using ::testing::HasSubstr;

// Revokes this worker for a while: registrations get `refusal` then, and all other calls UNAUTHENTICATED.
class Revokes : public FakeCoordinator {
 public:
  void Revoke(absl::Status refusal) {
    absl::MutexLock lock(&mutex_);
    refusal_ = std::move(refusal);
    set_restarted(true);
  }
  void Reinstate() {
    absl::MutexLock lock(&mutex_);
    refusal_ = absl::OkStatus();
  }
  int calls() const { return calls_; }  // registrations and heartbeats

  absl::StatusOr<v1::RegisterResponse> Register(const v1::RegisterRequest& request) override {
    ++calls_;
    absl::MutexLock lock(&mutex_);
    if (!refusal_.ok()) return refusal_;
    return FakeCoordinator::Register(request);
  }
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request) override {
    ++calls_;
    return FakeCoordinator::Heartbeat(request);
  }

 private:
  absl::Mutex mutex_;
  absl::Status refusal_ ABSL_GUARDED_BY(mutex_);
  std::atomic<int> calls_ = 0;
};

// A link with a clock that the test moves.
class PatientLinkTest : public ::testing::Test {
 protected:
  PatientLinkTest() {
    auto coordinator = std::make_unique<Revokes>();
    coordinator_ = coordinator.get();
    link_ = MakePatientLink(std::move(coordinator), [this] { return now_; });
  }
  // How many calls arrive, in that time, of a daemon that tries to register twice a second, and to say that it lives.
  int CallsIn(absl::Duration time) {
    const int before = coordinator_->calls();
    for (const absl::Duration end = now_ + time; now_ < end; now_ += absl::Milliseconds(500)) {
      link_->Register({}).IgnoreError();
      link_->Heartbeat({}).IgnoreError();
    }
    return coordinator_->calls() - before;
  }

  absl::Duration now_ = absl::Hours(5);
  Revokes* coordinator_ = nullptr;  // the link's
  std::unique_ptr<CoordinatorLink> link_;
};

TEST_F(PatientLinkTest, AWorkerThatIsRefusedCallsOnceAMinute) {
  for (const absl::Status& refusal : {absl::UnauthenticatedError("revoked"), absl::PermissionDeniedError("revoked")}) {
    coordinator_->Revoke(refusal);
    EXPECT_LE(CallsIn(absl::Minutes(2)), 12) << "the first pauses are short";
    const int calls = CallsIn(absl::Hours(1));
    EXPECT_GE(calls, 48);
    EXPECT_LE(calls, 76);
    EXPECT_EQ(link_->Heartbeat({}).status(), refusal);
    EXPECT_EQ(link_->Finish({}).status(), refusal);
    coordinator_->Reinstate();
    CallsIn(absl::Seconds(73));
    EXPECT_TRUE(link_->Register({}).ok());
    EXPECT_TRUE(link_->Heartbeat({}).ok());
  }
}

TEST_F(PatientLinkTest, WhatIsNoRefusalOfTheCredentialMakesNobodyWait) {
  for (const absl::Status& status :
       {absl::UnavailableError("away"), absl::FailedPreconditionError("stale session"), absl::NotFoundError("who?")}) {
    coordinator_->Revoke(status);
    EXPECT_EQ(CallsIn(absl::Seconds(10)), 40) << status;
  }
}

TEST(RevokedWorker, CallsSeldomAndGoesOnWithItsJobWhenItIsAdmittedAgain) {
  testing::TempDir dir;
  auto owned = std::make_unique<Revokes>();
  Revokes& coordinator = *owned;
  const auto link = MakePatientLink(std::move(owned));
  Daemon daemon(link.get(), *FindDevices("cpu:1", nullptr), FakeTrainerOptions(dir.path().string()));
  const std::string lease = coordinator.AddJob("job1", R"({"steps": 200, "step_ms": 5})");
  daemon.Start();
  ASSERT_TRUE(
      coordinator.WaitFor(lease, [](const FakeCoordinator::Attempt& attempt) { return attempt.records.size() > 9; }));
  coordinator.Revoke(absl::UnauthenticatedError("revoked"));
  const int before = coordinator.calls();
  absl::SleepFor(absl::Seconds(2));
  EXPECT_LE(coordinator.calls() - before, 12) << "of forty heartbeats and a hundred registrations";
  EXPECT_TRUE(coordinator.attempt(lease).finishes.empty());
  coordinator.Reinstate();
  ASSERT_TRUE(coordinator.WaitForFinish(lease));
  EXPECT_EQ(coordinator.attempt(lease).finishes[0].outcome(), v1::SUCCEEDED);
  daemon.BeginDrain();
  EXPECT_TRUE(daemon.WaitUntilFinished(absl::Seconds(20)));
}

TEST(RevokedWorker, IsToldHowItsMachineJoinsAgain) {
  Revokes coordinator;
  FakeServer server(&coordinator);
  coordinator.Revoke(absl::UnauthenticatedError("this certificate was revoked"));
  const auto link =
      MakeClientLink({.address = server.address(), .folder = server.credentials(), .worker_id = "worker"});
  ASSERT_TRUE(link.ok()) << link.status();
  const absl::Status refused = (*link)->Register({}).status();
  EXPECT_TRUE(absl::IsUnauthenticated(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("this certificate was revoked: stop this worker, remove " + server.credentials() +
                        " and the file worker.id beside it, and start it with --join and a token"));
}

}  // namespace
}  // namespace sink::worker
