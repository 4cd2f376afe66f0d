// Whose: every method against sweeps and leases that are the caller's and that are somebody else's, by callers of every
// kind, and every HTTP path with every password. What a role may call at all is policy_test's (coordinator/service).
#include <functional>
#include <future>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "coordinator/errors/error_detail.h"
#include "coordinator/service/policy.h"
#include "proto/files/files.h"
#include "tests/coordinator/service/access_fixture.h"
#include "tests/security/http.h"

namespace sink {
namespace {

using testing::AccessTest;
using testing::HttpStatus;
using testing::kSession;
using testing::kWorkerId;
using testing::Submission;
using testing::SweepYaml;

constexpr char kOther[] = "cccccccccccccccccccccccccccccccc", kGone[] = "dddddddddddddddddddddddddddddddd";

// What the calls are about: a sweep of sam's, and its job, which a worker has leased.
struct Scene {
  std::string sweep, job;
  v1::LeaseRef lease;
};

bool Denied(const absl::Status& status) { return absl::IsPermissionDenied(status); }
// Whatever else it may say, it let the caller through.
bool Admitted(const absl::Status& status) {
  return !Denied(status) && !absl::IsUnauthenticated(status) && !absl::IsUnavailable(status);
}

template <typename Request>
Request OfJob(const Scene& scene) {
  Request request;
  request.set_job_id(scene.job);
  return request;
}

// One stream of whatever messages: the first is enough.
constexpr auto kFirst = [](const auto&) { return false; };

struct ClientRow {
  bool owners;  // of the sweep and admins alone
  std::function<absl::Status(CoordinatorClient&, const Scene&)> call;
};

template <typename Request>
Request Named(const std::string& name) {
  Request request;
  request.set_name(name);
  return request;
}

// The methods that name a sweep or a job, each with a message that a coordinator takes.
const std::map<std::string, ClientRow> kClientRows = {
    {"SubmitSweep",
     {true,
      [](CoordinatorClient& client, const Scene& scene) {
        static int request = 0;
        v1::SubmitSweepRequest submit = Submission(SweepYaml(scene.sweep, "1e-3"));
        submit.set_request_id(std::string(28, '5') + std::to_string(1000 + ++request));
        return client.SubmitSweep(submit).status();
      }}},
    {"GetSweep",
     {false, [](CoordinatorClient& client,
                const Scene& scene) { return client.GetSweep(Named<v1::GetSweepRequest>(scene.sweep)).status(); }}},
    {"GetStudy",
     {false, [](CoordinatorClient& client,
                const Scene& scene) { return client.GetStudy(Named<v1::GetStudyRequest>(scene.sweep)).status(); }}},
    {"ListJobs",
     {false,
      [](CoordinatorClient& client, const Scene& scene) {
        v1::ListJobsRequest request;
        request.set_sweep(scene.sweep);
        return client.ListJobs(request).status();
      }}},
    {"GetJob",
     {false,
      [](CoordinatorClient& client, const Scene& scene) {
        v1::GetJobRequest request;
        request.set_id(scene.job);
        return client.GetJob(request).status();
      }}},
    {"WatchSweep",
     {false, [](CoordinatorClient& client,
                const Scene& scene) { return client.WatchSweep(Named<v1::WatchSweepRequest>(scene.sweep), kFirst); }}},
    {"WhyJob",
     {false,
      [](CoordinatorClient& client, const Scene& scene) {
        v1::WhyJobRequest request;
        request.set_id(scene.job);
        return client.WhyJob(request).status();
      }}},
    {"Cancel",
     {true,
      [](CoordinatorClient& client, const Scene& scene) {
        v1::CancelRequest request;
        request.add_job_ids(scene.job);
        return client.Cancel(request).status();
      }}},
    {"Retry",
     {true,
      [](CoordinatorClient& client, const Scene& scene) {
        v1::RetryRequest request;
        request.set_sweep(scene.sweep);
        return client.Retry(request).status();
      }}},
    {"DeleteSweep",  // has a job that has not ended, so whoever may delete it is told that
     {true,
      [](CoordinatorClient& client, const Scene& scene) {
        return client.DeleteSweep(Named<v1::DeleteSweepRequest>(scene.sweep)).status();
      }}},
    {"ReadLogs",
     {false, [](CoordinatorClient& client,
                const Scene& scene) { return client.ReadLogs(OfJob<v1::ReadLogsRequest>(scene), kFirst); }}},
    {"ReadMetrics",
     {false, [](CoordinatorClient& client,
                const Scene& scene) { return client.ReadMetrics(OfJob<v1::ReadMetricsRequest>(scene), kFirst); }}},
    {"ReadHeatmaps",
     {false, [](CoordinatorClient& client,
                const Scene& scene) { return client.ReadHeatmaps(OfJob<v1::ReadHeatmapsRequest>(scene), kFirst); }}},
    {"ListCheckpoints",
     {false,
      [](CoordinatorClient& client, const Scene& scene) {
        return client.ListCheckpoints(OfJob<v1::ListCheckpointsRequest>(scene)).status();
      }}},
    {"DownloadCheckpoint",
     {true,
      [](CoordinatorClient& client, const Scene& scene) {
        return client.DownloadCheckpoint(OfJob<v1::DownloadCheckpointRequest>(scene), kFirst);
      }}},
    {"VerifyCheckpoints",
     {false,
      [](CoordinatorClient& client, const Scene& scene) {
        return client.VerifyCheckpoints(OfJob<v1::VerifyCheckpointsRequest>(scene)).status();
      }}},
    {"DropCheckpoints",
     {true,
      [](CoordinatorClient& client, const Scene& scene) {
        auto request = OfJob<v1::DropCheckpointsRequest>(scene);
        request.add_steps(10);
        return client.DropCheckpoints(request).status();
      }}},
    {"PinCheckpoint",
     {true,
      [](CoordinatorClient& client, const Scene& scene) {
        auto request = OfJob<v1::PinCheckpointRequest>(scene);
        request.set_step(10);
        request.set_pinned(true);
        return client.PinCheckpoint(request).status();
      }}},
    {"SetPriority",  // behind others, which is not an admin's alone
     {true,
      [](CoordinatorClient& client, const Scene& scene) {
        v1::SetPriorityRequest request;
        request.set_sweep(scene.sweep);
        request.set_priority(-1);
        return client.SetPriority(request).status();
      }}},
};
// Those that name neither: roles are all that there is to ask.
const std::set<std::string> kOfNobody = {"ListSweeps", "ListWorkers", "HoldWorkers", "CollectGarbage"};

template <typename Request>
Request Holding(const std::string& worker, const Scene& scene) {
  Request request;
  request.set_worker_id(worker);
  *request.mutable_lease() = scene.lease;
  return request;
}

// The methods of workers that name a lease, by a worker that calls itself `as`.
using WorkerCall = std::function<absl::Status(CoordinatorClient&, const std::string& as, const Scene&)>;
const std::map<std::string, WorkerCall> kWorkerRows = {
    {"Report", [](CoordinatorClient& worker, const std::string& as,
                  const Scene& scene) { return worker.Report(Holding<v1::ReportRequest>(as, scene)).status(); }},
    {"BeginCheckpoint",
     [](CoordinatorClient& worker, const std::string& as, const Scene& scene) {
       auto request = Holding<v1::BeginCheckpointRequest>(as, scene);
       request.set_step(10);
       testing::TestCheckpoint().AddTo(&request);
       return worker.BeginCheckpoint(request).status();
     }},
    {"WriteCheckpoint",
     [](CoordinatorClient& worker, const std::string& as, const Scene& scene) {
       const testing::TempDir folder;
       auto request = Holding<v1::WriteCheckpointRequest>(as, scene);
       request.set_step(10);
       request.set_file("manifest.json");
       if (files::WriteFile(folder / "file", testing::TestCheckpoint().files.back().second, /*sync=*/false))
         return absl::InternalError("no file");
       return worker.WriteCheckpointFile(request, folder / "file").status();
     }},
    {"CommitCheckpoint",
     [](CoordinatorClient& worker, const std::string& as, const Scene& scene) {
       auto request = Holding<v1::CommitCheckpointRequest>(as, scene);
       request.set_step(20);
       request.set_manifest_hash(testing::TestCheckpoint().Of(20).hash());
       return worker.CommitCheckpoint(request).status();
     }},
    {"FetchCheckpoint",
     [](CoordinatorClient& worker, const std::string& as, const Scene& scene) {
       return worker.FetchCheckpoint(Holding<v1::FetchCheckpointRequest>(as, scene), kFirst);
     }},
    {"Finish",
     [](CoordinatorClient& worker, const std::string& as, const Scene& scene) {
       auto request = Holding<v1::FinishRequest>(as, scene);
       request.set_outcome(v1::SUCCEEDED);
       request.set_last_seq(1);
       return worker.Finish(request).status();
     }},
};
// Those that name the worker alone.
const std::set<std::string> kOfTheWorker = {"Register", "Lease", "Heartbeat"};

// A call that goes on, on a thread of its own, from its first message until somebody ends it.
class Watch {
 public:
  Watch(CoordinatorClient& client, const std::string& sweep)
      : thread_([this, &client, request = Named<v1::WatchSweepRequest>(sweep)] {
          bool told = false;
          ended_ = client.WatchSweep(request, [&](const v1::GetSweepResponse&) {
            if (!std::exchange(told, true)) begun_.set_value();
            return true;
          });
          if (!told) begun_.set_value();
        }) {
    begun_.get_future().wait();
  }
  ~Watch() {
    if (thread_.joinable()) thread_.join();
  }
  absl::Status End() {
    thread_.join();
    return ended_;
  }

 private:
  std::promise<void> begun_;
  absl::Status ended_;
  std::thread thread_;
};

class MatrixTest : public AccessTest {
 protected:
  MatrixTest() : sam_(User("sam", "submitter")) {
    const auto submitted = ClientOf(sam_)->SubmitSweep(Submission(SweepYaml("sams", "1e-3")));
    EXPECT_TRUE(submitted.ok()) << submitted.status();
    RegisterWorker();
    const v1::Grant grant = Lease();
    EXPECT_TRUE(Report(grant.lease(), 1,
                       {R"({"type":"hello","version":1,"pid":7,"device":"cpu","start_step":0,)"
                        R"("max_steps":100,"parameters":10})"})
                    .ok());
    scene_ = {.sweep = "sams", .job = grant.lease().job_id(), .lease = grant.lease()};
  }

  static std::set<std::string> MethodsOf(const std::string& service) {
    std::set<std::string> methods;
    const std::string prefix = "/sink.v1." + service + "/";
    for (const PolicyRow& row : Policy()) {
      if (row.path.substr(0, prefix.size()) == prefix) methods.insert(std::string(row.path.substr(prefix.size())));
    }
    return methods;
  }

  const identity::Credential sam_;
  Scene scene_;
};

// A method that is new has no row here, and this fails.
TEST_F(MatrixTest, EveryMethodHasARow) {
  std::set<std::string> client = kOfNobody, worker = kOfTheWorker;
  for (const auto& [method, row] : kClientRows) client.insert(method);
  for (const auto& [method, call] : kWorkerRows) worker.insert(method);
  EXPECT_EQ(client, MethodsOf("ClientService"));
  EXPECT_EQ(worker, MethodsOf("WorkerService"));
}

TEST_F(MatrixTest, SweepsAreChangedByTheirOwnersAndAdminsAndReadByAll) {
  const auto own = ClientOf(sam_), other = ClientOf(User("tom", "submitter")),
             viewer = ClientOf(User("vera", "viewer"));
  const auto revoked = ClientOf(User("rita", "admin"));
  ASSERT_TRUE(revoked->ListSweeps({}).ok());
  ASSERT_TRUE(Revoke("user/rita").ok());
  for (const auto& [method, row] : kClientRows) {
    for (const auto& [who, caller] : {std::pair("a viewer", viewer.get()), {"another submitter", other.get()}}) {
      const absl::Status status = row.call(*caller, scene_);
      EXPECT_EQ(Denied(status), row.owners) << method << " by " << who << ": " << status;
      EXPECT_EQ(Admitted(status), !row.owners) << method << " by " << who << ": " << status;
    }
    for (const auto& [who, caller] : {std::pair("its owner", own.get()), {"an admin", client_.get()}}) {
      const absl::Status status = row.call(*caller, scene_);
      EXPECT_TRUE(Admitted(status)) << method << " by " << who << ": " << status;
    }
    EXPECT_TRUE(absl::IsUnauthenticated(row.call(*revoked, scene_))) << method << " by one who is revoked";
    EXPECT_TRUE(Denied(row.call(worker(), scene_))) << method << " by a worker";
  }
}

// A program's token counts with its secret alone, until it is revoked or its time is over; on open connections and in
// calls that go on, too.
TEST_F(MatrixTest, TokensOfProgramsCountWholeAndInTheirTimeAlone) {
  const identity::Credential valid = *Token("token", "valid", "submitter"),
                             revoked = *Token("token", "revoked", "submitter"),
                             expired = *Token("token", "expired", "submitter", absl::Seconds(4));
  std::map<std::string, Channel> refused = {{"revoked", ChannelOf(revoked)}, {"expired", ChannelOf(expired)}};
  for (const auto& [what, channel] : refused)
    ASSERT_TRUE(Call(channel, "/sink.v1.ClientService/ListSweeps").ok()) << what;
  const auto first = ClientOf(revoked), second = ClientOf(expired);
  Watch of_revoked(*first, scene_.sweep), of_expired(*second, scene_.sweep);
  ASSERT_TRUE(Revoke("token/revoked").ok());
  EXPECT_TRUE(absl::IsUnauthenticated(of_revoked.End()));
  EXPECT_TRUE(absl::IsUnauthenticated(of_expired.End()));

  for (const auto& [what, secret] : {std::pair("garbage", std::string(64, '0')),
                                     {"another token's secret", revoked.secret},
                                     {"no secret", std::string()},
                                     {"a secret with more behind it", valid.secret + "0"}}) {
    identity::Credential other = valid;
    other.secret = secret;
    refused[what] = ChannelOf(other);
  }
  for (const PolicyRow& row : Policy()) {
    for (const auto& [what, channel] : refused)
      EXPECT_EQ(Call(channel, std::string(row.path)).error_code(), grpc::StatusCode::UNAUTHENTICATED)
          << std::string(row.path) << " with " << what;
  }
  const auto program = ClientOf(valid);
  for (const auto& [method, row] : kClientRows) {
    const absl::Status status = row.call(*program, scene_);
    EXPECT_EQ(Denied(status), row.owners) << method << ": " << status;
    EXPECT_EQ(Admitted(status), !row.owners) << method << ": " << status;
  }
  // What it submits is its own, and the audit log says so.
  const auto own = program->SubmitSweep(Submission(SweepYaml("own", "2e-3"), 2));
  ASSERT_TRUE(own.ok()) << own.status();
  v1::CancelRequest cancel;
  cancel.set_sweep("own");
  EXPECT_TRUE(program->Cancel(cancel).ok());
  std::set<std::string> done;
  const auto audit = client_->ListAudit({});
  ASSERT_TRUE(audit.ok()) << audit.status();
  for (const v1::AuditEntry& entry : audit->entries()) {
    if (entry.who() == "token/valid" && entry.outcome() == "ok") done.insert(entry.action() + " " + entry.object());
  }
  EXPECT_THAT(done, ::testing::IsSupersetOf({"SubmitSweep own", "Cancel own"}));
}

TEST_F(MatrixTest, LeasesAreTheirWorkersAlone) {
  const auto other = NewWorker(kOther), gone = NewWorker(kGone);
  EXPECT_TRUE(IsStaleLease(kWorkerRows.at("Report")(*gone, kGone, scene_)));  // over a connection that stays open
  ASSERT_TRUE(Revoke(std::string("worker/") + kGone).ok());
  for (const auto& [method, call] : kWorkerRows) {
    for (const char* name : {kGone, kWorkerId})
      EXPECT_TRUE(absl::IsUnauthenticated(call(*gone, name, scene_))) << method << " by a revoked one, as " << name;
    EXPECT_TRUE(Denied(call(*other, kWorkerId, scene_))) << method << " in the holder's name";
    EXPECT_TRUE(IsStaleLease(call(*other, kOther, scene_))) << method << " with the holder's lease";
    EXPECT_TRUE(Denied(call(*client_, kWorkerId, scene_))) << method << " by an admin";
  }
  // The same calls by the holder, in the order in which a worker makes them.
  for (const char* method :
       {"Report", "BeginCheckpoint", "WriteCheckpoint", "CommitCheckpoint", "FetchCheckpoint", "Finish"}) {
    const absl::Status status = kWorkerRows.at(method)(worker(), kWorkerId, scene_);
    EXPECT_TRUE(Admitted(status) && !IsStaleLease(status)) << method << " by the holder: " << status;
  }
  v1::GetJobRequest get;
  get.set_id(scene_.job);
  EXPECT_EQ(client_->GetJob(get)->job().state(), v1::SUCCEEDED);
}

// A worker that names another's lease as its own gets nothing by it.
TEST_F(MatrixTest, ALeaseThatIsNamedIsNotGiven) {
  const auto other = NewWorker(kOther);
  v1::RegisterRequest taking;
  taking.set_worker_id(kOther);
  taking.set_session(kSession);
  taking.set_name("node-2");
  taking.set_devices(1);
  *taking.add_held() = scene_.lease;
  const auto registered = other->Register(taking);
  ASSERT_TRUE(registered.ok()) << registered.status();
  EXPECT_EQ(registered->keep_size(), 0);
  v1::HeartbeatRequest beat;
  beat.set_worker_id(kOther);
  beat.set_session(kSession);
  v1::HeldJob* held = beat.add_held();
  *held->mutable_lease() = scene_.lease;
  held->set_phase(v1::RUNNING);
  const auto heard = other->Heartbeat(beat);
  ASSERT_TRUE(heard.ok()) << heard.status();
  EXPECT_EQ(heard->stale_size(), 1);
  v1::LeaseRequest ask;
  ask.set_worker_id(kOther);
  ask.set_session(kSession);
  ask.set_poll(1);
  ask.set_devices_free(1);
  EXPECT_EQ(other->Lease(ask)->grants_size(), 0);
  taking.set_worker_id(kWorkerId);
  beat.set_worker_id(kWorkerId);
  ask.set_worker_id(kWorkerId);
  EXPECT_TRUE(Denied(other->Register(taking).status()));
  EXPECT_TRUE(Denied(other->Heartbeat(beat).status()));
  EXPECT_TRUE(Denied(other->Lease(ask).status()));
  EXPECT_TRUE(Report(scene_.lease, 2, {R"({"type":"log","level":"info","message":"x"})"}).ok());
}

// Nobody logs in by HTTP: a password opens one path, and there is no other.
TEST_F(MatrixTest, MetricsIsTheOnlyPath) {
  const std::map<std::string, std::string> headers = {
      {"nothing", ""},
      {"another password", "Authorization: Basic c2luazp3cm9uZw==\r\n"},  // sink:wrong
      {"the password",
       "Authorization: Basic c2luazp4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=\r\n"},  // sink:xxxxxxxxxxxxxxxxxxxxxxxx
      {"a bearer's", "Authorization: Bearer xxxxxxxxxxxxxxxxxxxxxxxx\r\n"}};
  const std::string token = folder_ / "token";
  ASSERT_FALSE(files::ReplaceFile(token, std::string(24, 'x') + "\n", 0600));
  ServerOptions options = Options();
  options.data = folder_ / "guarded";
  options.listen = "127.0.0.1:0";
  options.metrics_token_file = token;
  const auto guarded = *Server::Start(options);
  for (const auto& [who, header] : headers) {
    EXPECT_EQ(HttpStatus(server_->metrics_address(), "GET", "/metrics", header), 200) << "loopback, with " << who;
    EXPECT_EQ(HttpStatus(guarded->metrics_address(), "GET", "/metrics", header), who == "the password" ? 200 : 401)
        << "guarded, with " << who;
    for (const char* path : {"/", "/healthz", "/readyz", "/../sink.db", "/%2e%2e/sink.db",
                             "/sink.v1.ClientService/ListSweeps", "/debug"}) {
      for (const std::string& address : {server_->metrics_address(), guarded->metrics_address()}) {
        const int status = HttpStatus(address, "GET", path, header);
        EXPECT_TRUE(status == 404 || status == 400 || status == 401) << path << " with " << who << ": " << status;
      }
    }
  }
  for (const char* method : {"POST", "PUT", "DELETE"})
    EXPECT_GE(HttpStatus(guarded->metrics_address(), method, "/metrics", ""), 400) << method;
}

}  // namespace
}  // namespace sink
