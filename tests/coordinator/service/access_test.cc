// Whose a sweep is, what is written down of who did what, and streams of callers that are revoked, over a real port.
#include "coordinator/service/access.h"

#include <thread>

#include "absl/synchronization/notification.h"
#include "tests/coordinator/service/access_fixture.h"

namespace sink {
namespace {

using testing::AccessTest;
using ::testing::HasSubstr;
using testing::Submission;
using testing::SweepYaml;

class SweepOwnerTest : public AccessTest {
 protected:
  SweepOwnerTest() : sam_(ClientOf(User("sam", "submitter"))), tom_(ClientOf(User("tom", "submitter"))) {}

  std::unique_ptr<CoordinatorClient> sam_, tom_;
};

TEST_F(SweepOwnerTest, ASweepIsChangedByItsOwnerAndByAdmins) {
  ASSERT_TRUE(sam_->SubmitSweep(Submission(SweepYaml("sams", "1e-3"), 1)).ok());
  const auto stolen = tom_->SubmitSweep(Submission(SweepYaml("sams", "2e-3"), 2));
  EXPECT_EQ(stolen.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(stolen.status().message()), HasSubstr("user/sam"));
  v1::CancelRequest cancel;
  cancel.set_sweep("sams");
  EXPECT_EQ(tom_->Cancel(cancel).status().code(), absl::StatusCode::kPermissionDenied);
  v1::ListJobsRequest list;
  list.set_sweep("sams");
  const auto jobs = tom_->ListJobs(list);  // everybody reads
  ASSERT_EQ(jobs->jobs_size(), 1);
  v1::CancelRequest by_id;
  by_id.add_job_ids(jobs->jobs(0).id());
  EXPECT_EQ(tom_->Cancel(by_id).status().code(), absl::StatusCode::kPermissionDenied);
  v1::RetryRequest retry;
  retry.set_sweep("sams");
  EXPECT_EQ(tom_->Retry(retry).status().code(), absl::StatusCode::kPermissionDenied);
  v1::DownloadCheckpointRequest download;
  download.set_job_id(jobs->jobs(0).id());
  EXPECT_EQ(tom_->DownloadCheckpoint(download, [](const auto&) { return true; }).code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(sam_->DownloadCheckpoint(download, [](const auto&) { return true; }).code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(sam_->SubmitSweep(Submission(SweepYaml("sams", "1e-3, 2e-3"), 3)).ok());
  EXPECT_TRUE(sam_->Cancel(by_id).ok());
  EXPECT_TRUE(client_->Retry(retry).ok());
  EXPECT_TRUE(client_->SubmitSweep(Submission(SweepYaml("sams", "3e-3"), 4)).ok());
  StopServer();
  StartServer();
  EXPECT_EQ(ClientOf(User("tom", "submitter"))->Cancel(cancel).status().code(), absl::StatusCode::kPermissionDenied);
  absl::Status again = sam_->Cancel(cancel).status();  // of a client that tries once, while its channel comes back
  for (int i = 0; i < 100 && absl::IsUnavailable(again); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    again = sam_->Cancel(cancel).status();
  }
  EXPECT_EQ(again, absl::OkStatus());
}

TEST_F(SweepOwnerTest, AJobThatTwoPeopleWantIsRetriedByEitherAndCancelledByItsIdByNeither) {
  ASSERT_TRUE(sam_->SubmitSweep(Submission(SweepYaml("sams", "1e-3"), 1)).ok());
  const auto shared = tom_->SubmitSweep(Submission(SweepYaml("toms", "1e-3"), 2));
  ASSERT_TRUE(shared.ok()) << shared.status();
  ASSERT_EQ(shared->added(), 0);
  v1::CancelRequest by_id;
  by_id.add_job_ids(shared->jobs(0).id());
  EXPECT_THAT(std::string(sam_->Cancel(by_id).status().message()), HasSubstr("sweep toms belongs to user/tom"));
  EXPECT_EQ(tom_->Cancel(by_id).status().code(), absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(client_->Cancel(by_id).ok());
  v1::RetryRequest again;
  again.add_job_ids(shared->jobs(0).id());
  again.set_from_step(0);
  EXPECT_EQ(tom_->Retry(again).status().code(), absl::StatusCode::kPermissionDenied)
      << "its checkpoints are sam's, too";
  v1::RetryRequest toms;
  toms.set_sweep("toms");
  toms.set_from_step(0);
  EXPECT_EQ(tom_->Retry(toms).status().code(), absl::StatusCode::kFailedPrecondition);
  again.clear_from_step();
  const auto retried = tom_->Retry(again);
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(retried->job_ids_size(), 1);
  v1::CancelRequest sams;
  sams.set_sweep("sams");
  ASSERT_EQ(sam_->Cancel(sams)->kept(), 1);
  EXPECT_EQ(sam_->Retry(again).status().code(), absl::StatusCode::kPermissionDenied) << "it is tom's alone now";
  EXPECT_EQ(tom_->Cancel(by_id)->cancelled(), 1);
}

TEST_F(SweepOwnerTest, ADeletionRepeatedByTheOwnerOfWhatIsGoneGetsItsAnswer) {
  ASSERT_TRUE(sam_->SubmitSweep(Submission(SweepYaml("sams", "1e-3"), 1)).ok());
  v1::CancelRequest cancel;
  cancel.set_sweep("sams");
  ASSERT_TRUE(sam_->Cancel(cancel).ok());
  v1::DeleteSweepRequest request;
  request.set_name("sams");
  request.set_request_id(testing::RequestId(9));
  for (int call = 0; call < 2; ++call) {
    const auto response = sam_->DeleteSweep(request);
    ASSERT_TRUE(response.ok()) << call << ": " << response.status();
    EXPECT_EQ(response->deleted(), 1) << call;
  }
  EXPECT_EQ(tom_->DeleteSweep(request).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(SweepOwnerTest, ADryRunClaimsNothing) {
  auto dry = Submission(SweepYaml("new", "1e-3"), 1);
  dry.set_dry_run(true);
  ASSERT_TRUE(sam_->SubmitSweep(dry).ok());
  EXPECT_TRUE(tom_->SubmitSweep(Submission(SweepYaml("new", "1e-3"), 2)).ok());
  EXPECT_EQ(sam_->SubmitSweep(dry).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(SweepOwnerTest, ANameThatHasNoSweepIsAnybodysAfterARestart) {
  ASSERT_TRUE(sam_->SubmitSweep(Submission(SweepYaml("stored", "1e-3"), 1)).ok());
  const auto failed = sam_->SubmitSweep(Submission(SweepYaml("failed", "2e-3"), 1));  // a request of before, changed
  ASSERT_EQ(failed.status().code(), absl::StatusCode::kAlreadyExists);
  StopServer();
  StartServer();
  const auto tom = ClientOf(User("tom", "submitter"));
  const auto taken = tom->SubmitSweep(Submission(SweepYaml("failed", "2e-3"), 2));
  EXPECT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(tom->SubmitSweep(Submission(SweepYaml("stored", "2e-3"), 3)).status().code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(SweepOwnerTest, WhatNobodyOwnsIsTheAdmins) {
  Submit("old", "1e-3");
  v1::CancelRequest cancel;
  cancel.set_sweep("old");
  EXPECT_EQ(sam_->Cancel(cancel).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(SweepOwnerTest, PrioritiesAreTheAdmins) {
  const std::string urgent = SweepYaml("urgent", "1e-3") + "priority: 5\n";
  const auto refused = sam_->SubmitSweep(Submission(urgent, 1));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kPermissionDenied) << refused.status();
  EXPECT_TRUE(client_->SubmitSweep(Submission(urgent, 2)).ok());
}

TEST_F(SweepOwnerTest, WhoDidWhatIsWrittenDown) {
  ASSERT_TRUE(sam_->SubmitSweep(Submission(SweepYaml("sams", "1e-3"), 1)).ok());
  v1::CancelRequest cancel;
  cancel.set_sweep("sams");
  ASSERT_FALSE(tom_->Cancel(cancel).ok());
  ASSERT_FALSE(tom_->ListPrincipals({}).ok());  // refused by role, before a handler
  ASSERT_FALSE(tom_->ListPrincipals({}).ok());  // once a minute is enough
  std::vector<v1::AuditEntry> entries;
  for (int i = 0; i < 100 && entries.empty(); ++i) {
    const auto audit = client_->ListAudit({});
    ASSERT_TRUE(audit.ok()) << audit.status();
    if (audit->entries(0).action() == "/sink.v1.IdentityService/ListPrincipals")
      entries.assign(audit->entries().begin(), audit->entries().end());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ASSERT_GE(entries.size(), 3u);
  EXPECT_EQ(entries[0].who(), "user/tom");
  EXPECT_EQ(entries[0].outcome(), "PERMISSION_DENIED");
  EXPECT_EQ(entries[1].who(), "user/tom");
  EXPECT_EQ(entries[1].action(), "Cancel");
  EXPECT_EQ(entries[1].object(), "sams");
  EXPECT_EQ(entries[1].outcome(), "PERMISSION_DENIED");
  EXPECT_THAT(entries[1].from(), HasSubstr("127.0.0.1:"));
  EXPECT_EQ(entries[2].who(), "user/sam");
  EXPECT_EQ(entries[2].action(), "SubmitSweep");
  EXPECT_EQ(entries[2].outcome(), "ok");
  EXPECT_GT(entries[2].time_ms(), 0);
}

TEST_F(SweepOwnerTest, TheStreamOfARevokedCallerEnds) {
  ASSERT_TRUE(sam_->SubmitSweep(Submission(SweepYaml("sams", "1e-3"), 1)).ok());
  absl::Notification watching;
  absl::Status ended;
  std::thread watcher([&] {
    v1::WatchSweepRequest watch;
    watch.set_name("sams");
    ended = tom_->WatchSweep(watch, [&](const auto&) {
      if (!watching.HasBeenNotified()) watching.Notify();
      return true;
    });
  });
  watching.WaitForNotification();
  const absl::Time begin = absl::Now();
  ASSERT_TRUE(Revoke("user/tom").ok());
  watcher.join();
  EXPECT_EQ(ended.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
}

}  // namespace
}  // namespace sink
