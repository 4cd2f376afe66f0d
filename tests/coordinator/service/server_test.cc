// Starting and stopping: every refusal is one clear error, and the exporter's text over its real port.
#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "coordinator/errors/error_detail.h"
#include "coordinator/identity/authority.h"
#include "coordinator/identity/credential.h"
#include "coordinator/identity/tls.h"
#include "coordinator/limit_options.h"
#include "coordinator/listen_address.h"
#include "coordinator/retention_option.h"
#include "coordinator/service/metrics_exporter.h"
#include "proto/files/files.h"
#include "sink/v1/client.grpc.pb.h"
#include "tests/coordinator/service/service_fixture.h"

namespace sink {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class ServerTest : public testing::ServiceTest {
 protected:
  ServerOptions OtherOptions() {
    ServerOptions options = Options();
    options.data = folder_ / "other";
    options.listen = "127.0.0.1:0";
    return options;
  }

  // GET /metrics over the real port.
  std::string Scrape() {
    const auto address = ParseListenAddress(server_->metrics_address(), "x");
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in target{};
    target.sin_family = AF_INET;
    target.sin_port = htons(static_cast<uint16_t>(address->port));
    inet_pton(AF_INET, address->host.c_str(), &target.sin_addr);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&target), sizeof target), 0);
    const std::string request = "GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n";
    EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, n);
    close(fd);
    return text;
  }

  // "name{labels}" -> value.
  std::map<std::string, double> Series() {
    std::map<std::string, double> series;
    std::string text = Scrape();
    for (size_t begin = text.find("\r\n\r\n") + 4, end; begin < text.size(); begin = end + 1) {
      end = std::min(text.find('\n', begin), text.size());
      const std::string line = text.substr(begin, end - begin);
      const size_t space = line.rfind(' ');
      if (line.empty() || line[0] == '#' || space == std::string::npos) continue;
      EXPECT_TRUE(series.emplace(line.substr(0, space), strtod(line.c_str() + space, nullptr)).second) << line;
    }
    return series;
  }
};

TEST_F(ServerTest, WritesItsAddresses) {
  EXPECT_EQ(*files::ReadFile(folder_ / "data/coordinator.addr", 100), server_->address() + "\n");
  EXPECT_EQ(*files::ReadFile(folder_ / "data/metrics.addr", 100), server_->metrics_address() + "\n");
  EXPECT_EQ(server_->address(), "127.0.0.1:" + std::to_string(server_->port()));
}

TEST_F(ServerTest, SecondCoordinatorOnTheSameFolderIsRefused) {
  ServerOptions options = Options();
  options.listen = "127.0.0.1:0";
  const auto second = Server::Start(options);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(options.data));
  EXPECT_EQ(*files::ReadFile(folder_ / "data/coordinator.addr", 100), server_->address() + "\n");  // left alone
}

TEST_F(ServerTest, WhileItsDatabaseIsAwayItTakesNothingAndSaysSo) {
  ASSERT_TRUE(client_->SubmitSweep(testing::Submission(testing::SweepYaml("s", "1e-3"))).ok());
  const std::string path = folder_ / "data/sink.db";
  std::filesystem::rename(path, path + ".away");
  std::string warning;
  for (int i = 0; i < 200 && warning.empty(); ++i) {
    absl::SleepFor(absl::Milliseconds(20));
    const auto listed = client_->ListSweeps({});
    ASSERT_TRUE(listed.ok()) << listed.status();
    if (listed->warnings_size() > 0) warning = listed->warnings(0);
  }
  EXPECT_THAT(warning, AllOf(HasSubstr(path + " was removed, moved or replaced"), HasSubstr("cp /proc/")));
  const auto refused = client_->SubmitSweep(testing::Submission(testing::SweepYaml("t", "2e-3"), 2));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("was removed, moved or replaced"));
  std::filesystem::rename(path + ".away", path);
  absl::Status taken = refused.status();
  for (int i = 0; i < 200 && !taken.ok(); ++i) {
    absl::SleepFor(absl::Milliseconds(20));
    taken = client_->SubmitSweep(testing::Submission(testing::SweepYaml("t", "2e-3"), 2)).status();
  }
  EXPECT_TRUE(taken.ok()) << taken;
}

// As kill -9 leaves the running one.
TEST_F(ServerTest, ALogThatIsDamagedIsRefused) {
  ASSERT_TRUE(client_->SubmitSweep(testing::Submission(testing::SweepYaml("s", "1e-3"))).ok());
  const ServerOptions options = OtherOptions();
  std::filesystem::create_directories(options.data);
  for (const char* name : {"/sink.db", "/sink.db-wal"})
    std::filesystem::copy_file((folder_ / "data") + name, options.data + name);
  std::string log = *files::ReadFile(options.data + "/sink.db-wal", 64 << 20);
  log[1000] ^= 1;  // in its first page
  ASSERT_FALSE(files::ReplaceFile(options.data + "/sink.db-wal", log));
  const auto refused = Server::Start(options);
  EXPECT_TRUE(absl::IsDataLoss(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("frame 1 of "));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("sink-backup salvage --data " + options.data));
}

TEST_F(ServerTest, AFileInThePlaceOfTheCheckpointsIsNamedAndRefused) {
  const ServerOptions options = OtherOptions();
  std::filesystem::create_directories(options.data);
  ASSERT_FALSE(files::ReplaceFile(options.data + "/checkpoints", "no folder"));
  const auto refused = Server::Start(options);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("cannot list " + options.data + "/checkpoints: "));
}

TEST_F(ServerTest, PortInUseIsRefused) {
  ServerOptions options = OtherOptions();
  options.listen = server_->address();
  const auto second = Server::Start(options);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(server_->address()));
  options.listen = "127.0.0.1:0";
  options.metrics_listen = server_->metrics_address();
  EXPECT_THAT(std::string(Server::Start(options).status().message()), HasSubstr("--metrics-listen"));
}

TEST_F(ServerTest, MetricsThatOthersCanReachNeedAPassword) {
  ServerOptions options = OtherOptions();
  options.listen = "0.0.0.0:0";
  options.metrics_listen = "0.0.0.0:0";
  EXPECT_THAT(std::string(Server::Start(options).status().message()), HasSubstr("--metrics-token-file"));
  options.metrics_token_file = folder_ / "token";
  ASSERT_FALSE(files::ReplaceFile(options.metrics_token_file, "short\n", 0600));
  EXPECT_THAT(std::string(Server::Start(options).status().message()), HasSubstr("shorter than"));
  ASSERT_FALSE(files::ReplaceFile(options.metrics_token_file, std::string(32, 'x') + "\n", 0600));
  ASSERT_EQ(chmod(options.metrics_token_file.c_str(), 0644), 0);
  EXPECT_THAT(std::string(Server::Start(options).status().message()), HasSubstr("chmod 600"));
  ASSERT_EQ(chmod(options.metrics_token_file.c_str(), 0600), 0);
  auto server = Server::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);  // what Scrape asks
  EXPECT_THAT(Scrape(), HasSubstr("401"));
}

TEST_F(ServerTest, ItsDataIsForItsUserAlone) {
  for (const char* name : {"data", "data/tls", "data/tls/server", "data/tls/admin"}) {
    struct stat info {};
    ASSERT_EQ(stat((folder_ / name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777, 0700u) << name;
  }
  for (const char* name : {"data/tls/ca.key.pem", "data/tls/server/key.pem", "data/tls/admin/key.pem"}) {
    struct stat info {};
    ASSERT_EQ(stat((folder_ / name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
}

TEST_F(ServerTest, TheAdminsCredentialIsFoundByTheAddress) {
  ServerOptions options = OtherOptions();
  options.config = folder_ / "config/sink";
  auto server = *Server::Start(options);
  const auto environment = [this](const char* name) -> const char* {
    static std::string config;
    config = folder_ / "config";
    return std::string_view(name) == "XDG_CONFIG_HOME" ? config.c_str() : nullptr;
  };
  const std::string place = identity::CredentialPlace(server->address(), environment);
  auto client = *CoordinatorClient::Create({.address = server->address(), .credentials = place});
  EXPECT_TRUE(client->ListSweeps({}).ok());
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(place)));  // the kernel chose that port
}

// Whoever connects without a certificate of this coordinator's authority gets no call through, not even a refused one.
TEST_F(ServerTest, StrangersDoNotGetBeyondTheHandshake) {
  const auto status_with = [this](const std::string& credentials) {
    auto client = *CoordinatorClient::Create(
        {.address = server_->address(), .credentials = credentials, .retry_for = absl::ZeroDuration()});
    return client->ListSweeps({}).status();
  };
  EXPECT_TRUE(status_with(folder_ / "data/tls/admin").ok());

  const std::string other = folder_ / "elsewhere";
  const auto authority = identity::Authority::Open(other, {}, absl::Now());
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_EQ(status_with(authority->admin_folder()).code(), absl::StatusCode::kUnavailable);

  // Trusts the right coordinator and shows a certificate of another authority.
  auto forged = *identity::ReadCredential(authority->admin_folder());
  forged.authority = identity::ReadCredential(folder_ / "data/tls/admin")->authority;
  ASSERT_TRUE(identity::WriteCredential(folder_ / "forged", forged).ok());
  EXPECT_EQ(status_with(folder_ / "forged").code(), absl::StatusCode::kUnavailable);

  // The right authority's, and its time is over.
  const auto own = identity::Authority::Open(folder_ / "data/tls", {}, absl::Now());
  auto expired = *identity::ReadCredential(folder_ / "data/tls/admin");
  expired.certificate = own->Issue(*identity::PublicKeyOfKey(expired.key), identity::kAdminUri, absl::Minutes(1),
                                   absl::Now() - absl::Minutes(2))
                            ->certificate;
  ASSERT_TRUE(identity::WriteCredential(folder_ / "expired", expired).ok());
  const absl::Status ended = status_with(folder_ / "expired");
  EXPECT_EQ(ended.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(ended.message()), HasSubstr("set the clock if it is wrong"));

  for (const auto& credentials :
       {grpc::InsecureChannelCredentials(), grpc::SslCredentials({.pem_root_certs = forged.authority})}) {
    grpc::ChannelArguments arguments;
    identity::SetServerName(arguments);
    const auto stub = v1::ClientService::NewStub(grpc::CreateCustomChannel(server_->address(), credentials, arguments));
    grpc::ClientContext context;
    v1::ListSweepsResponse response;
    EXPECT_EQ(stub->ListSweeps(&context, {}, &response).error_code(), grpc::StatusCode::UNAVAILABLE);
  }
}

// A client does not take another client for the coordinator.
TEST_F(ServerTest, WhoMayCallMayNotServe) {
  ASSERT_TRUE(std::filesystem::exists(folder_ / "data/tls/admin/cert.pem"));
  grpc::ServerBuilder builder;
  int port = 0;
  v1::ClientService::Service service;
  builder.AddListeningPort("127.0.0.1:0", identity::MakeServerCredentials(folder_ / "data/tls/admin"), &port);
  builder.RegisterService(&service);
  const auto impostor = builder.BuildAndStart();
  auto client = *CoordinatorClient::Create({.address = "127.0.0.1:" + std::to_string(port),
                                            .credentials = folder_ / "data/tls/admin",
                                            .retry_for = absl::ZeroDuration()});
  EXPECT_EQ(client->ListSweeps({}).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ServerTest, AKeyThatOthersCanReadIsNotUsed) {
  const std::string key = folder_ / "data/tls/admin/key.pem";
  ASSERT_EQ(chmod(key.c_str(), 0640), 0);
  const absl::Status status = NewClient()->ListSweeps({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("chmod 600 " + key));
}

TEST_F(ServerTest, BadOptionsAreRefused) {
  ServerOptions options = OtherOptions();
  options.lease_duration = 2 * options.heartbeat_interval;
  EXPECT_THAT(std::string(Server::Start(options).status().message()), HasSubstr("--lease-duration"));
  options = OtherOptions();
  options.data = "";
  EXPECT_THAT(std::string(Server::Start(options).status().message()), HasSubstr("--data"));
  options.data = "/proc/cannot-be";
  EXPECT_THAT(std::string(Server::Start(options).status().message()), HasSubstr("/proc/cannot-be"));
  for (const char* advertise : {"head", "head:0", ":7070", " head:7070", "user@head:7070", "http://head:7070"}) {
    options = OtherOptions();
    options.advertise = advertise;
    EXPECT_THAT(std::string(Server::Start(options).status().message()), StartsWith("--advertise: ")) << advertise;
  }
}

TEST_F(ServerTest, AnAddressThatIsWrittenWronglyIsRefusedWithWhatToWrite) {
  const std::pair<std::string ServerOptions::*, std::string> addresses[] = {
      {&ServerOptions::listen, "--listen: "},
      {&ServerOptions::metrics_listen, "--metrics-listen: "},
      {&ServerOptions::page_listen, "--page-listen: "},
      {&ServerOptions::advertise, "--advertise: "}};
  for (const auto& [address, option] : addresses) {
    ServerOptions options = OtherOptions();
    for (const char* text : {" 127.0.0.1:7070", "127.0.0.1: 7070", "http://127.0.0.1:7070", "me@127.0.0.1:7070"}) {
      options.*address = text;
      const absl::Status refused = Server::Start(options).status();
      EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << option << text;
      EXPECT_THAT(std::string(refused.message()), AllOf(StartsWith(option), EndsWith("; write 127.0.0.1:7070")));
    }
    options.*address = "::1:7070";
    EXPECT_THAT(std::string(Server::Start(options).status().message()), EndsWith("; write [::1]:7070")) << option;
  }
}

args::Parsed ParseLimits(std::vector<std::string> words, ServerOptions* options) {
  args::CommandLine line("", "sink-coordinator");
  AddLimitOptions(line.root(), *options);
  return line.Parse(std::move(words));
}

TEST(LimitOptions, TheScrubsPaceIsATimeWithinBounds) {
  ServerOptions options;
  EXPECT_EQ(ParseLimits({}, &options).kind, args::Parsed::Kind::kRun);
  EXPECT_EQ(options.scrub_interval, absl::Hours(24));
  EXPECT_EQ(ParseLimits({"--scrub-interval", "90m"}, &options).kind, args::Parsed::Kind::kRun);
  EXPECT_EQ(options.scrub_interval, absl::Minutes(90));
  for (const char* text : {"59s", "8785h", "0s", "inf", "often", "60"}) {
    const args::Parsed parsed = ParseLimits({"--scrub-interval", text}, &options);
    EXPECT_EQ(parsed.kind, args::Parsed::Kind::kMistake) << text;
    EXPECT_THAT(parsed.mistake, HasSubstr("--scrub-interval")) << text;
  }
}

TEST(LimitOptions, AJobsShareOfTheDiskIsASizeWithAUnit) {
  ServerOptions options;
  EXPECT_EQ(ParseLimits({}, &options).kind, args::Parsed::Kind::kRun);
  EXPECT_EQ(options.checkpoint_bytes_per_job, std::numeric_limits<uint64_t>::max()) << "what the disk has";
  const std::map<std::string, uint64_t> sizes = {
      {"1MB", 1'000'000}, {"200GB", 200'000'000'000}, {"1.5TB", 1'500'000'000'000}};
  for (const auto& [text, bytes] : sizes) {
    EXPECT_EQ(ParseLimits({"--checkpoint-bytes-per-job", text}, &options).kind, args::Parsed::Kind::kRun) << text;
    EXPECT_EQ(options.checkpoint_bytes_per_job, bytes);
  }
  for (const char* text : {"0GB", "0.5MB", "nanGB", "infTB", "GB", "200", "200GiB", "200 KB", "9999999TB"}) {
    const args::Parsed parsed = ParseLimits({"--checkpoint-bytes-per-job", text}, &options);
    EXPECT_EQ(parsed.kind, args::Parsed::Kind::kMistake) << text;
    EXPECT_THAT(parsed.mistake, HasSubstr("--checkpoint-bytes-per-job")) << text;
  }
}

TEST(RetentionOption, IsAnAgeAndHowManyOfTheBestKeepAllPoints) {
  constexpr int64_t kDay = 24 * 3'600'000;
  struct Case {
    std::string text;
    int64_t full_for_ms;
    int best;
  };
  for (const Case& one : {Case{"", 0, 0}, Case{"1d", kDay, 0}, Case{"30d", 30 * kDay, 0}, Case{"12h", kDay / 2, 0},
                          Case{"1s", 1000, 0}, Case{"30d,best=10", 30 * kDay, 10}, Case{"90m,best=0", kDay / 16, 0}}) {
    const auto policy = ParseRetention(one.text);
    ASSERT_TRUE(policy.ok()) << one.text << ": " << policy.status();
    EXPECT_EQ(policy->full_for_ms, one.full_for_ms) << one.text;
    EXPECT_EQ(policy->best, one.best) << one.text;
  }
  for (const char* text : {"0d", "-1d", "1.5d", "999ms", "36601d", "inf", "30", "d", "often", "30d,", "30d,10",
                           "30d,best=", "30d,best=-1", "30d,best=10,best=10", ",best=10", "best=10"}) {
    const absl::Status wrong = ParseRetention(text).status();
    EXPECT_EQ(wrong.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(wrong.message()), StartsWith(std::string("--keep-points ") + text)) << text;
  }
}

TEST(ListenAddress, IsParsedAndJudged) {
  for (const char* text : {"127.0.0.1:7070", "localhost:0", "[::1]:7070", "127.9.9.9:1"}) {
    ASSERT_TRUE(ParseListenAddress(text, "--listen").ok()) << text;
    EXPECT_TRUE(ParseListenAddress(text, "--listen")->IsLoopback()) << text;
  }
  for (const char* text : {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1", "128.0.0.1:1"}) {
    EXPECT_FALSE(ParseListenAddress(text, "--listen")->IsLoopback()) << text;
  }
  for (const char* text :
       {"", "7070", ":7070", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "::1:7070", "[]:1", "a:-1"}) {
    EXPECT_EQ(ParseListenAddress(text, "--listen").status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(ParseListenAddress("[::1]:0", "--listen")->WithPort(9), "[::1]:9");
}

TEST_F(ServerTest, MetricsShowAJobAsItTrains) {
  EXPECT_EQ(Series().at("sink_jobs{state=\"QUEUED\"}"), 0);
  const v1::Grant grant = RunningJob();
  ASSERT_TRUE(
      Report(grant.lease(), 2,
             {R"({"type":"progress","step":12,"tokens":3400,"tokens_per_second":56.5})",
              R"({"type":"metrics","step":12,"values":{"train_loss":3.25,"learning_rate":0.001,)"
              R"("gradient_norm":0.5,"validation_loss/bible":3.5,"sink_rate/0.3/1":0.125,"sink_rate/0.3/bias":0.25,)"
              R"("alpha_mean/1":0.08,"alpha_max/1":0.2,"hidden_norm_ratio/3":2.2,)"
              R"("validation_loss/bad\"label":1,"made_up":1}})"})
          .ok());
  ASSERT_TRUE(Upload(grant.lease(), 10, testing::TestCheckpoint()).ok());
  const std::string job = "{job=\"" + grant.lease().job_id().substr(0, 12) + "\"";
  const std::map<std::string, double> expected = {
      {"sink_jobs{state=\"RUNNING\"}", 1},
      {"sink_workers{state=\"connected\"}", 1},
      {"sink_dispatch_seconds_count", 1},
      {"sink_lease_expirations_total", 0},
      {"sink_job_step" + job + "}", 12},
      {"sink_tokens_total" + job + "}", 3400},
      {"sink_tokens_per_second" + job + "}", 56.5},
      {"sink_train_loss" + job + "}", 3.25},
      {"sink_learning_rate" + job + "}", 0.001},
      {"sink_gradient_norm" + job + "}", 0.5},
      {"sink_validation_loss" + job + ",domain=\"bible\"}", 3.5},
      {"sink_rate_ratio" + job + ",epsilon=\"0.3\",position=\"1\"}", 0.125},
      {"sink_rate_ratio" + job + ",epsilon=\"0.3\",position=\"bias\"}", 0.25},
      {"sink_alpha_mean_ratio" + job + ",position=\"1\"}", 0.08},
      {"sink_alpha_max_ratio" + job + ",position=\"1\"}", 0.2},
      {"sink_hidden_norm_ratio" + job + ",layer=\"3\"}", 2.2},
      {"sink_jobs_without_series", 0},
      {"sink_store_up", 1},
  };
  const std::map<std::string, double> series = Series();
  for (const auto& [name, value] : expected) {
    ASSERT_TRUE(series.count(name)) << name;
    EXPECT_DOUBLE_EQ(series.at(name), value) << name;
  }
  EXPECT_GT(series.at("sink_checkpoint_bytes_total"), 600'000);
  for (const auto& [name, value] : series) EXPECT_THAT(name, ::testing::Not(HasSubstr("bad")));

  // Its series stay for a while after its end, with the final values.
  ASSERT_TRUE(Report(grant.lease(), 4,
                     {R"({"type":"progress","step":100,"tokens":9000,"tokens_per_second":50})",
                      R"({"type":"finished","step":100})"})
                  .ok());
  ASSERT_TRUE(Finish(grant.lease(), 5).ok());
  EXPECT_EQ(Series().at("sink_jobs{state=\"SUCCEEDED\"}"), 1);
  EXPECT_EQ(Series().at("sink_tokens_total" + job + "}"), 9000);
}

class FewThreadsTest : public ServerTest {
 protected:
  static constexpr int kThreads = 24;
  FewThreadsTest() {
    StopServer();
    max_threads_ = kThreads;
    StartServer();
  }
};

TEST_F(FewThreadsTest, TransfersLeaveThreadsForHeartbeats) {
  const v1::Grant grant = RunningJob();
  testing::TestCheckpoint large;
  large.files[0].second.assign(24 << 20, 'x');  // more than the network takes while nobody reads
  ASSERT_TRUE(Upload(grant.lease(), 10, large).ok());
  v1::DownloadCheckpointRequest download;
  download.set_job_id(grant.lease().job_id());
  absl::Notification go_on;
  std::atomic<int> begun = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < kThreads / 2 + 4; ++i) {
    clients.emplace_back([&] {
      bool first = true;
      const absl::Status ended = client_->DownloadCheckpoint(download, [&](const v1::CheckpointChunk&) {
        if (first) ++begun;
        first = false;
        go_on.WaitForNotification();
        return true;
      });
      EXPECT_TRUE(ended.ok()) << ended;  // those that were refused have tried again
    });
  }
  for (int i = 0; i < 1000 && begun < kThreads / 2; ++i) usleep(20'000);
  usleep(300'000);  // for those that would take the other threads
  EXPECT_EQ(begun, kThreads / 2);
  for (int i = 0; i < 3; ++i) {
    v1::HeartbeatRequest request;
    request.set_worker_id(testing::kWorkerId);
    request.set_session(testing::kSession);
    const auto answer = worker().Heartbeat(request);
    EXPECT_TRUE(answer.ok()) << answer.status();
  }
  go_on.Notify();
  for (std::thread& client : clients) client.join();
  const auto refusals = [this] {
    const auto audit = client_->ListAudit({});
    return audit.ok() ? std::count_if(audit->entries().begin(), audit->entries().end(),
                                      [](const v1::AuditEntry& entry) {
                                        return entry.action() == "DownloadCheckpoint" && entry.outcome() != "ok";
                                      })
                      : 0;
  };
  for (int i = 0; i < 100 && refusals() == 0; ++i) usleep(20'000);
  EXPECT_EQ(refusals(), 1) << "however often they have tried";
}

class ExpiryTest : public ServerTest {
 protected:
  ExpiryTest() {
    StopServer();
    heartbeat_interval_ = absl::Milliseconds(100);
    lease_duration_ = absl::Milliseconds(400);
    StartServer();
  }
};

TEST_F(ExpiryTest, SilentWorkerLosesItsLease) {
  const v1::Grant grant = RunningJob();
  for (int i = 0; i < 100 && Series().at("sink_lease_expirations_total") == 0; ++i) usleep(20'000);
  EXPECT_EQ(Series().at("sink_lease_expirations_total"), 1);
  EXPECT_TRUE(IsStaleLease(Report(grant.lease(), 2, {R"({"type":"log","level":"info","message":"x"})"}).status()));
}

}  // namespace
}  // namespace sink
