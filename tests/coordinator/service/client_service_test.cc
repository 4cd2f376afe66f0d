// ClientService over a real loopback port and a real database.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "coordinator/service/study_document.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/coordinator/service/service_fixture.h"

namespace sink {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::Submission;
using testing::SweepYaml;

class ClientServiceTest : public testing::ServiceTest {
 protected:
  // What is said of the disk, once the next look at it has come; empty where nothing is to be said, and is not.
  std::string Warning(bool expected) {
    for (int i = 0; i < 500; ++i) {
      const auto sweeps = client_->ListSweeps({});
      if (sweeps->warnings().empty() != expected) return expected ? sweeps->warnings(0) : std::string();
      absl::SleepFor(absl::Milliseconds(10));
    }
    return "no change";
  }
};

std::string Log(const std::string& text) { return R"({"type":"log","level":"info","message":")" + text + "\"}"; }

TEST_F(ClientServiceTest, SubmitStoresEachJobOnce) {
  const auto first = client_->SubmitSweep(Submission(SweepYaml("study", "1e-3, 4e-4")));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->sweep(), "study");
  EXPECT_EQ(first->added(), 2);
  EXPECT_EQ(first->jobs(0).experiment(), "learning_rate");
  EXPECT_TRUE(first->jobs(0).added());
  const auto again = client_->SubmitSweep(Submission(SweepYaml("study", "1e-3, 4e-4"), 2));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->added(), 0);
  const auto edited = client_->SubmitSweep(Submission(SweepYaml("study", "1e-3, 5e-4"), 3));
  ASSERT_TRUE(edited.ok()) << edited.status();
  EXPECT_EQ(edited->added(), 1);
  EXPECT_EQ(edited->removed(), 1);
}

TEST_F(ClientServiceTest, RepeatedRequestGetsTheSameAnswerAndAnotherBodyIsRefused) {
  const auto request = Submission(SweepYaml("study", "1e-3"));
  const auto first = client_->SubmitSweep(request);
  const auto repeated = client_->SubmitSweep(request);
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_EQ(repeated->SerializeAsString(), first->SerializeAsString());  // also that it says "added"
  const auto other = client_->SubmitSweep(Submission(SweepYaml("study", "2e-3")));
  EXPECT_EQ(other.status().code(), absl::StatusCode::kAlreadyExists) << other.status();
}

TEST_F(ClientServiceTest, DryRunStoresNothing) {
  auto request = Submission(SweepYaml("study", "1e-3"));
  request.set_dry_run(true);
  const auto response = client_->SubmitSweep(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->added(), 1);
  EXPECT_EQ(client_->ListSweeps({})->sweeps_size(), 0);
}

TEST_F(ClientServiceTest, WrongSweepIsRefusedWithItsPlace) {
  const auto response = client_->SubmitSweep(Submission("schema: sink/v1\nname: x\nexperimets: []\n"));
  EXPECT_EQ(response.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(response.status().message()), HasSubstr("sweep.yaml:3:1"));
  const auto missing = client_->SubmitSweep(Submission("schema: sink/v1\nname: x\nbase: ../../etc/passwd\n"));
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("was not sent along"));
}

TEST_F(ClientServiceTest, ListsSweepsAndJobsInPages) {
  const std::vector<std::string> ids = Submit("study", "1e-3, 2e-3, 3e-3");
  EXPECT_EQ(client_->ListSweeps({})->sweeps(0).jobs_by_state().at("QUEUED"), 3);
  v1::GetSweepRequest get;
  get.set_name("study");
  const auto sweep = client_->GetSweep(get);
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  ASSERT_EQ(sweep->jobs_size(), 3);
  EXPECT_EQ(sweep->jobs(2).id(), ids[2]);
  EXPECT_EQ(sweep->jobs(2).config_json(), "");
  EXPECT_EQ(sweep->jobs(2).sweeps(0).index(), 2);
  get.set_without_jobs(true);
  const auto alone = client_->GetSweep(get);
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_EQ(alone->jobs_size(), 0);
  EXPECT_EQ(alone->sweep().jobs(), 3);
  v1::ListJobsRequest list;
  list.set_limit(2);
  auto page = client_->ListJobs(list);
  ASSERT_EQ(page->jobs_size(), 2);
  list.set_after(page->jobs(1).id());
  page = client_->ListJobs(list);
  ASSERT_EQ(page->jobs_size(), 1);
  EXPECT_EQ(page->jobs(0).id(), ids[2]);
  v1::ListJobsRequest failed;
  failed.add_states(v1::FAILED);
  EXPECT_EQ(client_->ListJobs(failed)->jobs_size(), 0);
}

TEST_F(ClientServiceTest, AJobOnSeveralWorkersIsToldWithThemEverywhere) {
  const std::vector<std::string> ids = {testing::kWorkerId, std::string(32, 'c')};
  for (size_t n = 0; n < ids.size(); ++n) {
    v1::RegisterRequest join;
    join.set_worker_id(ids[n]);
    join.set_session(testing::kSession);
    join.set_name("node-" + std::to_string(n + 1));
    join.set_devices(2);
    ASSERT_TRUE(Worker(ids[n]).Register(join).ok());
  }
  v1::LeaseRequest question;  // the second has said what data it has: whatever there is
  question.set_worker_id(ids[1]);
  question.set_session(testing::kSession);
  question.set_poll(1);
  question.set_devices_free(2);
  ASSERT_TRUE(Worker(ids[1]).Lease(question).ok());
  ASSERT_TRUE(
      client_
          ->SubmitSweep(Submission("schema: sink/v1\nname: pair\ndata: {set: tiny}\nexperiments:\n  - name: one\n"
                                   "    grid: {train.learning_rate: [1e-3]}\n"
                                   "resources: {devices: 4, per_worker: 2}\n"))
          .ok());
  const v1::Grant leader = Lease(1, 2);
  ASSERT_EQ(leader.gang().world_size(), 4);

  const auto expect_both = [](const v1::Job& job, const std::string& where) {
    EXPECT_EQ(job.per_worker(), 2) << where;
    EXPECT_THAT(job.gang(), ElementsAre("node-1", "node-2")) << where;
  };
  v1::GetJobRequest one;
  one.set_id(leader.lease().job_id());
  expect_both(client_->GetJob(one)->job(), "the job alone");
  v1::WhyJobRequest why;
  why.set_id(leader.lease().job_id());
  expect_both(client_->WhyJob(why)->job(), "why");
  v1::ListJobsRequest list;
  const auto listed = client_->ListJobs(list);
  ASSERT_EQ(listed->jobs_size(), 1);
  expect_both(listed->jobs(0), "all jobs");
  list.set_with_config(true);
  expect_both(client_->ListJobs(list)->jobs(0), "with configurations");
  v1::GetSweepRequest sweep;
  sweep.set_name("pair");
  expect_both(client_->GetSweep(sweep)->jobs(0), "the sweep");
  for (const bool changes_only : {false, true}) {
    v1::WatchSweepRequest watch;
    watch.set_name("pair");
    watch.set_changes_only(changes_only);
    int updates = 0;
    const auto look = [&](const v1::GetSweepResponse& update) {
      if (update.jobs_size() == 1) expect_both(update.jobs(0), "the sweep that is watched");
      ++updates;
      return false;
    };
    client_->WatchSweep(watch, look).IgnoreError();  // it ends because nobody wants more
    EXPECT_EQ(updates, 1);
  }
}

TEST_F(ClientServiceTest, StudyTellsPointsReplicasAndPublishedValues) {
  const auto response =
      client_->SubmitSweep(Submission("schema: sink/v1\nname: study\nreplicas: 2\nexperiments:\n"
                                      "  - name: rates\n    grid: {train.learning_rate: [1e-3, 2e-3]}\n"
                                      "    paper: {source: Table 9, sink_rate_percent: [12.5, null]}\n"
                                      "  - name: alone\n    set: {train.weight_decay: 0.5}\n"));
  ASSERT_TRUE(response.ok()) << response.status();
  v1::GetStudyRequest request;
  request.set_name("study");
  const auto study = client_->GetStudy(request);
  ASSERT_TRUE(study.ok()) << study.status();
  EXPECT_FALSE(study->from_labels());
  ASSERT_EQ(study->experiments_size(), 2);
  const v1::StudyExperiment& rates = study->experiments(0);
  EXPECT_EQ(rates.name(), "rates");
  EXPECT_THAT(rates.arithmetic(), HasSubstr("x 2 replicas = 4 jobs"));
  EXPECT_EQ(rates.paper_json(), R"({"sink_rate_percent":[12.5,null],"source":"Table 9"})");
  ASSERT_EQ(rates.points_size(), 2);
  EXPECT_EQ(rates.points(1).label(), "train.learning_rate=0.002");
  ASSERT_EQ(rates.points(1).job_ids_size(), 2);
  EXPECT_EQ(rates.points(1).job_ids(0), response->jobs(2).id());
  EXPECT_EQ(rates.points(1).job_ids(1), response->jobs(3).id());
  EXPECT_EQ(study->experiments(1).points_size(), 1);
  request.set_name("nothing");
  EXPECT_EQ(client_->GetStudy(request).status().code(), absl::StatusCode::kNotFound);
}

TEST(Study, OfAnOldSweepIsReadOffTheLabels) {
  v1::GetStudyResponse study;
  StudyFromLabels({{{"s", "b", "x=2", 3}, "3"},
                   {{"s", "a", "x=1 replica=1", 0}, "0"},
                   {{"s", "a", "x=1 replica=2", 1}, "1"},
                   {{"s", "a", "x=2 replica=1", 2}, "2"}},
                  &study);
  EXPECT_TRUE(study.from_labels());
  ASSERT_EQ(study.experiments_size(), 2);
  ASSERT_EQ(study.experiments(0).points_size(), 2);
  EXPECT_EQ(study.experiments(0).points(0).label(), "x=1");
  EXPECT_EQ(study.experiments(0).points(0).job_ids_size(), 2);
  EXPECT_EQ(study.experiments(1).points(0).job_ids(0), "3");
}

TEST(Study, DamagedDocumentIsAnError) {
  v1::GetStudyResponse study;
  EXPECT_EQ(DecodeStudy("{\"experiments\": [", &study).code(), absl::StatusCode::kDataLoss);
}

TEST_F(ClientServiceTest, OneSweepsDamagedStudyLeavesTheCoordinatorRunning) {
  Submit("study", "1e-3");
  StopServer();
  {
    auto store = store::SqliteStore::Open(folder_ / "data");
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->Write([](store::Transaction& rows) { return rows.PutStudy("study", "{"); }).ok());
  }
  StartServer();
  v1::GetStudyRequest request;
  request.set_name("study");
  EXPECT_EQ(client_->GetStudy(request).status().code(), absl::StatusCode::kDataLoss);
  const absl::Status running = server_->Wait([] { return true; });
  EXPECT_TRUE(running.ok()) << running;
  EXPECT_TRUE(client_->ListSweeps({}).ok());
}

TEST_F(ClientServiceTest, GetJobTakesAPrefix) {
  const std::string id = Submit("study", "1e-3")[0];
  v1::GetJobRequest get;
  get.set_id(id.substr(0, 6));
  const auto job = client_->GetJob(get);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->job().id(), id);
  EXPECT_THAT(job->job().config_json(), HasSubstr("learning_rate"));
  get.set_id(id.substr(0, 3));
  EXPECT_EQ(client_->GetJob(get).status().code(), absl::StatusCode::kInvalidArgument);
  get.set_id(id[0] == '0' ? "1111" : "0000");
  EXPECT_EQ(client_->GetJob(get).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientServiceTest, UnknownThingsAreNotFound) {
  v1::GetSweepRequest get;
  get.set_name("nothing");
  EXPECT_EQ(client_->GetSweep(get).status().code(), absl::StatusCode::kNotFound);
  v1::WatchSweepRequest watch;
  watch.set_name("nothing");
  EXPECT_EQ(client_->WatchSweep(watch, [](const auto&) { return true; }).code(), absl::StatusCode::kNotFound);
  v1::CancelRequest cancel;
  cancel.set_sweep("nothing");
  EXPECT_EQ(client_->Cancel(cancel).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientServiceTest, CancelThenRetry) {
  Submit("study", "1e-3, 2e-3");
  v1::CancelRequest cancel;
  cancel.set_sweep("study");
  const auto cancelled = client_->Cancel(cancel);
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->cancelled(), 2);
  v1::RetryRequest retry;
  retry.set_sweep("study");
  retry.set_request_id("0123456789abcdef0123456789abcdef");
  for (int call = 0; call < 2; ++call) {  // again: its answer may have been lost
    const auto retried = client_->Retry(retry);
    ASSERT_TRUE(retried.ok()) << retried.status();
    EXPECT_EQ(retried->job_ids_size(), 2) << call;
  }
  retry.set_from_step(0);
  EXPECT_EQ(client_->Retry(retry).status().code(), absl::StatusCode::kAlreadyExists);
  retry.set_request_id("short");
  EXPECT_EQ(client_->Retry(retry).status().code(), absl::StatusCode::kInvalidArgument);
  retry.clear_request_id();
  EXPECT_EQ(client_->Retry(retry)->job_ids_size(), 0) << "they wait";
}

TEST_F(ClientServiceTest, AFullDiskIsToldEverywhereAndTakesAndStartsNothing) {
  const std::string id = Submit("study", "1e-3")[0];
  StopServer();
  disk_reserve_ = uint64_t{1} << 60;  // more than any disk has
  StartServer();
  const std::string full = "the coordinator's disk is full";
  EXPECT_THAT(client_->ListSweeps({})->warnings(), ElementsAre(StartsWith(full)));
  EXPECT_TRUE(client_->ListSweeps({})->disk_full());
  v1::GetSweepRequest get;
  get.set_name("study");
  EXPECT_THAT(client_->GetSweep(get)->warnings(), ElementsAre(StartsWith(full)));
  get.set_without_jobs(true);
  EXPECT_THAT(client_->GetSweep(get)->warnings(), ElementsAre(StartsWith(full))) << "as sinkctl status asks";
  v1::GetJobRequest job;
  job.set_id(id);
  EXPECT_THAT(client_->GetJob(job)->warnings(), ElementsAre(StartsWith(full)));
  EXPECT_TRUE(client_->GetJob(job)->disk_full());
  EXPECT_THAT(client_->ListJobs({})->warnings(), ElementsAre(StartsWith(full)));
  EXPECT_TRUE(client_->ListJobs({})->disk_full());
  v1::WhyJobRequest why;
  why.set_id(id);
  EXPECT_EQ(client_->WhyJob(why)->reasons(0), full + ": nothing is started until there is room");
  v1::WatchSweepRequest watch;
  watch.set_name("study");
  watch.set_changes_only(true);
  std::string told;
  EXPECT_TRUE(client_
                  ->WatchSweep(watch,
                               [&](const v1::GetSweepResponse& update) {
                                 told = update.warnings(0);
                                 EXPECT_TRUE(update.disk_full());
                                 return false;
                               })
                  .ok());
  EXPECT_THAT(told, StartsWith(full));
  v1::SubmitSweepRequest submit = Submission(SweepYaml("another", "1e-3"), 2);
  EXPECT_EQ(client_->SubmitSweep(submit).status().code(), absl::StatusCode::kResourceExhausted);
  submit.set_dry_run(true);
  EXPECT_TRUE(client_->SubmitSweep(submit).ok());
  RegisterWorker();
  v1::LeaseRequest ask;
  ask.set_worker_id(testing::kWorkerId);
  ask.set_session(testing::kSession);
  ask.set_poll(1);
  ask.set_devices_free(1);
  const auto answer = worker().Lease(ask);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->grants_size(), 0);
  EXPECT_EQ(client_->GetJob(job)->job().state(), v1::QUEUED);
  v1::CancelRequest cancel;
  cancel.set_sweep("study");
  EXPECT_EQ(client_->Cancel(cancel)->cancelled(), 1);
  v1::RetryRequest retry;
  retry.set_sweep("study");
  const auto retried = client_->Retry(retry);
  EXPECT_EQ(retried.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(retried.status().message()), StartsWith(full));
  EXPECT_EQ(client_->GetJob(job)->job().state(), v1::CANCELLED);
}

TEST_F(ClientServiceTest, ACheckpointThatDoesNotFitIsToldEverywhereUntilItsUploadBeginsOrItsJobEnds) {
  const v1::Grant grant = RunningJob();
  const auto refuse = [&] {
    auto request = Leased<v1::BeginCheckpointRequest>(grant.lease());
    request.set_step(10);
    testing::TestCheckpoint().AddTo(&request);
    request.mutable_files(0)->set_size(uint64_t{1} << 40);
    EXPECT_TRUE(absl::IsResourceExhausted(worker().BeginCheckpoint(request).status()));
  };
  refuse();
  EXPECT_THAT(Warning(true), AllOf(StartsWith("the coordinator has no room for a checkpoint of job " +
                                              grant.lease().job_id().substr(0, 8)),
                                   HasSubstr("are free on the coordinator"), HasSubstr("make room")));
  EXPECT_FALSE(client_->ListSweeps({})->disk_full()) << "the others go on";
  v1::GetSweepRequest get;
  get.set_name("one");
  EXPECT_EQ(client_->GetSweep(get)->warnings_size(), 1);
  v1::WhyJobRequest why;
  why.set_id(grant.lease().job_id());
  EXPECT_THAT(client_->WhyJob(why)->reasons(0), HasSubstr("without which it cannot end"));
  ASSERT_TRUE(Begin(grant.lease(), 10, testing::TestCheckpoint()).ok());
  EXPECT_EQ(Warning(false), "");
  EXPECT_THAT(client_->WhyJob(why)->reasons(0), HasSubstr("has it"));
  refuse();
  EXPECT_NE(Warning(true), "no change");
  v1::CancelRequest cancel;
  cancel.add_job_ids(grant.lease().job_id());
  ASSERT_TRUE(client_->Cancel(cancel).ok());
  EXPECT_THAT(client_->WhyJob(why)->reasons(0), HasSubstr("is given up after its worker's grace"));
  ASSERT_TRUE(Finish(grant.lease(), 1).ok());
  EXPECT_EQ(Warning(false), "");
}

TEST_F(ClientServiceTest, ACheckpointThatCannotBeWrittenIsToldEverywhereUntilItIsStoredAndItsWorkerOnlyWaits) {
  const v1::Grant grant = RunningJob();
  const testing::TestCheckpoint checkpoint;
  const std::string folder = folder_ / ("data/checkpoints/" + grant.lease().job_id());
  std::ofstream(folder) << "no folder: not even root can make one in here";
  const absl::Status refused = Begin(grant.lease(), 10, checkpoint).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr(folder));
  EXPECT_THAT(Warning(true), AllOf(StartsWith("the coordinator cannot store a checkpoint of job " +
                                              grant.lease().job_id().substr(0, 8)),
                                   HasSubstr(folder)));
  v1::WhyJobRequest why;
  why.set_id(grant.lease().job_id());
  const auto is_told = AllOf(HasSubstr("its checkpoint waits until the coordinator can store it"), HasSubstr(folder));
  EXPECT_THAT(client_->WhyJob(why)->reasons(0), is_told);

  ASSERT_TRUE(std::filesystem::remove(folder));
  ASSERT_TRUE(Begin(grant.lease(), 10, checkpoint).ok());
  EXPECT_THAT(client_->WhyJob(why)->reasons(0), is_told) << "no file of it has been written";
  const std::string file = CheckpointFolder(grant.lease(), 10) + ".part/model.safetensors";
  std::filesystem::create_symlink(file, file);  // fails whoever opens it, and says nothing of the worker
  const absl::Status failed = Write(grant.lease(), 10, "model.safetensors", "x");
  EXPECT_TRUE(absl::IsResourceExhausted(failed)) << failed;
  EXPECT_THAT(client_->WhyJob(why)->reasons(0), HasSubstr(file));
  std::filesystem::remove(file);
  EXPECT_TRUE(absl::IsOutOfRange(Write(grant.lease(), 10, "model.safetensors", "x", /*offset=*/7)));
  ASSERT_TRUE(Upload(grant.lease(), 10, checkpoint).ok());
  EXPECT_EQ(Warning(false), "");
  EXPECT_THAT(client_->WhyJob(why)->reasons(0), HasSubstr("has it"));
}

TEST_F(ClientServiceTest, ACheckpointThatIsTooMuchForItsJobIsToldAndOthersGoOn) {
  StopServer();
  adjust_ = [](ServerOptions* options) { options->checkpoint_bytes_per_job = 1'000'000; };
  StartServer();
  const v1::Grant grant = RunningJob();
  auto request = Leased<v1::BeginCheckpointRequest>(grant.lease());
  request.set_step(10);
  testing::TestCheckpoint().AddTo(&request);
  request.mutable_files(0)->set_size(1'000'000);
  const auto refused = worker().BeginCheckpoint(request);
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(StartsWith("too much for one job"), HasSubstr("--checkpoint-bytes-per-job")));
  v1::WhyJobRequest why;
  why.set_id(grant.lease().job_id());
  EXPECT_THAT(client_->WhyJob(why)->reasons(0),
              AllOf(HasSubstr("its checkpoint waits for room"), HasSubstr("--checkpoint-bytes-per-job")));
  EXPECT_FALSE(client_->ListSweeps({})->disk_full());
  EXPECT_EQ(Submit("another", "1e-3", 2).size(), 1u);
  EXPECT_TRUE(Begin(grant.lease(), 10, testing::TestCheckpoint()).ok()) << "a smaller one";
}

TEST_F(ClientServiceTest, AWarningThatComesOrGoesWakesWatchersThoughNoJobChanges) {
  const v1::Grant grant = RunningJob();
  for (const bool changes_only : {true, false}) {
    absl::Notification over;
    // Else a watcher that is not woken would wait for ever.
    std::thread impatient([&] {
      if (over.WaitForNotificationWithTimeout(absl::Seconds(20))) return;
      ADD_FAILURE() << "the watcher was not woken";
      StopServer();
    });
    v1::WatchSweepRequest watch;
    watch.set_name("one");
    watch.set_changes_only(changes_only);
    watch.set_interval_ms(100);
    std::vector<int> warnings;
    const auto watched = client_->WatchSweep(watch, [&](const v1::GetSweepResponse& update) {
      EXPECT_EQ(update.sweep().name(), "one");
      EXPECT_EQ(update.jobs_size(), changes_only && !warnings.empty() ? 0 : 1);
      warnings.push_back(update.warnings_size());
      auto request = Leased<v1::BeginCheckpointRequest>(grant.lease());
      request.set_step(10);
      testing::TestCheckpoint().AddTo(&request);
      if (warnings.size() == 1) request.mutable_files(0)->set_size(uint64_t{1} << 40);
      EXPECT_EQ(worker().BeginCheckpoint(request).ok(), warnings.size() > 1);
      return warnings.size() < 3;
    });
    over.Notify();
    impatient.join();
    EXPECT_THAT(warnings, ElementsAre(0, 1, 0)) << watched;
  }
}

TEST_F(ClientServiceTest, AHealthyDiskIsNoNews) {
  Submit("study", "1e-3");
  EXPECT_EQ(client_->ListSweeps({})->warnings_size(), 0);
}

TEST_F(ClientServiceTest, WatchSendsAtOnceAndOnChangeAndEndsWhenAllIsFinal) {
  const v1::Grant grant = RunningJob("study");
  v1::WatchSweepRequest watch;
  watch.set_name("study");
  watch.set_interval_ms(100);
  std::vector<int64_t> steps;
  absl::Notification seen_progress;
  std::thread trainer;
  const absl::Status status = client_->WatchSweep(watch, [&](const v1::GetSweepResponse& update) {
    steps.push_back(update.jobs(0).progress().step());
    if (steps.back() == 5 && !seen_progress.HasBeenNotified()) seen_progress.Notify();
    if (steps.size() == 1) {
      trainer = std::thread([&] {
        ASSERT_TRUE(
            Report(grant.lease(), 2, {R"({"type":"progress","step":5,"tokens":50,"tokens_per_second":9})"}).ok());
        seen_progress.WaitForNotification();
        ASSERT_TRUE(Report(grant.lease(), 3, {R"({"type":"finished","step":100})"}).ok());
        ASSERT_TRUE(Finish(grant.lease(), 3).ok());
      });
    }
    return true;
  });
  trainer.join();
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_GE(steps.size(), 3u);
  EXPECT_EQ(steps[0], 0);
  EXPECT_EQ(steps[1], 5);
}

TEST_F(ClientServiceTest, UnchangedSweepIsNotSentAgain) {
  Submit("study", "1e-3");
  v1::WatchSweepRequest watch;
  watch.set_name("study");
  watch.set_interval_ms(100);
  std::vector<std::string> updates;
  absl::Notification watching;
  absl::Status ended;
  std::thread watcher([&] {
    ended = client_->WatchSweep(watch, [&](const v1::GetSweepResponse& update) {
      updates.push_back(update.SerializeAsString());
      if (updates.size() == 1) watching.Notify();
      return true;
    });
  });
  watching.WaitForNotification();
  // Changes elsewhere: the stream looks, and sees nothing new. It has time for several looks; more time would only make
  // a stream that repeats itself repeat itself more.
  const auto second = NewClient();
  for (int n = 2; n < 5; ++n) {
    ASSERT_TRUE(second->SubmitSweep(Submission(SweepYaml("other" + std::to_string(n), "5e-3"), n)).ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
  }
  v1::CancelRequest cancel;
  cancel.set_sweep("study");
  ASSERT_TRUE(second->Cancel(cancel).ok());  // the one change here, after which all is final
  watcher.join();
  EXPECT_TRUE(ended.ok()) << ended;
  EXPECT_EQ(updates.size(), 2u);
}

TEST_F(ClientServiceTest, ASweepIsReadWithItsConfigurationsPointsAndMapsInFewCalls) {
  const v1::Grant grant = RunningJob("study");
  Submit("study", "1e-3, 2e-3", 2);
  const std::string id = grant.lease().job_id();
  ASSERT_TRUE(Report(grant.lease(), 2,
                     {R"({"type":"metrics","step":1,"values":{"train_loss":2.5}})",
                      R"({"type":"heatmap","step":1,"name":"alpha/1","layers":1,"heads":2,"values":[0.1,0.2]})"})
                  .ok());
  v1::ListJobsRequest list;
  list.set_sweep("study");
  EXPECT_EQ(client_->ListJobs(list)->jobs(0).config_json(), "");
  list.set_with_config(true);
  const auto listed = client_->ListJobs(list);
  ASSERT_EQ(listed->jobs_size(), 2);
  for (const v1::Job& job : listed->jobs()) EXPECT_THAT(job.config_json(), HasSubstr("learning_rate"));

  v1::ReadMetricsRequest metrics;
  metrics.set_sweep("study");
  std::vector<std::string> read;
  const auto take = [&](const v1::MetricPoints& batch) {
    for (const v1::MetricPoint& point : batch.points()) read.push_back(batch.job_id() + " " + point.name());
    return true;
  };
  ASSERT_TRUE(client_->ReadMetrics(metrics, take).ok());
  EXPECT_THAT(read, ElementsAre(id + " train_loss"));
  v1::ReadHeatmapsRequest maps;
  maps.set_sweep("study");
  int seen = 0;
  ASSERT_TRUE(client_
                  ->ReadHeatmaps(maps,
                                 [&](const v1::Heatmap& map) {
                                   EXPECT_EQ(map.job_id(), id);
                                   return ++seen > 0;
                                 })
                  .ok());
  EXPECT_EQ(seen, 1);
  metrics.set_job_id(id);
  EXPECT_EQ(client_->ReadMetrics(metrics, take).code(), absl::StatusCode::kInvalidArgument) << "a job or a sweep";
  metrics.clear_job_id();
  metrics.set_sweep("nobody");
  EXPECT_EQ(client_->ReadMetrics(metrics, take).code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientServiceTest, LogsAreReadFollowedAndTailed) {
  const v1::Grant grant = RunningJob();
  ASSERT_TRUE(Report(grant.lease(), 2, {Log("one"), Log("two"), Log("three")}).ok());
  v1::ReadLogsRequest read;
  read.set_job_id(grant.lease().job_id().substr(0, 8));
  read.set_tail(2);
  std::vector<std::string> texts;
  ASSERT_TRUE(
      client_->ReadLogs(read, [&](const v1::LogLine& line) { return texts.push_back(line.text()), true; }).ok());
  EXPECT_THAT(texts, ElementsAre("two", "three"));
  texts.clear();
  read.set_tail(0);
  read.set_follow(true);
  std::thread trainer;
  const absl::Status status = client_->ReadLogs(read, [&](const v1::LogLine& line) {
    texts.push_back(line.text());
    if (texts.size() == 4) {
      trainer = std::thread([&] {
        ASSERT_TRUE(Report(grant.lease(), 5, {Log("four"), R"({"type":"finished","step":100})"}).ok());
        ASSERT_TRUE(Finish(grant.lease(), 6).ok());
      });
    }
    return true;
  });
  trainer.join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(
      texts, ElementsAre(StartsWith("trainer started"), "one", "two", "three", "four", StartsWith("trainer finished")));
}

TEST_F(ClientServiceTest, AFollowedLogGoesOnPastLinesThatAreNoLongerKept) {
  const v1::Grant grant = RunningJob();
  uint64_t seq = 1;
  const auto say = [&](int lines) {
    for (const uint64_t last = seq + lines; seq < last;) {
      const std::vector<std::string> records(std::min<uint64_t>(last - seq, 1000), Log("again"));
      ASSERT_TRUE(Report(grant.lease(), seq + 1, records).ok());
      seq += records.size();
    }
  };
  v1::ReadLogsRequest read;
  read.set_job_id(grant.lease().job_id());
  std::vector<std::string> texts;
  int64_t cursor = 0;
  const auto take = [&](const v1::LogLine& line) {
    cursor = line.cursor();
    texts.push_back(line.text());
    return true;
  };
  say(1500);
  ASSERT_TRUE(client_->ReadLogs(read, take).ok());
  EXPECT_EQ(texts.size(), 1501u) << "with the trainer's start";
  say(21'999);
  ASSERT_TRUE(Report(grant.lease(), ++seq, {R"({"type":"finished","step":100})"}).ok());
  ASSERT_TRUE(Finish(grant.lease(), seq).ok());
  // A follower that was away, as sinkctl is while its coordinator is.
  texts.clear();
  read.set_after(cursor);
  read.set_follow(true);
  const absl::Status status = client_->ReadLogs(read, take);
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_EQ(texts.size(), 20'001u);
  EXPECT_EQ(texts.front(), "(2,000 lines between are no longer kept)");
  EXPECT_THAT(texts.back(), StartsWith("trainer finished"));
}

TEST_F(ClientServiceTest, MetricsComeInBoundedMessages) {
  const v1::Grant grant = RunningJob();
  uint64_t seq = 2;
  for (int batch = 0; batch < 5; ++batch) {
    std::vector<std::string> records;
    for (int i = 0; i < 1000; ++i) {
      records.push_back(R"({"type":"metrics","step":)" + std::to_string(batch * 1000 + i + 1) +
                        R"(,"values":{"train_loss":2.5}})");
    }
    const auto reported = Report(grant.lease(), seq, records);
    ASSERT_TRUE(reported.ok()) << reported.status();
    seq += records.size();
    EXPECT_EQ(reported->durable_seq(), seq - 1);
  }
  v1::ReadMetricsRequest read;
  read.set_job_id(grant.lease().job_id());
  read.add_names("train_*");
  read.set_from_step(11);
  int points = 0, largest = 0;
  ASSERT_TRUE(client_
                  ->ReadMetrics(read,
                                [&](const v1::MetricPoints& message) {
                                  points += message.points_size();
                                  largest = std::max(largest, message.points_size());
                                  return true;
                                })
                  .ok());
  EXPECT_EQ(points, 4990);
  EXPECT_EQ(largest, 2000);
}

TEST_F(ClientServiceTest, ACheckpointThatIsReplacedWhileItIsSentIsNotCalledDamaged) {
  const v1::Grant grant = RunningJob();
  testing::TestCheckpoint large;
  large.files[0].second.assign(24 << 20, 'x');  // more than the network takes before the client has read it
  ASSERT_TRUE(Upload(grant.lease(), 10, large).ok());
  v1::DownloadCheckpointRequest download;
  download.set_job_id(grant.lease().job_id());
  bool replaced = false;
  const absl::Status ended = client_->DownloadCheckpoint(download, [&](const v1::CheckpointChunk&) {
    for (const int64_t step : {20, 30}) {
      if (!replaced) {
        EXPECT_TRUE(Upload(grant.lease(), step, testing::TestCheckpoint("y")).ok());
      }
    }
    return replaced = true;
  });
  EXPECT_EQ(ended.code(), absl::StatusCode::kAborted) << ended;
  EXPECT_THAT(std::string(ended.message()), HasSubstr("replaced by newer ones"));
  EXPECT_TRUE(client_->DownloadCheckpoint(download, [](const v1::CheckpointChunk&) { return true; }).ok());
}

TEST_F(ClientServiceTest, RestartKeepsEverything) {
  const v1::Grant grant = RunningJob();
  ASSERT_TRUE(Report(grant.lease(), 2, {Log("before")}).ok());
  const testing::TestCheckpoint checkpoint;
  ASSERT_TRUE(Upload(grant.lease(), 10, checkpoint).ok());
  StopServer();
  StartServer();
  // The lease outlives the process, and so does what it has done.
  EXPECT_TRUE(Report(grant.lease(), 3, {Log("after")}).ok());
  v1::GetJobRequest get;
  get.set_id(grant.lease().job_id());
  const auto job = client_->GetJob(get);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->checkpoints_size(), 1);
  EXPECT_TRUE(std::filesystem::exists(CheckpointFolder(grant.lease(), 10) + "/manifest.json"));
  v1::ReadLogsRequest read;
  read.set_job_id(grant.lease().job_id());
  std::vector<std::string> texts;
  ASSERT_TRUE(
      client_->ReadLogs(read, [&](const v1::LogLine& line) { return texts.push_back(line.text()), true; }).ok());
  EXPECT_THAT(texts, ElementsAre(StartsWith("trainer started"), "before", "after"));
}

TEST_F(ClientServiceTest, ShutdownEndsStreamsSoon) {
  Submit("study", "1e-3");
  v1::WatchSweepRequest watch;
  watch.set_name("study");
  absl::Status status;
  std::atomic<bool> started = false;
  std::thread watcher(
      [&] { status = client_->WatchSweep(watch, [&](const v1::GetSweepResponse&) { return started = true; }); });
  while (!started) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  StopServer();
  watcher.join();
  // The stream has ended itself; one that has to be cut off at the end of the server's grace cannot say this.
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("shutting down"));
}

TEST_F(ClientServiceTest, LongErrorsFitIntoAnAnswer) {
  // Far over the 8 KiB that HTTP/2 trailers may hold, once each byte is escaped.
  std::string key;
  for (int i = 0; i < 5000; ++i) key += "\xC3\xA4";
  const auto response = client_->SubmitSweep(Submission("schema: sink/v1\nname: x\n" + key + ": 1\n"));
  EXPECT_EQ(response.status().code(), absl::StatusCode::kInvalidArgument) << response.status();
  EXPECT_LE(response.status().message().size(), 2100u);
}

}  // namespace
}  // namespace sink
