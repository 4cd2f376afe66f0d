// WorkerService over a real loopback port and a real database: leases, events, and checkpoints in every broken shape.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "coordinator/errors/error_detail.h"
#include "coordinator/identity/credential.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/service/checkpoint_repository.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/coordinator/service/service_fixture.h"
#include "tests/testing/damaged_folder.h"
#include "worker/client_link.h"
#include "worker/leased_calls.h"

namespace sink {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kSession;
using testing::kWorkerId;
using ::testing::Not;
using ::testing::StartsWith;
using testing::TestCheckpoint;

class WorkerServiceTest : public testing::ServiceTest {
 protected:
  // Another daemon begins as the worker, and has no lease but `held`: the others' attempts are over.
  void RegisterAnew(const std::vector<v1::LeaseRef>& held = {}) {
    v1::RegisterRequest registration;
    registration.set_worker_id(kWorkerId);
    registration.set_session(std::string(32, 'd'));
    registration.set_name("node-1");
    registration.set_devices(4);
    for (const v1::LeaseRef& lease : held) *registration.add_held() = lease;
    const auto response = worker().Register(registration);
    EXPECT_TRUE(response.ok()) << response.status();
  }
  // And asks for work.
  v1::Grant LeaseAnew() {
    RegisterAnew();
    v1::LeaseRequest ask;
    ask.set_worker_id(kWorkerId);
    ask.set_session(std::string(32, 'd'));
    ask.set_poll(1);
    ask.set_devices_free(1);
    const auto response = worker().Lease(ask);
    EXPECT_TRUE(response.ok() && response->grants_size() == 1) << response.status();
    return response.ok() && response->grants_size() == 1 ? response->grants(0) : v1::Grant();
  }

  // What a download gives, by file name.
  std::map<std::string, std::string> Fetch(const v1::LeaseRef& lease, int64_t step) {
    auto request = Leased<v1::FetchCheckpointRequest>(lease);
    request.set_step(step);
    std::map<std::string, std::string> files;
    const absl::Status status = worker().FetchCheckpoint(request, [&](const v1::CheckpointChunk& chunk) {
      if (chunk.has_checkpoint()) {
        EXPECT_TRUE(files.empty());
        return true;
      }
      EXPECT_EQ(files[chunk.file()].size(), chunk.offset());
      EXPECT_LE(chunk.data().size(), 256u * 1024);
      files[chunk.file()] += chunk.data();
      return true;
    });
    EXPECT_TRUE(status.ok()) << status;
    return files;
  }
};

TEST_F(WorkerServiceTest, UnknownWorkerIsToldToRegister) {
  v1::LeaseRequest request;
  request.set_worker_id(kWorkerId);
  request.set_session(kSession);
  request.set_poll(1);
  request.set_devices_free(1);
  EXPECT_EQ(worker().Lease(request).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(WorkerServiceTest, RepeatedPollGetsTheSameGrant) {
  Submit("study", "1e-3, 2e-3");
  RegisterWorker();
  const v1::Grant first = Lease(1), repeated = Lease(1), next = Lease(2);
  EXPECT_EQ(repeated.lease().SerializeAsString(), first.lease().SerializeAsString());
  EXPECT_NE(next.lease().job_id(), first.lease().job_id());
  EXPECT_GT(next.lease().fence(), first.lease().fence());
  EXPECT_THAT(first.config_json(), HasSubstr("learning_rate"));
  v1::ListWorkersResponse workers = *client_->ListWorkers({});
  ASSERT_EQ(workers.workers_size(), 1);
  EXPECT_EQ(workers.workers(0).state(), "connected");
  EXPECT_THAT(workers.workers(0).address(), StartsWith("127.0.0.1:"));
  EXPECT_EQ(workers.workers(0).job_ids_size(), 2);
}

TEST_F(WorkerServiceTest, RanksMeetAtTheWorkerThatAskedOrWhereItSays) {
  ASSERT_TRUE(client_->SubmitSweep(testing::Submission(testing::SweepYaml("pair", "1e-3, 2e-3", /*devices=*/2))).ok());
  joined_[kWorkerId] =
      testing::JoinAs(server_->address(), folder_ / "data/tls/admin", kWorkerId, /*advertise=*/"node-1.cluster");
  RegisterWorker();
  v1::LeaseRequest ask;
  ask.set_worker_id(kWorkerId);
  ask.set_session(kSession);
  ask.set_poll(1);
  ask.set_devices_free(2);
  ask.set_rendezvous_port(29500);
  const auto seen = worker().Lease(ask);
  ASSERT_TRUE(seen.ok()) << seen.status();
  ASSERT_EQ(seen->grants_size(), 1);
  const v1::Grant& grant = seen->grants(0);
  EXPECT_EQ(grant.devices(), 2);
  EXPECT_EQ(grant.gang().world_size(), 2);
  EXPECT_EQ(grant.gang().first_rank(), 0);
  EXPECT_EQ(grant.gang().rendezvous(), "127.0.0.1:29500");
  EXPECT_FALSE(grant.gang().token().empty());

  v1::RegisterRequest advertising;
  advertising.set_worker_id(kWorkerId);
  advertising.set_session(kSession);
  advertising.set_name("node-1");
  advertising.set_devices(4);
  advertising.set_advertise("node-1.cluster");
  *advertising.add_held() = grant.lease();
  ASSERT_TRUE(worker().Register(advertising).ok());
  ask.set_poll(2);
  const auto said = worker().Lease(ask);
  ASSERT_TRUE(said.ok()) << said.status();
  ASSERT_EQ(said->grants_size(), 1);
  EXPECT_EQ(said->grants(0).gang().rendezvous(), "node-1.cluster:29500");
}

TEST_F(WorkerServiceTest, HeartbeatPassesOnACancellation) {
  const v1::Grant grant = RunningJob();
  v1::CancelRequest cancel;
  cancel.add_job_ids(grant.lease().job_id());
  EXPECT_EQ(client_->Cancel(cancel)->requested(), 1);
  v1::HeartbeatRequest request;
  request.set_worker_id(kWorkerId);
  request.set_session(kSession);
  v1::HeldJob* held = request.add_held();
  *held->mutable_lease() = grant.lease();
  held->set_phase(v1::RUNNING);
  const auto response = worker().Heartbeat(request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->cancel_size(), 1);
  EXPECT_EQ(response->stale_size(), 0);
  EXPECT_EQ(Finish(grant.lease(), 1, v1::CANCELLED)->state(), v1::CANCELLED);
}

TEST_F(WorkerServiceTest, EventsWithAGapAreOutOfRange) {
  const v1::Grant grant = RunningJob();
  const auto gap = Report(grant.lease(), 5, {R"({"type":"log","level":"info","message":"x"})"});
  EXPECT_EQ(ExpectedEvent(gap.status()), 2u) << gap.status();
  EXPECT_THAT(std::string(gap.status().message()), HasSubstr("expected 2"));
  EXPECT_EQ(ExpectedEvent(Finish(grant.lease(), 5).status()), 2u);
}

TEST_F(WorkerServiceTest, EveryCallWithAStaleLeaseIsRefused) {
  const v1::Grant grant = RunningJob();
  v1::LeaseRef stale = grant.lease();
  stale.set_fence(stale.fence() - 1);
  const TestCheckpoint checkpoint;
  auto fetch = Leased<v1::FetchCheckpointRequest>(stale);
  fetch.set_step(1);
  const absl::Status refused[] = {
      Report(stale, 2, {R"({"type":"log","level":"info","message":"x"})"}).status(),
      Finish(stale, 1).status(),
      Begin(stale, 10, checkpoint).status(),
      Write(stale, 10, "manifest.json", "x"),
      Commit(stale, 10, checkpoint),
      worker().FetchCheckpoint(fetch, [](const auto&) { return true; }),
  };
  for (const absl::Status& status : refused) {
    EXPECT_TRUE(IsStaleLease(status)) << status;
    EXPECT_THAT(std::string(status.message()), StartsWith("stale lease"));
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "data/checkpoints/" + grant.lease().job_id()));
}

// As the worker takes it: by its own link, and by nothing but the refusal of a call.
TEST_F(WorkerServiceTest, AnAttemptWhoseLeaseHasGoneToTheNextOneIsStoppedByItsOwnNextCall) {
  const v1::Grant grant = RunningJob();
  const std::string folder = folder_ / "worker";
  ASSERT_TRUE(identity::WriteCredential(folder, joined_[kWorkerId]).ok());
  const auto link = worker::MakeClientLink({.address = server_->address(), .folder = folder, .worker_id = kWorkerId});
  ASSERT_TRUE(link.ok()) << link.status();
  worker::StopControl control;
  worker::LeasedCalls calls(link->get(), kWorkerId, grant.lease(), &control, [] {});
  auto report = calls.Fill<v1::ReportRequest>();
  report.add_events()->set_seq(2);
  report.mutable_events(0)->set_record(R"({"type":"log","level":"info","message":"x"})");
  const auto report_once = [&] {
    Notification given_up;
    return calls.Retry(given_up, [&] {
      given_up.Notify();  // what would be tried again is not
      return calls.link().Report(report).status();
    });
  };
  const absl::Status taken = report_once();
  EXPECT_TRUE(taken.ok()) << taken;
  EXPECT_EQ(control.reason(), worker::StopReason::kNone);

  const v1::LeaseRef next = LeaseAnew().lease();
  EXPECT_EQ(next.job_id(), grant.lease().job_id());
  EXPECT_GT(next.fence(), grant.lease().fence());
  const absl::Status refused = report_once();
  EXPECT_TRUE(IsStaleLease(refused)) << refused;
  EXPECT_EQ(control.reason(), worker::StopReason::kStale);
}

TEST_F(WorkerServiceTest, CheckpointGoesUpAndComesBackUnchanged) {
  const v1::Grant grant = RunningJob();
  const TestCheckpoint checkpoint;
  ASSERT_TRUE(Upload(grant.lease(), 10, checkpoint).ok());
  const auto files = Fetch(grant.lease(), 10);
  EXPECT_EQ(files.size(), checkpoint.files.size());
  for (const auto& [name, content] : checkpoint.files) EXPECT_EQ(files.at(name), content) << name;
  v1::DownloadCheckpointRequest download;
  download.set_job_id(grant.lease().job_id().substr(0, 4));
  int chunks = 0;
  EXPECT_TRUE(client_->DownloadCheckpoint(download, [&](const auto&) { return ++chunks, true; }).ok());
  EXPECT_EQ(chunks, 1 + 3 + 1 + 1);  // the row, 600,000 bytes, none, the manifest
  download.set_step(11);
  EXPECT_EQ(client_->DownloadCheckpoint(download, [](const auto&) { return true; }).code(),
            absl::StatusCode::kNotFound);
}

TEST_F(WorkerServiceTest, ADownloadIsInTheAuditLogFromItsFirstByteOnAndSoIsOneThatFails) {
  const v1::Grant grant = RunningJob();
  ASSERT_TRUE(Upload(grant.lease(), 10, TestCheckpoint()).ok());
  const auto outcomes = [this] {  // the newest first
    std::vector<std::string> outcomes;
    const auto audit = client_->ListAudit({});
    EXPECT_TRUE(audit.ok()) << audit.status();
    if (!audit.ok()) return outcomes;
    for (const v1::AuditEntry& entry : audit->entries())
      if (entry.action() == "DownloadCheckpoint") outcomes.push_back(entry.outcome());
    return outcomes;
  };
  v1::DownloadCheckpointRequest download;
  download.set_job_id(grant.lease().job_id());
  const auto take = [&](const auto&) {
    EXPECT_THAT(outcomes(), ElementsAre("ok"));
    return true;
  };
  EXPECT_TRUE(client_->DownloadCheckpoint(download, take).ok());
  EXPECT_THAT(outcomes(), ElementsAre("ok")) << "once";
  const auto ignore = [](const auto&) { return true; };
  download.set_step(11);
  EXPECT_EQ(client_->DownloadCheckpoint(download, ignore).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(outcomes(), ElementsAre("NOT_FOUND", "ok")) << "of a step that there is not";
  download.set_job_id(std::string(32, 'f'));
  EXPECT_EQ(client_->DownloadCheckpoint(download, ignore).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(outcomes(), ElementsAre("NOT_FOUND", "NOT_FOUND", "ok")) << "of a job that there is not";
}

TEST_F(WorkerServiceTest, EachStepOfAnUploadMayBeRepeated) {
  const v1::Grant grant = RunningJob();
  const TestCheckpoint checkpoint;
  ASSERT_TRUE(Upload(grant.lease(), 10, checkpoint).ok());
  const auto begun = Begin(grant.lease(), 10, checkpoint);
  ASSERT_TRUE(begun.ok()) << begun.status();
  EXPECT_THAT(begun->committed(), ElementsAre(600'000, 0, checkpoint.files[2].second.size()));
  EXPECT_TRUE(Commit(grant.lease(), 10, checkpoint).ok());
  v1::ListCheckpointsRequest list;
  list.set_job_id(grant.lease().job_id());
  EXPECT_EQ(client_->ListCheckpoints(list)->checkpoints_size(), 1);
}

TEST_F(WorkerServiceTest, UploadGoesOnWhereItWasCut) {
  const v1::Grant grant = RunningJob();
  const TestCheckpoint checkpoint;
  const std::string& content = checkpoint.files[0].second;
  ASSERT_TRUE(Begin(grant.lease(), 10, checkpoint).ok());
  ASSERT_TRUE(Write(grant.lease(), 10, "model.safetensors", content.substr(0, 300'000)).ok());
  EXPECT_EQ(Commit(grant.lease(), 10, checkpoint).code(), absl::StatusCode::kFailedPrecondition);
  StopServer();  // neither a cut stream nor a restart loses what came
  StartServer();
  EXPECT_EQ(Begin(grant.lease(), 10, checkpoint)->committed(0), 300'000u);
  EXPECT_EQ(Write(grant.lease(), 10, "model.safetensors", content, 200'000).code(), absl::StatusCode::kOutOfRange);
  ASSERT_TRUE(Write(grant.lease(), 10, "model.safetensors", content, 300'000).ok());
  ASSERT_TRUE(Write(grant.lease(), 10, "tokenizer.json", "").ok());
  ASSERT_TRUE(Write(grant.lease(), 10, "manifest.json", checkpoint.files[2].second).ok());
  EXPECT_TRUE(Commit(grant.lease(), 10, checkpoint).ok());
  EXPECT_EQ(Fetch(grant.lease(), 10).at("model.safetensors"), content);
}

TEST_F(WorkerServiceTest, CorruptedBytesAreRefusedAtCommitAndSentAgain) {
  const v1::Grant grant = RunningJob();
  const TestCheckpoint checkpoint;
  std::string wrong = checkpoint.files[0].second;
  wrong[123'456] ^= 1;
  ASSERT_TRUE(Begin(grant.lease(), 10, checkpoint).ok());
  ASSERT_TRUE(Write(grant.lease(), 10, "model.safetensors", wrong).ok());
  ASSERT_TRUE(Write(grant.lease(), 10, "tokenizer.json", "").ok());
  ASSERT_TRUE(Write(grant.lease(), 10, "manifest.json", checkpoint.files[2].second).ok());
  const absl::Status refused = Commit(grant.lease(), 10, checkpoint);
  EXPECT_EQ(refused.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("model.safetensors"));
  v1::ListCheckpointsRequest list;
  list.set_job_id(grant.lease().job_id());
  EXPECT_EQ(client_->ListCheckpoints(list)->checkpoints_size(), 0);
  EXPECT_EQ(Begin(grant.lease(), 10, checkpoint)->committed(0), 0u);  // only that file starts over
  EXPECT_GT(Begin(grant.lease(), 10, checkpoint)->committed(2), 0u);
  ASSERT_TRUE(Write(grant.lease(), 10, "model.safetensors", checkpoint.files[0].second).ok());
  EXPECT_TRUE(Commit(grant.lease(), 10, checkpoint).ok());
}

TEST_F(WorkerServiceTest, CommitWaitsForItsEvents) {
  const v1::Grant grant = RunningJob();
  const TestCheckpoint checkpoint;
  ASSERT_TRUE(Begin(grant.lease(), 10, checkpoint).ok());
  for (const auto& [name, content] : checkpoint.files) ASSERT_TRUE(Write(grant.lease(), 10, name, content).ok());
  EXPECT_EQ(Commit(grant.lease(), 10, checkpoint, /*events_seq=*/2).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(Report(grant.lease(), 2, {R"({"type":"log","level":"info","message":"x"})"}).ok());
  EXPECT_TRUE(Commit(grant.lease(), 10, checkpoint, 2).ok());
}

TEST_F(WorkerServiceTest, AManifestThatDoesNotListTheCheckpointIsRefusedAndNothingOfItStays) {
  const v1::Grant grant = RunningJob();
  const TestCheckpoint whole;
  const std::string less = testing::ManifestOf(10, std::vector{whole.files[0]});
  for (const std::string& manifest :
       {std::string("garbage"), std::string(100'000, '['), std::string(R"({"files": [], "step": 10})"), less,
        whole.Of(20).files.back().second, std::string(2 << 20, ' ')}) {
    TestCheckpoint checkpoint;
    checkpoint.manifest = manifest;
    const absl::Status refused = Upload(grant.lease(), 10, checkpoint);
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << manifest.substr(0, 50) << ": " << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("manifest.json"));
    EXPECT_FALSE(std::filesystem::exists(CheckpointFolder(grant.lease(), 10) + ".part"));
    EXPECT_FALSE(std::filesystem::exists(CheckpointFolder(grant.lease(), 10)));
  }
  v1::ListCheckpointsRequest list;
  list.set_job_id(grant.lease().job_id());
  EXPECT_EQ(client_->ListCheckpoints(list)->checkpoints_size(), 0);
  EXPECT_TRUE(Upload(grant.lease(), 10, whole).ok());
}

TEST_F(WorkerServiceTest, HostileNamesAndOffsetsTouchNothing) {
  const v1::Grant grant = RunningJob();
  const std::string names[] = {"../x",
                               "/etc/x",
                               "a/../../b",
                               "..\\x",
                               "%2e%2e%2f",
                               ".",
                               "..",
                               ".files",
                               ".hidden",
                               "",
                               "a b",
                               "a\nb",
                               std::string("a\0b", 3),
                               std::string(129, 'a'),
                               "\x1b[31m"};
  for (const std::string& name : names) {
    TestCheckpoint checkpoint;
    checkpoint.files[1].first = name;
    EXPECT_EQ(Begin(grant.lease(), 10, checkpoint).status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(Write(grant.lease(), 10, name, "x").code(), absl::StatusCode::kInvalidArgument) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "data/checkpoints/" + grant.lease().job_id()));

  const TestCheckpoint checkpoint;
  ASSERT_TRUE(Begin(grant.lease(), 10, checkpoint).ok());
  EXPECT_EQ(Write(grant.lease(), 10, "other.bin", "x").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Write(grant.lease(), 11, "manifest.json", "x").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Write(grant.lease(), 10, "manifest.json", std::string(5000, 'x')).code(), absl::StatusCode::kOutOfRange);
  // A link planted where a file would go is not followed.
  const std::string outside = folder_ / "outside";
  ASSERT_EQ(symlink(outside.c_str(), (CheckpointFolder(grant.lease(), 10) + ".part/model.safetensors").c_str()), 0);
  EXPECT_FALSE(Write(grant.lease(), 10, "model.safetensors", "x").ok());
  EXPECT_FALSE(std::filesystem::exists(outside));
}

TEST_F(WorkerServiceTest, OversizedCheckpointIsRefusedBeforeItsBytes) {
  const v1::Grant grant = RunningJob();
  auto request = Leased<v1::BeginCheckpointRequest>(grant.lease());
  request.set_step(10);
  TestCheckpoint().AddTo(&request);
  request.mutable_files(0)->set_size(uint64_t{1} << 40);
  const auto refused = worker().BeginCheckpoint(request);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), StartsWith("disk full"));
}

TEST_F(WorkerServiceTest, AnUploadWaitsForThoseOfOtherJobsAndNotForWhatNobodySendsAnyMore) {
  ASSERT_EQ(Submit("study", "1e-3, 2e-3").size(), 2u);
  RegisterWorker();
  const v1::Grant first = Lease(1), second = Lease(2);
  // Three files that together take more than half of the disk.
  const uint64_t size = std::filesystem::space(folder_.path()).available / 5;
  if (size > uint64_t{1} << 40) GTEST_SKIP() << "no file is so large";
  const auto begin = [&](const v1::LeaseRef& lease) {
    auto request = Leased<v1::BeginCheckpointRequest>(lease);
    request.set_step(10);
    TestCheckpoint().AddTo(&request);
    for (v1::CheckpointFile& file : *request.mutable_files()) file.set_size(size);
    return worker().BeginCheckpoint(request).status();
  };
  ASSERT_TRUE(begin(first.lease()).ok());
  const absl::Status refused = begin(second.lease());
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("other checkpoints on their way"));
  RegisterAnew({second.lease()});
  absl::Status taken = begin(second.lease());
  for (int i = 0; i < 500 && !taken.ok(); ++i) {  // room is made once a second
    absl::SleepFor(absl::Milliseconds(10));
    taken = begin(second.lease());
  }
  EXPECT_TRUE(taken.ok()) << taken;
  EXPECT_FALSE(std::filesystem::exists(CheckpointFolder(first.lease(), 10) + ".part"));
}

TEST_F(WorkerServiceTest, OnlyTheNewestCheckpointsKeepTheirFiles) {
  const v1::Grant grant = RunningJob();
  for (int step : {10, 20, 30}) ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint(std::to_string(step))).ok());
  EXPECT_FALSE(std::filesystem::exists(CheckpointFolder(grant.lease(), 10)));
  EXPECT_TRUE(std::filesystem::exists(CheckpointFolder(grant.lease(), 20)));
  EXPECT_TRUE(std::filesystem::exists(CheckpointFolder(grant.lease(), 30)));
}

TEST_F(WorkerServiceTest, StartRemovesWhatDeadAttemptsLeftAndKeepsWhatCounts) {
  const v1::Grant grant = RunningJob();
  ASSERT_TRUE(Upload(grant.lease(), 10, TestCheckpoint()).ok());
  ASSERT_TRUE(Begin(grant.lease(), 20, TestCheckpoint()).ok());  // of a live lease: goes on after the restart
  v1::LeaseRef dead = grant.lease();
  dead.set_fence(1);
  std::filesystem::create_directories(CheckpointFolder(dead, 5));
  std::filesystem::create_directories(CheckpointFolder(dead, 6) + ".part");
  const std::string unknown = folder_ / "data/checkpoints/ffffffffffffffffffffffffffffffff/1/step-5";
  std::filesystem::create_directories(unknown);
  StopServer();
  StartServer();
  EXPECT_FALSE(std::filesystem::exists(CheckpointFolder(dead, 5)));
  EXPECT_FALSE(std::filesystem::exists(CheckpointFolder(dead, 6) + ".part"));
  EXPECT_TRUE(std::filesystem::exists(CheckpointFolder(grant.lease(), 10)));
  EXPECT_TRUE(std::filesystem::exists(CheckpointFolder(grant.lease(), 20) + ".part"));
  EXPECT_TRUE(std::filesystem::exists(unknown));  // not ours to judge
  // What an upload has begun goes with the end of its attempt.
  ASSERT_TRUE(Report(grant.lease(), 2, {R"({"type":"finished","step":100})"}).ok());
  EXPECT_EQ(Finish(grant.lease(), 2)->state(), v1::SUCCEEDED);
  EXPECT_FALSE(std::filesystem::exists(CheckpointFolder(grant.lease(), 20) + ".part"));
  EXPECT_TRUE(std::filesystem::exists(CheckpointFolder(grant.lease(), 10)));
}

TEST_F(WorkerServiceTest, ADeletedSweepTakesItsFilesWithItAndARepetitionIsToldTheSame) {
  const v1::Grant grant = RunningJob();
  ASSERT_TRUE(Upload(grant.lease(), 10, TestCheckpoint()).ok());
  ASSERT_EQ(Finish(grant.lease(), 1, v1::FAILED)->state(), v1::FAILED);
  v1::DeleteSweepRequest request;
  request.set_name("one");
  request.set_request_id(testing::RequestId(7));
  for (int call = 0; call < 2; ++call) {  // again: its answer may have been lost
    const auto response = client_->DeleteSweep(request);
    ASSERT_TRUE(response.ok()) << call << ": " << response.status();
    EXPECT_EQ(response->deleted(), 1) << call;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "data/checkpoints/" + grant.lease().job_id()));
  }
  request.clear_request_id();
  EXPECT_TRUE(absl::IsNotFound(client_->DeleteSweep(request).status()));
}

TEST_F(WorkerServiceTest, FilesOfADeletedJobGoAtTheNextStartWhenTheCoordinatorDiedBeforeThem) {
  const v1::Grant grant = RunningJob();
  ASSERT_TRUE(Upload(grant.lease(), 10, TestCheckpoint()).ok());
  ASSERT_EQ(Finish(grant.lease(), 1, v1::FAILED)->state(), v1::FAILED);
  StopServer();
  {
    auto store = store::SqliteStore::Open(folder_ / "data");
    ASSERT_TRUE(store.ok()) << store.status();
    const absl::Status deleted = (*store)->Write([&](store::Transaction& rows) -> absl::Status {
      SINK_RETURN_IF_ERROR(rows.LeaveSweep("one", grant.lease().job_id()));
      SINK_RETURN_IF_ERROR(rows.DeleteJob(grant.lease().job_id()));
      return rows.DeleteSweep("one");
    });
    ASSERT_TRUE(deleted.ok()) << deleted;
  }
  ASSERT_TRUE(std::filesystem::exists(CheckpointFolder(grant.lease(), 10)));
  StartServer();
  EXPECT_FALSE(std::filesystem::exists(folder_ / "data/checkpoints/" + grant.lease().job_id()));
}

TEST_F(WorkerServiceTest, WhatAnAttemptHadBegunToSendGoesWhenTheNextOneSends) {
  const v1::Grant grant = RunningJob();
  ASSERT_TRUE(Upload(grant.lease(), 10, TestCheckpoint()).ok());
  ASSERT_TRUE(Begin(grant.lease(), 20, TestCheckpoint()).ok());
  ASSERT_TRUE(Write(grant.lease(), 20, "model.safetensors", "xxx").ok());
  const v1::Grant next = LeaseAnew();
  ASSERT_TRUE(Begin(next.lease(), 20, TestCheckpoint()).ok());
  EXPECT_FALSE(std::filesystem::exists(CheckpointFolder(grant.lease(), 20) + ".part"));
  EXPECT_TRUE(std::filesystem::exists(CheckpointFolder(grant.lease(), 10)));
  EXPECT_TRUE(std::filesystem::exists(CheckpointFolder(next.lease(), 20) + ".part"));
}

TEST_F(WorkerServiceTest, WhatAnAttemptHadBegunToSendGoesWithTheScrubWhenNoOtherFollows) {
  StopServer();
  scrub_interval_ = absl::Milliseconds(20);
  StartServer();
  const std::string yaml = testing::SweepYaml("one", "1e-3") + "retry: {infra: 0}\n";
  ASSERT_TRUE(client_->SubmitSweep(testing::Submission(yaml)).ok());
  RegisterWorker();
  const v1::Grant grant = Lease();
  ASSERT_TRUE(Begin(grant.lease(), 10, TestCheckpoint()).ok());
  ASSERT_TRUE(Write(grant.lease(), 10, "model.safetensors", "xxx").ok());
  absl::SleepFor(absl::Milliseconds(100));
  EXPECT_TRUE(std::filesystem::exists(CheckpointFolder(grant.lease(), 10) + ".part")) << "its lease is live";
  RegisterAnew();
  const std::string folder = folder_ / "data/checkpoints/" + grant.lease().job_id();
  for (int i = 0; i < 1000 && std::filesystem::exists(folder); ++i) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST_F(WorkerServiceTest, AnAttemptHasAtMostTwoUploadsOpen) {
  const v1::Grant grant = RunningJob();
  for (const int64_t step : {10, 20, 30, 40}) ASSERT_TRUE(Begin(grant.lease(), step, TestCheckpoint()).ok());
  for (const int64_t step : {10, 20})
    EXPECT_FALSE(std::filesystem::exists(CheckpointFolder(grant.lease(), step) + ".part"));
  for (const int64_t step : {30, 40})
    EXPECT_TRUE(std::filesystem::exists(CheckpointFolder(grant.lease(), step) + ".part"));
  EXPECT_EQ(Begin(grant.lease(), 1'000'000, TestCheckpoint()).status().code(), absl::StatusCode::kInvalidArgument)
      << "beyond the job's end";
}

class DamageTest : public WorkerServiceTest {
 protected:
  // One bit of the middle of the weights.
  void FlipABit(const v1::LeaseRef& lease, int64_t step) {
    const std::string path = CheckpointFolder(lease, step) + "/model.safetensors";
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(300'000);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(300'000);
    file.put(byte);
    ASSERT_TRUE(file.good());
  }
  // The step of what the coordinator sends, or why it does not.
  absl::StatusOr<int64_t> Fetch(const v1::LeaseRef& lease, int64_t step) {
    auto fetch = Leased<v1::FetchCheckpointRequest>(lease);
    fetch.set_step(step);
    int64_t sent = 0;
    const absl::Status status = worker().FetchCheckpoint(fetch, [&](const v1::CheckpointChunk& chunk) {
      if (chunk.has_checkpoint()) sent = chunk.checkpoint().step();
      return true;
    });
    if (!status.ok()) return status;
    return sent;
  }
  std::vector<int64_t> Steps(const std::string& job) {
    v1::ListCheckpointsRequest list;
    list.set_job_id(job);
    std::vector<int64_t> steps;
    const auto response = client_->ListCheckpoints(list);
    EXPECT_TRUE(response.ok()) << response.status();
    for (const auto& checkpoint : response->checkpoints()) steps.push_back(checkpoint.step());
    return steps;
  }
  std::string Log(const std::string& job) {
    v1::ReadLogsRequest read;
    read.set_job_id(job);
    std::string text;
    EXPECT_TRUE(client_
                    ->ReadLogs(read,
                               [&](const v1::LogLine& line) {
                                 text += line.text() + "\n";
                                 return true;
                               })
                    .ok());
    return text;
  }
};

TEST_F(DamageTest, ADamagedCheckpointIsDroppedAndTheOneBeforeServesInItsPlace) {
  const v1::Grant grant = RunningJob();
  for (const int64_t step : {10, 20}) ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint()).ok());
  FlipABit(grant.lease(), 20);
  EXPECT_EQ(Fetch(grant.lease(), 20).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Steps(grant.lease().job_id()), ElementsAre(10));
  EXPECT_EQ(Fetch(grant.lease(), 0).value(), 10);
  EXPECT_THAT(Log(grant.lease().job_id()),
              HasSubstr("the checkpoint of step 20 is damaged at the coordinator and was dropped"));
  EXPECT_THAT(Log(grant.lease().job_id()), HasSubstr("the newest that is left is that of step 10"));
  ASSERT_EQ(truncate((CheckpointFolder(grant.lease(), 10) + "/model.safetensors").c_str(), 100), 0);
  EXPECT_EQ(Fetch(grant.lease(), 0).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Fetch(grant.lease(), 0).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(server_->Wait([] { return true; }).ok());  // the store is well: the server goes on
}

TEST(CheckpointRepository, NoDamagePassesForWhole) {
  testing::TempDir dir;
  CheckpointRepository repository(dir / "checkpoints");
  const CheckpointKey key{std::string(32, 'a'), 7, 10};
  Checkpoint row{key.job_id, key.step, 1, key.fence, "hash", {}, 1};
  const std::map<std::string, std::string> contents = {{"model.safetensors", std::string(20'000, 'w')},
                                                       {"optimizer.safetensors", std::string(30'000, 'o')},
                                                       {"empty.json", ""}};
  for (const auto& [name, bytes] : contents) row.files.push_back({name, bytes.size(), files::Hash(bytes)});
  ASSERT_TRUE(repository.Begin(key, "hash", row.files, {}).ok());
  for (const auto& [name, bytes] : contents) ASSERT_TRUE(repository.Write(key, name, 0, bytes).ok()) << name;
  ASSERT_TRUE(repository.Commit(key, "hash").ok());
  const auto verify = [&] { return repository.Verify(row, [](uint64_t) { return true; }); };
  ASSERT_TRUE(verify().ok()) << verify();

  testing::DamagedFolder folder(dir / ("checkpoints/" + key.job_id + "/7/step-10"));
  std::mt19937 random(1);
  for (int i = 0; i < testing::Damages(); ++i) {
    const std::string damage = folder.Damage(random);
    ASSERT_TRUE(absl::IsDataLoss(verify())) << i << ": " << damage << ": " << verify();
  }
  folder.Repair();
  EXPECT_TRUE(verify().ok()) << verify();
}

TEST_F(DamageTest, ACheckpointWhoseFolderIsAwayStays) {
  const v1::Grant grant = RunningJob();
  ASSERT_TRUE(Upload(grant.lease(), 10, TestCheckpoint()).ok());
  std::filesystem::rename(CheckpointFolder(grant.lease(), 10), folder_ / "away");
  EXPECT_EQ(Fetch(grant.lease(), 10).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Steps(grant.lease().job_id()), ElementsAre(10));
  std::filesystem::rename(folder_ / "away", CheckpointFolder(grant.lease(), 10));
  EXPECT_EQ(Fetch(grant.lease(), 10).value(), 10);
}

TEST_F(DamageTest, ACheckpointWhoseFolderIsGoneIsDroppedWhereAnotherOfItsJobIsThere) {
  const v1::Grant grant = RunningJob();
  for (const int64_t step : {10, 20}) ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint()).ok());
  std::filesystem::remove_all(CheckpointFolder(grant.lease(), 20));
  EXPECT_EQ(Fetch(grant.lease(), 0).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Steps(grant.lease().job_id()), ElementsAre(10));
  EXPECT_THAT(Log(grant.lease().job_id()), AllOf(HasSubstr("its folder is gone, and another of the job is there"),
                                                 HasSubstr("the newest that is left is that of step 10")));
  EXPECT_EQ(Fetch(grant.lease(), 0).value(), 10);
}

TEST_F(DamageTest, CheckpointsThatAreAllAwayStay) {
  const v1::Grant grant = RunningJob();
  for (const int64_t step : {10, 20}) ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint()).ok());
  const std::string checkpoints = folder_ / "data/checkpoints";
  std::filesystem::rename(checkpoints, folder_ / "away");
  EXPECT_EQ(Fetch(grant.lease(), 0).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Steps(grant.lease().job_id()), ElementsAre(20, 10));
  std::filesystem::rename(folder_ / "away", checkpoints);
  EXPECT_EQ(Fetch(grant.lease(), 0).value(), 20);
}

// Of which one is pinned, and while a coordinator starts, takes no checkpoint into the folder where the disk should be,
// and scrubs that.
TEST_F(DamageTest, CheckpointsWhoseDiskIsNotMountedAtAStartAreAllThereOnceItIs) {
  const v1::Grant grant = RunningJob();
  for (const int64_t step : {10, 20}) ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint()).ok());
  v1::PinCheckpointRequest pin;
  pin.set_job_id(grant.lease().job_id());
  pin.set_step(10);
  pin.set_pinned(true);
  ASSERT_TRUE(client_->PinCheckpoint(pin).ok());
  StopServer();
  const std::string checkpoints = folder_ / "data/checkpoints";
  std::filesystem::rename(checkpoints, folder_ / "away");
  std::filesystem::create_directories(checkpoints);
  scrub_interval_ = absl::Milliseconds(50);
  StartServer();
  const absl::Status refused = Begin(grant.lease(), 30, TestCheckpoint()).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("checkpoints are away"));
  v1::WhyJobRequest request;
  request.set_id(grant.lease().job_id());
  const auto why = client_->WhyJob(request);
  ASSERT_TRUE(why.ok()) << why.status();
  EXPECT_THAT(std::vector<std::string>(why->reasons().begin(), why->reasons().end()),
              ::testing::Contains(HasSubstr("checkpoints are away")));
  absl::SleepFor(absl::Milliseconds(300));  // some scrubs
  EXPECT_TRUE(std::filesystem::is_empty(checkpoints));
  std::filesystem::remove(checkpoints);
  std::filesystem::rename(folder_ / "away", checkpoints);
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_THAT(Steps(grant.lease().job_id()), ElementsAre(20, 10));
  for (const int64_t step : {10, 20}) EXPECT_EQ(Fetch(grant.lease(), step).value(), step);
  EXPECT_TRUE(Upload(grant.lease(), 30, TestCheckpoint()).ok());
}

TEST_F(DamageTest, AJobIsNotGivenOutWhileTheCheckpointIsAwayFromWhichItGoesOn) {
  const v1::Grant grant = RunningJob();
  ASSERT_TRUE(Upload(grant.lease(), 10, TestCheckpoint()).ok());
  const std::string checkpoints = folder_ / "data/checkpoints";
  std::filesystem::rename(checkpoints, folder_ / "away");
  const auto is_told = [this] {
    const auto sweeps = client_->ListSweeps({});
    return sweeps.ok() && !sweeps->warnings().empty() && absl::StrContains(sweeps->warnings(0), "checkpoints are away");
  };
  for (int i = 0; i < 1000 && !is_told(); ++i) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_TRUE(is_told());
  RegisterAnew();
  v1::LeaseRequest ask;
  ask.set_worker_id(kWorkerId);
  ask.set_session(std::string(32, 'd'));
  ask.set_poll(1);
  ask.set_devices_free(1);
  auto answer = worker().Lease(ask);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->grants_size(), 0);
  std::filesystem::rename(folder_ / "away", checkpoints);
  ask.set_wait_ms(20'000);
  ask.set_poll(2);
  answer = worker().Lease(ask);
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->grants_size(), 1);
  EXPECT_EQ(answer->grants(0).resume_from().step(), 10);
  EXPECT_EQ(Fetch(answer->grants(0).lease(), 10).value(), 10);
}

TEST_F(DamageTest, ACheckpointThatWasFoundDamagedAtARepetitionAndNeverSentAgainIsDropped) {
  const v1::Grant grant = RunningJob();
  for (const int64_t step : {10, 20}) ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint()).ok());
  FlipABit(grant.lease(), 20);
  EXPECT_EQ(Commit(grant.lease(), 20, TestCheckpoint()).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Fetch(grant.lease(), 0).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Steps(grant.lease().job_id()), ElementsAre(10));
  EXPECT_EQ(Fetch(grant.lease(), 0).value(), 10);
}

TEST_F(DamageTest, ACheckpointThatWaitsToBeSentAgainIsDroppedByTheNextAttemptAlsoAfterAStart) {
  const v1::Grant grant = RunningJob();
  for (const int64_t step : {10, 20}) ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint()).ok());
  FlipABit(grant.lease(), 20);
  EXPECT_EQ(Commit(grant.lease(), 20, TestCheckpoint()).code(), absl::StatusCode::kAborted);
  const v1::Grant next = LeaseAnew();
  EXPECT_EQ(next.resume_from().step(), 20);
  StopServer();
  StartServer();
  EXPECT_EQ(Fetch(next.lease(), 20).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Steps(next.lease().job_id()), ElementsAre(10));
  EXPECT_EQ(Fetch(next.lease(), 0).value(), 10);
}

TEST_F(DamageTest, ACheckpointThatWaitsToBeSentAgainIsNoUploadThatLaterOnesPushOut) {
  const v1::Grant grant = RunningJob();
  ASSERT_TRUE(Upload(grant.lease(), 10, TestCheckpoint()).ok());
  FlipABit(grant.lease(), 10);
  EXPECT_EQ(Commit(grant.lease(), 10, TestCheckpoint()).code(), absl::StatusCode::kAborted);
  for (const int64_t step : {20, 30, 40}) ASSERT_TRUE(Begin(grant.lease(), step, TestCheckpoint()).ok());
  EXPECT_FALSE(std::filesystem::exists(CheckpointFolder(grant.lease(), 20) + ".part"));
  ASSERT_TRUE(Begin(grant.lease(), 10, TestCheckpoint()).ok());
  ASSERT_TRUE(Write(grant.lease(), 10, "model.safetensors", TestCheckpoint().files[0].second).ok());
  EXPECT_TRUE(Commit(grant.lease(), 10, TestCheckpoint()).ok()) << "its other files were there yet";
  EXPECT_EQ(Fetch(grant.lease(), 0).value(), 10);
}

TEST_F(DamageTest, ACheckpointThatCannotBeReadAtARepetitionStaysInItsPlace) {
  const v1::Grant grant = RunningJob();
  ASSERT_TRUE(Upload(grant.lease(), 10, TestCheckpoint()).ok());
  const std::string file = CheckpointFolder(grant.lease(), 10) + "/model.safetensors";
  std::filesystem::rename(file, folder_ / "away");
  std::filesystem::create_symlink(file, file);  // an error that says nothing of its bytes
  EXPECT_EQ(Commit(grant.lease(), 10, TestCheckpoint()).code(), absl::StatusCode::kResourceExhausted);
  std::filesystem::remove(file);
  std::filesystem::rename(folder_ / "away", file);
  EXPECT_EQ(Fetch(grant.lease(), 0).value(), 10);
  EXPECT_TRUE(Commit(grant.lease(), 10, TestCheckpoint()).ok());
}

TEST_F(DamageTest, ADamagedCheckpointOfAJobThatHasSucceededIsNotCalledDropped) {
  const v1::Grant grant = RunningJob();
  ASSERT_TRUE(Upload(grant.lease(), 10, TestCheckpoint()).ok());
  ASSERT_EQ(Finish(grant.lease(), 1)->state(), v1::SUCCEEDED);
  FlipABit(grant.lease(), 10);
  v1::DownloadCheckpointRequest download;
  download.set_job_id(grant.lease().job_id());
  const absl::Status damaged = client_->DownloadCheckpoint(download, [](const auto&) { return true; });
  EXPECT_EQ(damaged.code(), absl::StatusCode::kDataLoss) << damaged;
  EXPECT_THAT(std::string(damaged.message()), AllOf(HasSubstr("it stays"), Not(HasSubstr("dropped"))));
  EXPECT_THAT(Steps(grant.lease().job_id()), ElementsAre(10));
  const auto audit = client_->ListAudit({});
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_EQ(audit->entries(0).action(), "DownloadCheckpoint");
  EXPECT_EQ(audit->entries(0).outcome(), "DATA_LOSS") << "and not that it was sent";
}

TEST_F(DamageTest, WhatIsDamagedAndStaysIsToldUntilItIsDroppedOrWhole) {
  const v1::Grant grant = RunningJob();
  const std::string job = grant.lease().job_id();
  for (const int64_t step : {10, 20}) ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint()).ok());
  ASSERT_EQ(Finish(grant.lease(), 1)->state(), v1::SUCCEEDED);
  const auto verify = [&] {
    v1::VerifyCheckpointsRequest request;
    request.set_job_id(job);
    ASSERT_TRUE(client_->VerifyCheckpoints(request).ok());
  };
  const auto listed = [&](int index) {
    v1::ListCheckpointsRequest request;
    request.set_job_id(job);
    const auto found = client_->ListCheckpoints(request);
    return found.ok() ? found->checkpoints(index).damage() : std::string(found.status().message());
  };
  const auto told = [&] { return client_->ListSweeps({})->damaged_size(); };
  FlipABit(grant.lease(), 10);
  EXPECT_EQ(told(), 0) << "nobody has looked";
  for (int i = 0; i < 2; ++i) verify();
  EXPECT_EQ(listed(0), "");
  EXPECT_THAT(listed(1), HasSubstr("model.safetensors has not the hash"));
  const auto sweeps = client_->ListSweeps({});
  ASSERT_EQ(sweeps->damaged_size(), 1);
  EXPECT_EQ(sweeps->damaged(0).step(), 10);
  const std::string log = Log(job), line = "the checkpoint of step 10 is damaged";
  EXPECT_NE(log.find(line), std::string::npos);
  EXPECT_EQ(log.find(line), log.rfind(line)) << "told once, however often it is found";

  FlipABit(grant.lease(), 10);  // back
  verify();
  EXPECT_EQ(told(), 0);
  FlipABit(grant.lease(), 10);
  verify();
  EXPECT_EQ(told(), 1);
  v1::DropCheckpointsRequest drop;
  drop.set_job_id(job);
  drop.add_steps(10);
  ASSERT_TRUE(client_->DropCheckpoints(drop).ok());
  EXPECT_EQ(told(), 0);
}

TEST_F(DamageTest, VerifyTellsAndDropForgets) {
  const v1::Grant grant = RunningJob();
  for (const int64_t step : {10, 20}) ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint()).ok());
  FlipABit(grant.lease(), 10);
  v1::VerifyCheckpointsRequest verify;
  verify.set_job_id(grant.lease().job_id());
  const auto found = client_->VerifyCheckpoints(verify);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->checkpoints_size(), 2);
  EXPECT_EQ(found->checkpoints(0).checkpoint().step(), 20);
  EXPECT_EQ(found->checkpoints(0).damage(), "");
  EXPECT_THAT(found->checkpoints(1).damage(), HasSubstr("model.safetensors has not the hash"));
  EXPECT_THAT(Steps(grant.lease().job_id()), ElementsAre(20, 10)) << "nothing has changed";
  v1::DropCheckpointsRequest drop;
  drop.set_job_id(grant.lease().job_id());
  drop.add_steps(10);
  ASSERT_TRUE(client_->DropCheckpoints(drop).ok());
  EXPECT_THAT(Steps(grant.lease().job_id()), ElementsAre(20));
  EXPECT_EQ(client_->DropCheckpoints(drop).status().message(),
            "job " + grant.lease().job_id() + " has no checkpoint of step 10; it has those of 20");
}

TEST_F(DamageTest, WhatIsDroppedOfAJobThatNobodyHasGoesAtOnce) {
  const v1::Grant grant = RunningJob("one", "checkpoint: {keep: 4}\n");
  const std::string job = grant.lease().job_id();
  for (const int64_t step : {10, 20, 30, 40}) ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint()).ok());
  ASSERT_EQ(Finish(grant.lease(), 1, v1::FAILED)->state(), v1::FAILED);
  const auto there = [&](int64_t step) { return std::filesystem::exists(CheckpointFolder(grant.lease(), step)); };

  v1::DropCheckpointsRequest drop;
  drop.set_job_id(job);
  drop.add_steps(20);
  ASSERT_TRUE(client_->DropCheckpoints(drop).ok());
  EXPECT_TRUE(there(10) && !there(20) && there(30) && there(40)) << "by sinkctl checkpoint drop";

  FlipABit(grant.lease(), 10);
  v1::DownloadCheckpointRequest download;
  download.set_job_id(job);
  download.set_step(10);
  EXPECT_TRUE(absl::IsDataLoss(client_->DownloadCheckpoint(download, [](const auto&) { return true; })));
  EXPECT_TRUE(!there(10) && there(30) && there(40)) << "as it is damaged";

  v1::RetryRequest retry;
  retry.add_job_ids(job);
  retry.set_from_step(30);
  ASSERT_TRUE(client_->Retry(retry).ok());
  EXPECT_TRUE(there(30) && !there(40)) << "as its job goes on from one before";
  EXPECT_EQ(Lease(2).resume_from().step(), 30);
}

TEST_F(DamageTest, APinnedCheckpointStaysWithItsFilesUntilItIsUnpinnedOrDamaged) {
  const v1::Grant grant = RunningJob();
  const std::string job = grant.lease().job_id();
  const auto there = [&](int64_t step) { return std::filesystem::exists(CheckpointFolder(grant.lease(), step)); };
  v1::PinCheckpointRequest pin;
  pin.set_job_id(job);
  pin.set_pinned(true);
  EXPECT_EQ(client_->PinCheckpoint(pin).status().code(), absl::StatusCode::kInvalidArgument) << "without a step";
  for (const int64_t step : {10, 20}) {
    ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint()).ok());
    pin.set_step(step);
    ASSERT_TRUE(client_->PinCheckpoint(pin).ok());
  }
  for (const int64_t step : {30, 40, 50}) ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint()).ok());
  EXPECT_THAT(Steps(job), ElementsAre(50, 40, 20, 10));
  EXPECT_TRUE(there(10) && there(20) && !there(30));
  v1::DropCheckpointsRequest drop;
  drop.set_job_id(job);
  drop.add_steps(10);
  EXPECT_EQ(client_->DropCheckpoints(drop).status().code(), absl::StatusCode::kFailedPrecondition);

  FlipABit(grant.lease(), 20);
  v1::DownloadCheckpointRequest download;
  download.set_job_id(job);
  download.set_step(20);
  EXPECT_TRUE(absl::IsDataLoss(client_->DownloadCheckpoint(download, [](const auto&) { return true; })));
  EXPECT_THAT(Steps(job), ElementsAre(50, 40, 10)) << "damage is not kept";
  pin.set_step(10);
  pin.set_pinned(false);
  ASSERT_TRUE(client_->PinCheckpoint(pin).ok());
  ASSERT_TRUE(Upload(grant.lease(), 60, TestCheckpoint()).ok());
  EXPECT_THAT(Steps(job), ElementsAre(60, 50));
  EXPECT_FALSE(there(10));
}

TEST_F(DamageTest, TheScrubFindsWhatNobodyHasAskedFor) {
  StopServer();
  scrub_interval_ = absl::Milliseconds(20);
  StartServer();
  const v1::Grant grant = RunningJob();
  for (const int64_t step : {10, 20}) ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint()).ok());
  FlipABit(grant.lease(), 10);
  for (int i = 0; i < 1000 && Steps(grant.lease().job_id()).size() == 2; ++i) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_THAT(Steps(grant.lease().job_id()), ElementsAre(20));
}

TEST_F(DamageTest, ARetryGoesOnFromTheStepThatItNames) {
  const v1::Grant grant = RunningJob();
  for (const int64_t step : {10, 20}) ASSERT_TRUE(Upload(grant.lease(), step, TestCheckpoint()).ok());
  ASSERT_EQ(Finish(grant.lease(), 1, v1::FAILED)->state(), v1::FAILED);
  v1::RetryRequest retry;
  retry.add_job_ids(grant.lease().job_id());
  retry.set_from_step(15);
  EXPECT_THAT(std::string(client_->Retry(retry).status().message()),
              HasSubstr("has no checkpoint of step 15; it has those of 20, 10"));
  EXPECT_THAT(Steps(grant.lease().job_id()), ElementsAre(20, 10));
  retry.set_from_step(10);
  ASSERT_TRUE(client_->Retry(retry).ok());
  EXPECT_THAT(Steps(grant.lease().job_id()), ElementsAre(10));
  EXPECT_EQ(Lease(2).resume_from().step(), 10);
}

}  // namespace
}  // namespace sink
