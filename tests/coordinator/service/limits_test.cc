// Users and workers who ask for more than they may, over a real port; what keeps a job alive is taken all the same.
#include <chrono>
#include <string>

#include "coordinator/core/rates.h"
#include "coordinator/service/policy.h"
#include "tests/coordinator/service/access_fixture.h"

namespace sink {
namespace {

using testing::AccessTest;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Submission;
using testing::SweepYaml;

class LimitsTest : public AccessTest {
 protected:
  LimitsTest() {
    StopServer();
    adjust_ = [](ServerOptions* options) {
      options->rates.calls = {.per_second = 0.001, .burst = 20};
      options->rates.submissions = {.per_second = 0.001, .burst = 4};
      options->rates.reads = {.per_second = 0.001, .burst = 3};
      options->rates.report_bytes = {.per_second = 1, .burst = 10};
      options->rates.certificates = {.per_second = 0.001, .burst = 3};
      options->rates.certificates_by_address = {.per_second = 0.001, .burst = 6};
      options->quota = {.waiting_jobs = 3, .sweeps = 2};
    };
    StartServer();
  }
};

TEST_F(LimitsTest, AUserWhoReadsTooOftenWaitsAndTheAdminDoesNot) {
  Submit("one", "1e-3");
  const auto lena = ClientOf(User("lena", "viewer"));
  v1::ListJobsRequest jobs;
  jobs.set_sweep("one");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(lena->ListJobs(jobs).ok());
  const absl::Status refused = lena->ListJobs(jobs).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable) << "for a client, to try again: " << refused;
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("has no room for this call now"), HasSubstr("reads of sweeps")));
  EXPECT_TRUE(lena->ListSweeps({}).ok());  // which is cheap
  EXPECT_TRUE(ClientOf(User("max", "viewer"))->ListJobs(jobs).ok());
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(client_->ListJobs(jobs).ok());
}

// At once, and she leaves before they are answered.
TEST_F(LimitsTest, AUserWhoCallsWithoutEndAndLeavesIsRefusedAndWorkersAreNot) {
  RegisterWorker();
  const identity::Credential lena = User("lena", "viewer");
  const auto stub = v1::ClientService::NewStub(ChannelOf(lena));
  const v1::ListSweepsRequest request;
  for (int i = 0; i < 200; ++i) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(i < 2 ? 10'000 : 1));
    v1::ListSweepsResponse response;
    stub->ListSweeps(&context, request, &response);
    v1::HeartbeatRequest beat;
    beat.set_worker_id(testing::kWorkerId);
    beat.set_session(testing::kSession);
    EXPECT_TRUE(worker().Heartbeat(beat).ok()) << i;
  }
  // Without a deadline, so that it is sent: what is left of the twenty, and one more.
  grpc::Status last;
  for (int i = 0; i <= 20 && (i == 0 || last.ok()); ++i) {
    grpc::ClientContext context;
    v1::ListSweepsResponse response;
    last = stub->ListSweeps(&context, request, &response);
  }
  EXPECT_EQ(last.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << last.error_message();
  EXPECT_THAT(last.error_message(), HasSubstr("user/lena may make 0 calls a second, 20 at once"));
  EXPECT_TRUE(ClientOf(User("max", "viewer"))->ListSweeps({}).ok());
}

TEST_F(LimitsTest, AUserWhoSubmitsTooOftenWaits) {
  const auto lena = ClientOf(User("lena", "submitter"));
  v1::SubmitSweepRequest plan = Submission(SweepYaml("one", "1e-3"));
  plan.set_dry_run(true);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(lena->SubmitSweep(plan).ok());
  EXPECT_EQ(lena->SubmitSweep(plan).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(client_->SubmitSweep(plan).ok());
}

TEST_F(LimitsTest, AUserMayNotFillTheQueue) {
  const auto lena = ClientOf(User("lena", "submitter"));
  ASSERT_TRUE(lena->SubmitSweep(Submission(SweepYaml("one", "1e-3, 2e-3"), 1)).ok());
  const absl::Status refused = lena->SubmitSweep(Submission(SweepYaml("two", "3e-3, 4e-3"), 2)).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--jobs-per-user"));
  // The name is not hers by that.
  EXPECT_TRUE(ClientOf(User("max", "submitter"))->SubmitSweep(Submission(SweepYaml("two", "3e-3"), 3)).ok());
  EXPECT_TRUE(lena->SubmitSweep(Submission(SweepYaml("one", "1e-3, 2e-3"), 4)).ok());
  Submit("many", "1e-3, 2e-3, 3e-3, 4e-3, 5e-3", 5);  // an admin's
}

TEST_F(LimitsTest, JobsThatAreQueuedAgainCount) {
  const auto lena = ClientOf(User("lena", "submitter"));
  const auto first = lena->SubmitSweep(Submission(SweepYaml("one", "1e-3, 2e-3"), 1));
  ASSERT_TRUE(first.ok()) << first.status();
  v1::CancelRequest cancel;
  cancel.set_sweep("one");
  ASSERT_TRUE(lena->Cancel(cancel).ok());
  ASSERT_TRUE(lena->SubmitSweep(Submission(SweepYaml("two", "3e-3, 4e-3"), 2)).ok());
  v1::RetryRequest retry;
  retry.set_sweep("one");
  const absl::Status refused = lena->Retry(retry).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("4 jobs"));
  v1::RetryRequest some;
  some.add_job_ids(first->jobs(0).id());
  ASSERT_TRUE(lena->Retry(some).ok());
  some.set_job_ids(0, first->jobs(1).id());
  EXPECT_EQ(lena->Retry(some).status().code(), absl::StatusCode::kResourceExhausted);
  some.set_job_ids(0, first->jobs(0).id());  // which waits already
  EXPECT_TRUE(lena->Retry(some).ok());
  EXPECT_TRUE(client_->Retry(retry).ok());
}

TEST_F(LimitsTest, AWorkerThatReportsTooMuchIsAskedToPauseAndKeepsItsJob) {
  Submit("one", "1e-3");
  RegisterWorker();
  const v1::Grant grant = Lease();
  const auto first = Report(grant.lease(), 1,
                            {R"({"type":"hello","version":1,"pid":7,"device":"cpu","start_step":0,)"
                             R"("max_steps":100,"parameters":10})"});  // more than the bucket holds
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_GT(first->pause_ms(), 1'000);
  // One that does not wait, as those of the first release.
  const std::string line = R"({"type":"log","level":"info","message":"x"})";
  EXPECT_EQ(Report(grant.lease(), 2, {line}).status().code(), absl::StatusCode::kResourceExhausted);
  for (int i = 0; i < 20; ++i) {
    v1::HeartbeatRequest request;
    request.set_worker_id(testing::kWorkerId);
    request.set_session(testing::kSession);
    EXPECT_TRUE(worker().Heartbeat(request).ok());
  }
  EXPECT_TRUE(Finish(grant.lease(), 1).ok());
}

// The reserve: half of what an address may ask for is not one token's.
TEST_F(LimitsTest, ATokenThatIsShownWithoutEndLeavesAnotherWorkerIn) {
  const auto stolen = *Token("join", "", "", absl::Hours(1), 100), good = *Token("join", "", "", absl::Hours(1), 2);
  const std::string id = files::RandomId(), key = *identity::MakeKey();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Join(stolen, id, key).ok());
  for (int i = 0; i < 20; ++i) {
    const absl::Status refused = Join(stolen, id, key).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("try again in"));
  }
  EXPECT_TRUE(Join(good, files::RandomId(), *identity::MakeKey()).ok());
  // Two more requests of any kind are this address's; then it waits, and an admin does not.
  User("max", "viewer");
  User("vera", "viewer");
  const absl::Status refused = LogIn(*Token("login", "lena", "viewer")).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("127.0.0.1 may make"));
  EXPECT_TRUE(Join(*identity::ReadCredential(admin_folder()), files::RandomId(), *identity::MakeKey()).ok());
}

TEST(UseOf, NamesMethodsAndNoneOfAWorkers) {
  int limited = 0;
  for (const PolicyRow& row : Policy()) {
    if (!UseOf(row.path)) continue;
    ++limited;
    EXPECT_EQ(row.roles & kWorkers, 0u) << row.path;
  }
  EXPECT_EQ(limited, 12);  // each row of the table is a method
}

}  // namespace
}  // namespace sink
