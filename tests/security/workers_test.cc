// What a worker that has joined may do to others: S1, S6, S10, S14 and S18 of the audit (README.md), each with its
// bound.
#include <gmock/gmock.h>
#include <malloc.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "coordinator/errors/error_detail.h"
#include "proto/config/hugging_face.h"
#include "proto/run/modeling_sink.h"
#include "tests/coordinator/core/fixture.h"
#include "tests/coordinator/service/service_fixture.h"

namespace sink {
namespace {

using testing::kSession;
using testing::kWorkerId;
using testing::Submission;
using testing::SweepYaml;

constexpr char kMember[] = "cccccccccccccccccccccccccccccccc";

class HostileWorkerTest : public testing::ServiceTest {
 protected:
  v1::RegisterRequest Registration(const std::string& id, const std::string& name, int devices) {
    v1::RegisterRequest request;
    request.set_worker_id(id);
    request.set_session(kSession);
    request.set_name(name);
    request.set_devices(devices);
    request.set_device_kind("cpu");
    request.set_version("0.1.0");
    return request;
  }
  v1::LeaseRequest Question(const std::string& id, uint64_t poll, int devices) {
    v1::LeaseRequest request;
    request.set_worker_id(id);
    request.set_session(kSession);
    request.set_poll(poll);
    request.set_devices_free(devices);
    request.set_rendezvous_port(29500);
    return request;
  }
};

// S1: the largest numbers that a report can carry, to a sweep that stops early; the report and every write after it
// take less than two seconds, and the coordinator ends in less than eight.
TEST_F(HostileWorkerTest, S1_TheLargestNumbersFreezeNobody) {
  const std::string yaml =
      SweepYaml("asha", "1e-3, 2e-3") + "early_stop: {asha: {metric: train_loss, mode: min, first_rung: 10, eta: 3}}\n";
  ASSERT_TRUE(client_->SubmitSweep(Submission(yaml)).ok());
  RegisterWorker();
  const v1::Grant grant = Lease();
  const auto hello = [](const std::string& steps) {
    return R"({"type":"hello","version":1,"pid":7,"device":"cpu","start_step":0,"max_steps":)" + steps +
           R"(,"parameters":10})";
  };
  const auto metric = [](const std::string& step) {
    return R"({"type":"metrics","step":)" + step + R"(,"values":{"train_loss":1}})";
  };
  absl::Time begun = absl::Now();
  // The largest of a 64-bit number, and the largest that is taken for a step at all.
  const std::string largest = "9223372036854775807", most = std::to_string(int64_t{1} << 48);
  const auto reported = Report(grant.lease(), 1, {hello(largest), metric(largest), hello(most), metric(most)});
  EXPECT_TRUE(reported.ok()) << reported.status();
  EXPECT_LT(absl::Now() - begun, absl::Seconds(2));
  begun = absl::Now();
  EXPECT_TRUE(Worker(kMember).Register(Registration(kMember, "node-2", 1)).ok());
  EXPECT_LT(absl::Now() - begun, absl::Seconds(2));
  begun = absl::Now();
  StopServer();
  EXPECT_LT(absl::Now() - begun, absl::Seconds(8));
}

// S6: a gang's member knows the leader's worker id, the token, and what a fence looks like.
TEST_F(HostileWorkerTest, S6_AMemberOfAGangIsNotItsLeader) {
  std::string gang = SweepYaml("pair", "1e-3");
  const std::string one = "resources: {devices: 1}";
  gang.replace(gang.find(one), one.size(), "resources: {devices: 2, per_worker: 1}");
  ASSERT_TRUE(client_->SubmitSweep(Submission(gang)).ok());
  ASSERT_TRUE(worker().Register(Registration(kWorkerId, "node-1", 1)).ok());
  ASSERT_TRUE(Worker(kMember).Register(Registration(kMember, "node-2", 1)).ok());
  // Both must be known to be free before the two ranks have a place.
  std::vector<v1::Grant> grants(2);
  for (uint64_t poll = 1; poll <= 20 && (!grants[0].has_lease() || !grants[1].has_lease()); ++poll) {
    int i = 0;
    for (const char* id : {kWorkerId, kMember}) {
      const auto asked = Worker(id).Lease(Question(id, poll, grants[i].has_lease() ? 0 : 1));
      ASSERT_TRUE(asked.ok()) << asked.status();
      if (asked->grants_size() > 0) grants[i] = asked->grants(0);
      ++i;
    }
  }
  ASSERT_TRUE(grants[0].has_lease() && grants[1].has_lease());
  const int leads = grants[0].gang().first_rank() == 0 ? 0 : 1;
  const char* const leader_id = leads == 0 ? kWorkerId : kMember;
  const char* const member_id = leads == 0 ? kMember : kWorkerId;
  const v1::Grant &leader = grants[leads], &member = grants[1 - leads];
  EXPECT_EQ(leader.gang().token(), member.gang().token());
  EXPECT_NE(member.gang().token(), leader.lease().lease_id());
  EXPECT_NE(member.lease().lease_id(), leader.lease().lease_id());

  CoordinatorClient& hostile = Worker(member_id);
  v1::LeaseRef guessed = member.lease();
  guessed.set_fence(leader.lease().fence());
  for (const std::string& secret : {member.gang().token().substr(0, 32), leader.lease().lease_id()}) {
    guessed.set_lease_id(secret);
    for (const char* as : {leader_id, member_id}) {
      v1::ReportRequest report;
      report.set_worker_id(as);
      *report.mutable_lease() = guessed;
      v1::Event* event = report.add_events();
      event->set_seq(1);
      event->set_record(R"({"type":"log","level":"info","message":"x"})");
      EXPECT_FALSE(hostile.Report(report).ok()) << as;
      v1::BeginCheckpointRequest begin;
      begin.set_worker_id(as);
      *begin.mutable_lease() = guessed;
      begin.set_step(10);
      testing::TestCheckpoint().AddTo(&begin);
      EXPECT_FALSE(hostile.BeginCheckpoint(begin).ok()) << as;
      v1::FinishRequest finish;
      finish.set_worker_id(as);
      *finish.mutable_lease() = guessed;
      finish.set_outcome(v1::SUCCEEDED);
      EXPECT_FALSE(hostile.Finish(finish).ok()) << as;
    }
  }
  v1::GetJobRequest get;
  get.set_id(leader.lease().job_id());
  EXPECT_EQ(client_->GetJob(get)->job().state(), v1::LEASED);
}

// S10: what transformers would unpickle or run is no file of a checkpoint.
TEST_F(HostileWorkerTest, S10_FilesThatRunCodeAreNoCheckpoint) {
  const v1::Grant grant = RunningJob();
  for (const char* name :
       {"pytorch_model.bin", "model.pt", "rng_state.pth", "optimizer.pkl", "evil.py", "modeling_sink.pyc", "setup.cfg",
        "model.safetensors.exe", "Makefile", "adapter_config.json", "generation_config.json", "merges.txt"}) {
    testing::TestCheckpoint checkpoint;
    checkpoint.files[1].first = name;
    EXPECT_EQ(Begin(grant.lease(), 10, checkpoint).status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
  for (const char* name : {"config.json", "optimizer.state", "optimizer.safetensors", "trainer.json", "tokenizer.model",
                           "modeling_sink.py", "tokenizer_config.json"}) {
    testing::TestCheckpoint checkpoint;
    checkpoint.files[1].first = name;
    EXPECT_TRUE(Begin(grant.lease(), 20, checkpoint).ok()) << name;
  }
}

// S10: people get the module of this release, and workers back what they have sent, which none of them runs.
TEST_F(HostileWorkerTest, S10_AWorkersCodeReachesNobody) {
  const v1::Grant grant = RunningJob();
  for (const int64_t step : {10, 20}) {
    testing::TestCheckpoint checkpoint;
    const std::string evil =
        step == 10 ? "import os; os.system('id')" : std::string(600'000, '#');  // in several pieces
    checkpoint.files[1] = {"modeling_sink.py", evil};
    ASSERT_TRUE(Upload(grant.lease(), step, checkpoint).ok());
    std::map<std::string, std::string> opened, fetched;
    v1::Checkpoint shown;
    v1::DownloadCheckpointRequest download;
    download.set_job_id(grant.lease().job_id());
    download.set_step(step);
    const absl::Status got = client_->DownloadCheckpoint(download, [&](const v1::CheckpointChunk& chunk) {
      if (chunk.has_checkpoint()) shown = chunk.checkpoint();
      opened[chunk.file()] += chunk.data();
      return true;
    });
    ASSERT_TRUE(got.ok()) << got;
    auto fetch = Leased<v1::FetchCheckpointRequest>(grant.lease());
    fetch.set_step(step);
    const absl::Status back = worker().FetchCheckpoint(fetch, [&](const v1::CheckpointChunk& chunk) {
      fetched[chunk.file()] += chunk.data();
      return true;
    });
    ASSERT_TRUE(back.ok()) << back;
    EXPECT_EQ(opened["modeling_sink.py"], std::string(run::kModelingSink));
    EXPECT_EQ(fetched["modeling_sink.py"], evil);
    EXPECT_EQ(opened["model.safetensors"], fetched["model.safetensors"]);
    ASSERT_EQ(shown.files_size(), 3);
    for (const v1::CheckpointFile& file : shown.files()) {
      EXPECT_EQ(file.size(), opened[file.name()].size()) << file.name();
      EXPECT_EQ(file.xxh3(), files::Hash(opened[file.name()])) << file.name();
    }
  }
}

// S10: nor does a checkpoint say where else code is to be had.
TEST_F(HostileWorkerTest, S10_ACheckpointNamesNoOtherCode) {
  const v1::Grant grant = RunningJob();
  testing::TestCheckpoint checkpoint;
  for (const auto& [name, text] :
       {std::pair("config.json", R"({"auto_map": {"AutoModelForCausalLM": "evil/repo--modeling.Model"}})"),
        {"tokenizer_config.json", R"({"auto_map": {"AutoTokenizer": ["evil/repo--tokens.Tokens", null]}})"},
        {"config.json", R"({"custom_pipelines": {}})"}}) {
    checkpoint.files[1] = {name, text};
    EXPECT_TRUE(absl::IsInvalidArgument(Upload(grant.lease(), 10, checkpoint))) << text;
  }
  checkpoint.files[1] = {"config.json", PrintHuggingFaceConfig(ModelConfig(), 7)};
  EXPECT_TRUE(Upload(grant.lease(), 10, checkpoint).ok());
}

// S18: the other ranks connect to what a worker calls its host.
TEST_F(HostileWorkerTest, S18_AHostIsAHost) {
  for (const char* host : {"a b", "10.0.0.1:22", "x;y", "a/b", "$(x)", "http://x", "a,b", "x\ty", "x@y"}) {
    v1::RegisterRequest request = Registration(kWorkerId, "node-1", 1);
    request.set_advertise(host);
    EXPECT_EQ(worker().Register(request).status().code(), absl::StatusCode::kInvalidArgument) << host;
  }
  for (const char* host : {"", "127.0.0.1"}) {  // where it calls from
    v1::RegisterRequest request = Registration(kWorkerId, "node-1", 1);
    request.set_advertise(host);
    EXPECT_TRUE(worker().Register(request).ok()) << host;
  }
}

// S18: of all hosts only the one that it joined as, by a token that an admin has made.
TEST_F(HostileWorkerTest, S18_AHostIsTheOneThatTheCertificateNames) {
  const std::string admin = folder_ / "data/tls/admin";
  int n = 0;
  for (const char* host : {"node-1.cluster", "10.0.0.7", "fe80::1"}) {
    const std::string id = std::string(31, 'd') + "0123"[n++];
    v1::RegisterRequest request = Registration(id, "node-1", 1);
    request.set_advertise(host);
    EXPECT_TRUE(absl::IsPermissionDenied(worker().Register(request).status()));  // another's name
    const identity::Credential joined = testing::JoinAs(server_->address(), admin, id, host);
    identity::Credential renewed = joined;
    const auto first = CoordinatorClient::Create({.address = server_->address(), .credential = joined});
    const auto next = (*first)->Renew({});
    ASSERT_TRUE(next.ok()) << next.status();
    renewed.certificate = next->certificate();
    for (const identity::Credential& credential : {joined, renewed}) {
      const auto worker = *CoordinatorClient::Create({.address = server_->address(), .credential = credential});
      request.set_advertise(host);
      EXPECT_TRUE(worker->Register(request).ok()) << host;
      request.set_advertise("victim.cluster");
      EXPECT_TRUE(absl::IsPermissionDenied(worker->Register(request).status())) << host;
    }
  }
  v1::RegisterRequest request = Registration(kWorkerId, "node-1", 1);
  request.set_advertise("node-1.cluster");
  EXPECT_TRUE(absl::IsPermissionDenied(worker().Register(request).status()));  // its certificate names none
}

class GrowthTest : public ManagerTest {
 protected:
  static double HeapMiB() { return static_cast<double>(mallinfo2().uordblks) / (1 << 20); }
};

// S14: 20,000 questions of workers that nobody knows leave less than 1 MiB (21 MiB once).
TEST_F(GrowthTest, S14_NothingIsRememberedOfWorkersThatAreNotThere) {
  const auto ask = [&](int n) {
    return manager->dispatcher().AcquireLeases({Id(n), std::string(32, 'a'), 1, 1}, now).status();
  };
  ASSERT_FALSE(ask(0).ok());
  const double before = HeapMiB();
  for (int n = 1; n <= 20'000; ++n) ASSERT_FALSE(ask(n).ok());
  EXPECT_LT(HeapMiB() - before, 1);
}

// S14: one report of 500 KiB of values that are dropped is one line of the log.
TEST_F(GrowthTest, S14_WhatIsDroppedLeavesOneLine) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  std::vector<Event> events;
  for (uint64_t seq = 2; seq < 6; ++seq) {
    pipe::Metrics metrics{1, {}};
    for (int i = 0; i < 1'200; ++i)
      metrics.values.emplace_back(std::string(90, 'm') + std::to_string(seq) + "/" + std::to_string(i), i);
    events.push_back({seq, pipe::Encode(metrics), 1});
  }
  const auto before = manager->queries().ReadLogs(Id(1), 0, 0, 1'000)->lines.size();
  ASSERT_TRUE(manager->workers().Report("w", lease, events, now).ok());
  EXPECT_LE(manager->queries().ReadLogs(Id(1), 0, 0, 1'000)->lines.size(), before + 2);
}

}  // namespace
}  // namespace sink
