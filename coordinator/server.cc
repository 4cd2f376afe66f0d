// See server.h.
#include "coordinator/server.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "coordinator/core/audit_log.h"
#include "coordinator/core/connection_owners.h"
#include "coordinator/core/job_manager.h"
#include "coordinator/core/principals.h"
#include "coordinator/files/file_status.h"
#include "coordinator/identity/authority.h"
#include "coordinator/identity/credential.h"
#include "coordinator/identity/host_port.h"
#include "coordinator/identity/tls.h"
#include "coordinator/listen_address.h"
#include "coordinator/published_credential.h"
#include "coordinator/retention_option.h"
#include "coordinator/service/accept_loop.h"
#include "coordinator/service/access.h"
#include "coordinator/service/checkpoint_guard.h"
#include "coordinator/service/checkpoint_repository.h"
#include "coordinator/service/client_service.h"
#include "coordinator/service/disk_watch.h"
#include "coordinator/service/fail_stop.h"
#include "coordinator/service/gatekeeper.h"
#include "coordinator/service/identity_service.h"
#include "coordinator/service/job_changes.h"
#include "coordinator/service/lease_desk.h"
#include "coordinator/service/listening_sockets.h"
#include "coordinator/service/metrics_exporter.h"
#include "coordinator/service/page_sessions.h"
#include "coordinator/service/scrape_endpoint.h"
#include "coordinator/service/self_call.h"
#include "coordinator/service/stream_gate.h"
#include "coordinator/service/worker_service.h"
#include "coordinator/store/checkpoint_folder.h"
#include "coordinator/store/sqlite_store.h"
#include "coordinator/web/web_server.h"
#include "proto/files/files.h"
#include "proto/files/random_id.h"

namespace sink {
namespace {

constexpr int kMaxMessageBytes = 16 << 20;  // a submission with all its files
constexpr char kWhyDeaf[] = ": is the port in use, or the host none of this machine's? Port 0 is any that is free";
constexpr char kNotForBrowsers[] = "; IPv6 is for --listen alone";
constexpr size_t kLeastToken = 16;  // characters
constexpr int64_t kMemoryOfMessages = 48 << 20, kMemoryOfConnection = 512 << 10, kMostMemory = 512 << 20;
constexpr uint64_t kScrubBytesPerSecond = 64 << 20;
constexpr int64_t kCertificateIntervalMs = 60'000;  // between looks whether one is due
constexpr absl::Duration kConnectionAge = absl::Hours(1);
constexpr auto kShutdownGrace = std::chrono::seconds(5);

absl::Status CheckOptions(const ServerOptions& options) {
  if (options.data.empty()) {
    return absl::InvalidArgumentError("--data is missing: name a folder for its files: --data ./coordinator");
  }
  if (options.heartbeat_interval < absl::Milliseconds(100)) {
    return absl::InvalidArgumentError("--heartbeat-interval: must be at least 100ms");
  }
  if (options.lease_duration < 3 * options.heartbeat_interval || options.lease_duration > absl::Hours(24)) {
    return absl::InvalidArgumentError(
        "--lease-duration: must be at least 3 heartbeat intervals, so that a late heartbeat costs nothing, and at most "
        "24h");
  }
  if (!options.advertise.empty()) {
    // As whoever gets a token with it reads it (client/address.h).
    const auto advertised = identity::ParseHostPort(options.advertise, "an address of a coordinator");
    if (!advertised.ok())
      return absl::InvalidArgumentError(absl::StrCat("--advertise: ", advertised.status().message()));
  }
  return ParseRetention(options.keep_points).status();
}

// What a token for another machine says; empty: nothing is known of it.
std::string ReachedAt(const ServerOptions& options, const ListenAddress& listen, int port) {
  if (!options.advertise.empty()) return options.advertise;
  const bool everywhere = listen.Called().host != listen.host;
  return everywhere || listen.IsLoopback() ? "" : listen.WithPort(port);
}

// gRPC 1.51 may take no connection any more once descriptors were short, and every worker takes one.
void RaiseDescriptorLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) spdlog::info("open files: {} instead of {}", limit.rlim_max, before);
}

int AllConnections(const ServerOptions& options) {
  return options.connections > 0 ? options.connections : MostConnections();
}

// What all connections together may have gRPC hold of messages that have not come whole yet. It is all that bounds
// them: gRPC 1.51 looks at a message's size once it has all of it (github.com/grpc/grpc/issues/43012). So it is made to
// fit: a few of the largest submissions, and from each connection a report of the largest size, as when all workers
// catch up after an outage. What is more makes gRPC compact first, then close idle connections, then reset calls,
// whoever's they are; workers try again. Its buffers take about as much again in memory.
size_t MemoryQuota(int connections) {
  return static_cast<size_t>(std::min(kMemoryOfMessages + connections * kMemoryOfConnection, kMostMemory));
}

// Short beside the last third of a certificate's time, in which it is renewed.
int ConnectionAgeMs(const identity::Lifetimes& lifetimes) {
  const absl::Duration shortest = std::min({lifetimes.user, lifetimes.worker, 6 * kConnectionAge});
  return static_cast<int>(absl::ToInt64Milliseconds(shortest / 6));
}

// A worker that waits and has died is missed within a lease all the same; and where certificates last for minutes, it
// calls often enough to renew its own.
int64_t RestMs(const ServerOptions& options) {
  const absl::Duration rest = std::min({options.lease_duration - 4 * options.heartbeat_interval,
                                        options.lifetimes.worker / 12, absl::Duration(absl::Minutes(1))});
  return std::max<int64_t>(0, absl::ToInt64Milliseconds(rest));
}

// Removes what interrupted uploads left, and says so when a row has lost its files.
absl::Status ReconcileCheckpoints(JobQueries* queries, CheckpointRepository* checkpoints) {
  const auto jobs = checkpoints->Jobs();
  if (!jobs.ok()) return jobs.status();
  if (!checkpoints->CheckHere().ok()) return absl::OkStatus();  // DiskWatch says so; the scrub does it later
  for (const std::string& id : *jobs) {
    const auto details = queries->GetJob(id);
    if (absl::IsNotFound(details.status())) {
      spdlog::warn("checkpoints of job {}, which the database does not know, are left alone", id);
      continue;
    }
    if (!details.ok()) return details.status();
    for (const Checkpoint& row : details->checkpoints) {
      if (checkpoints->Has({row.job_id, row.fence, row.step})) continue;
      spdlog::error("job {}: the files of its checkpoint of step {} are gone", id, row.step);
    }
    // An attempt that still has its lease goes on with its upload; everything before it without a row is dead.
    const uint64_t live_fence = details->job.holder.fence;
    const CheckpointKey next{id, live_fence > 0 ? live_fence : UINT64_MAX, 0};
    if (absl::Status status = checkpoints->KeepOnly(next, details->checkpoints); !status.ok()) {
      spdlog::warn("job {}: {}", id, status.ToString());
    }
  }
  return absl::OkStatus();
}

}  // namespace

// Everything that a running server is made of, in the order of making; destroyed in reverse.
struct Server::Parts {
  FailStop fail_stop;
  std::unique_ptr<store::SqliteStore> store;
  std::unique_ptr<identity::Authority> authority;
  std::unique_ptr<Principals> principals;
  std::unique_ptr<AuditLog> audit;
  std::unique_ptr<Rates> rates;
  std::unique_ptr<ConnectionOwners> owners;
  std::unique_ptr<Gatekeeper> gatekeeper;
  std::unique_ptr<Access> access;
  std::unique_ptr<PageSessions> page_sessions;
  PublishedCredential published;
  std::shared_ptr<MetricsExporter> exporter;
  std::unique_ptr<JobManager> jobs;
  std::unique_ptr<CheckpointRepository> checkpoints;
  std::unique_ptr<DiskWatch> disk;
  std::unique_ptr<StreamGate> gate;
  std::unique_ptr<CheckpointGuard> guard;
  std::unique_ptr<LeaseDesk> desk;
  std::unique_ptr<JobChanges> changes;
  std::unique_ptr<ClientServiceImpl> client_service;
  std::unique_ptr<WorkerServiceImpl> worker_service;
  std::unique_ptr<IdentityServiceImpl> identity_service;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;
  std::unique_ptr<grpc::ResourceQuota> quota;
  std::unique_ptr<grpc::Server> grpc_server;
  std::unique_ptr<AcceptLoop> connections;
  std::unique_ptr<SelfCall> self_call;
  std::unique_ptr<ScrapeEndpoint> scrapes;
  std::unique_ptr<web::WebServer> page;
  std::string address, metrics_address;
  int port = 0;

  std::mutex mutex;  // guards `stopping`
  std::condition_variable stopping_changed;
  bool stopping = false;
  std::thread ticker;

  absl::Status OpenData(const ServerOptions& options);
  absl::Status OpenIdentity(const ServerOptions& options);
  // Two databases do not change at once: a name may have an owner and no sweep.
  absl::Status FindVacantNames();
  // The admin's certificate counts.
  absl::Status AddAdmin(const identity::Claims& claims);
  absl::Status RenewCertificates();
  absl::Status Listen(const ListenAddress& listen, const ServerOptions& options);
  // Whoever connects is gRPC's from here on, within the limits.
  void Accept(ListeningSockets listening, const ListenAddress& listen, const ServerOptions& options);
  absl::Status ListenForScrapes(const ListenAddress& listen, const std::string& token_file);
  absl::Status ServePage(const ServerOptions& options, int metrics_port);
  // While it is full no job is given out, and none that has checkpoints while they are away.
  void LookAtDisk();
  void TickLoop(std::chrono::nanoseconds interval);
};

absl::Status Server::Parts::OpenData(const ServerOptions& options) {
  // Durably: what is acknowledged below is lost with the folder's own name.
  if (const auto failed = files::MakeFolders(options.data)) return ToStatus(failed);
  auto opened = store::SqliteStore::Open(options.data, {.told = [](const std::string& what) {
                                           spdlog::critical("{}", what);
                                           spdlog::default_logger()->flush();
                                         }});
  if (!opened.ok()) return opened.status();
  store = std::move(*opened);
  if (absl::Status status = identity::CloseFolder(options.data); !status.ok()) return status;
  if (absl::Status status = OpenIdentity(options); !status.ok()) return status;
  exporter = std::make_shared<MetricsExporter>(&fail_stop, SystemNow, options.data);
  CoreOptions rules;
  rules.heartbeat_interval_ms = absl::ToInt64Milliseconds(options.heartbeat_interval);
  rules.lease_duration_ms = absl::ToInt64Milliseconds(options.lease_duration);
  rules.rest_ms = RestMs(options);
  rules.checkpoints_kept = options.checkpoints_kept;
  const auto keep_points = ParseRetention(options.keep_points);
  if (!keep_points.ok()) return keep_points.status();
  rules.keep_points = *keep_points;
  rules.retry.delay_ms = absl::ToInt64Milliseconds(options.retry_delay);
  rules.new_lease_id = files::RandomId;
  auto started = JobManager::Start(store.get(), std::move(rules), exporter.get(), SystemNow());
  if (!started.ok()) return started.status();
  jobs = std::move(*started);
  if (absl::Status status = FindVacantNames(); !status.ok()) return status;
  const std::string folder = absl::StrCat(options.data, "/checkpoints");
  const auto folder_id = store::KnownFolderId(store.get(), folder);
  if (!folder_id.ok()) {
    spdlog::error("{} cannot be told from the folder of another disk until the next start: {}", folder,
                  folder_id.status().ToString());
  }
  checkpoints = std::make_unique<CheckpointRepository>(folder, options.disk_reserve, options.checkpoint_bytes_per_job,
                                                       folder_id.value_or(0));
  disk = std::make_unique<DiskWatch>(options.data, options.disk_reserve);
  LookAtDisk();
  guard = std::make_unique<CheckpointGuard>(&jobs->checkpoints(), &jobs->queries(), checkpoints.get(), &fail_stop,
                                            SystemNow);
  if (absl::Status status = guard->RemoveDeleted(); !status.ok()) return status;
  if (absl::Status status = ReconcileCheckpoints(&jobs->queries(), checkpoints.get()); !status.ok()) return status;
  guard->StartScrub(absl::ToChronoNanoseconds(options.scrub_interval), kScrubBytesPerSecond);
  exporter->SetQueries(&jobs->queries());
  return absl::OkStatus();
}

absl::Status Server::Parts::OpenIdentity(const ServerOptions& options) {
  const std::string folder = absl::StrCat(options.data, "/tls");
  auto opened = identity::Authority::Open(folder, options.lifetimes, absl::Now());
  if (!opened.ok()) return opened.status();
  authority = std::make_unique<identity::Authority>(*std::move(opened));
  auto known = Principals::Open(absl::StrCat(folder, "/identity.db"));
  if (!known.ok()) return known.status();
  principals = std::move(*known);
  auto log = AuditLog::Open(absl::StrCat(folder, "/audit.db"));
  if (!log.ok()) return log.status();
  audit = std::move(*log);
  rates = std::make_unique<Rates>(options.rates, [this] { exporter->CallRefused(Gatekeeper::Refusal::kRate); });
  owners = std::make_unique<ConnectionOwners>(AllConnections(options));
  gatekeeper = std::make_unique<Gatekeeper>(principals.get(), audit.get(), rates.get(), owners.get(),
                                            [this](Gatekeeper::Refusal why) { exporter->CallRefused(why); });
  const auto admin = authority->admin();
  return admin.ok() ? AddAdmin(*admin) : admin.status();
}

absl::Status Server::Parts::FindVacantNames() {
  const auto sweeps = jobs->queries().ListSweeps();
  if (!sweeps.ok()) return sweeps.status();
  absl::flat_hash_set<std::string> names;
  for (const Sweep& sweep : *sweeps) names.insert(sweep.name);
  principals->FindVacant(names);
  return absl::OkStatus();
}

absl::Status Server::Parts::AddAdmin(const identity::Claims& claims) {
  const std::string name = absl::StrCat("user/", identity::kAdmin);
  absl::Status status = principals->Put(
      {.name = name, .role = Role::kAdmin, .key = "", .uses = 0, .revoked = false, .created_ms = SystemNow().unix_ms});
  if (!status.ok()) return status;
  return principals->AddCertificate({.serial = claims.serial,
                                     .principal = name,
                                     .not_after_ms = absl::ToUnixMillis(claims.not_after),
                                     .renewable = true});
}

absl::Status Server::Parts::RenewCertificates() {
  const auto renewed = authority->Refresh(absl::Now());
  absl::Status status = renewed.status();
  for (const identity::Claims& claims : renewed.ok() ? *renewed : std::vector<identity::Claims>()) {
    status.Update(AddAdmin(claims));
  }
  status.Update(principals->Prune(SystemNow().unix_ms));
  return status;
}

absl::Status Server::Parts::Listen(const ListenAddress& listen, const ServerOptions& options) {
  auto listening = ListenOn(listen.host, listen.port);
  if (!listening.ok()) {
    return absl::UnavailableError(absl::StrCat("--listen: cannot listen on ", listen.WithPort(listen.port), kWhyDeaf));
  }
  identity::SendGrpcLogToDebug();
  access = std::make_unique<Access>(gatekeeper.get(), principals.get(), audit.get(), &jobs->queries(), options.quota,
                                    [this] { exporter->CallRefused(Gatekeeper::Refusal::kQuota); });
  gate = std::make_unique<StreamGate>(
      options.max_threads,
      StreamGate::Patience{.first_message = absl::ToChronoMilliseconds(options.first_message),
                           .next_message = absl::ToChronoMilliseconds(options.next_message)},
      gatekeeper.get());
  changes = std::make_unique<JobChanges>(access.get(), &jobs->clients(), disk.get(), SystemNow);
  client_service = std::make_unique<ClientServiceImpl>(access.get(), changes.get(), &jobs->clients(), &jobs->queries(),
                                                       &jobs->retention(), &jobs->checkpoints(), guard.get(),
                                                       disk.get(), gate.get(), &fail_stop, SystemNow);
  desk = std::make_unique<LeaseDesk>(&jobs->dispatcher(), SystemNow);
  worker_service = std::make_unique<WorkerServiceImpl>(gatekeeper.get(), &jobs->workers(), desk.get(), &jobs->queries(),
                                                       checkpoints.get(), guard.get(), disk.get(), gate.get(),
                                                       rates.get(), &fail_stop, SystemNow);
  page_sessions = std::make_unique<PageSessions>(principals.get());
  identity_service = std::make_unique<IdentityServiceImpl>(authority.get(), access.get(), rates.get(), &jobs->workers(),
                                                           page_sessions.get(),
                                                           ReachedAt(options, listen, listening->port), SystemNow);
  const auto credentials = identity::MakeServerCredentials(authority->server_folder());
  credentials->SetAuthMetadataProcessor(gatekeeper->MakeProcessor());
  grpc::ServerBuilder builder;
  quota = std::make_unique<grpc::ResourceQuota>("sink");
  quota->Resize(MemoryQuota(0)).SetMaxThreads(options.max_threads);
  builder.SetResourceQuota(*quota);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // A compressed message is unpacked before its size is looked at, and a small one may hold gigabytes.
  for (const auto algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP})
    builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
  // Threads above so many end when they are idle, and in a busy hour each call would make one and end it.
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 16);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 100);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);  // notices a worker that has lost its power
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             static_cast<int>(absl::ToInt64Milliseconds(options.handshake_timeout)));
  // Clients come again with the certificate that they have by then; calls in progress end first.
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, ConnectionAgeMs(authority->lifetimes()));
  acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
  builder.RegisterService(client_service.get());
  builder.RegisterService(worker_service.get());
  builder.RegisterService(identity_service.get());
  grpc_server = builder.BuildAndStart();
  if (grpc_server == nullptr) return absl::InternalError("gRPC does not start");
  Accept(*std::move(listening), listen, options);
  return absl::OkStatus();
}

void Server::Parts::Accept(ListeningSockets listening, const ListenAddress& listen, const ServerOptions& options) {
  port = listening.port;
  address = listen.WithPort(port);
  connections = std::make_unique<AcceptLoop>(
      std::move(listening.sockets),
      ConnectionOptions{.total = AllConnections(options), .per_address = options.connections_per_address}, owners.get(),
      [this](int fd, int open) {
        // Before its first byte is read: after a restart all workers come sooner than the first tick.
        quota->Resize(MemoryQuota(open));
        grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters taken;
        taken.fd = fd;
        acceptor->HandleNewConnection(&taken);
      });
  self_call = std::make_unique<SelfCall>(
      SelfCall::Options{.address = listen.Called().WithPort(port), .credential = authority->admin_folder()});
  exporter->SetMore([this](Families* families) {
    connections->AddSeries(families);
    self_call->AddSeries(families);
    disk->AddSeries(families);
    AddDescriptors(families);
  });
}

absl::Status Server::Parts::ListenForScrapes(const ListenAddress& listen, const std::string& token_file) {
  const std::string wanted = listen.WithPort(listen.port);
  std::string token;
  if (!token_file.empty()) {
    const auto text = identity::ReadSecretFile(token_file);
    if (!text.ok()) return text.status();
    token = std::string(absl::StripAsciiWhitespace(*text));
    if (token.size() < kLeastToken) {
      return absl::InvalidArgumentError(absl::StrCat("--metrics-token-file: the token in ", token_file,
                                                     " is shorter than ", kLeastToken,
                                                     " characters; make one: openssl rand -hex 32"));
    }
  } else if (!listen.IsLoopback()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--metrics-listen: ", listen.host,
                     " can be reached from other machines: name a file with a password for it by "
                     "--metrics-token-file, or listen on 127.0.0.1"));
  }
  auto started = ScrapeEndpoint::Start(wanted, token, exporter);
  if (!started.ok()) {
    return absl::UnavailableError(
        absl::StrCat("--metrics-listen: cannot listen on ", wanted, kWhyDeaf, kNotForBrowsers));
  }
  scrapes = std::move(*started);
  metrics_address = listen.WithPort(scrapes->port());
  return absl::OkStatus();
}

absl::Status Server::Parts::ServePage(const ServerOptions& options, int metrics_port) {
  if (options.page_listen.empty()) return absl::OkStatus();
  const bool next = options.page_listen == "next";
  const auto listen = next ? ListenAddress{.host = "127.0.0.1", .port = metrics_port == 0 ? 0 : metrics_port + 1}
                           : ParseListenAddress(options.page_listen, "--page-listen");
  if (!listen.ok()) return listen.status();
  if (!listen->IsLoopback()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--page-listen: ", listen->host,
                     " can be reached from other machines, and the page has no TLS; listen on 127.0.0.1, and from "
                     "elsewhere use a tunnel: ssh -L 7072:127.0.0.1:7072 HOST"));
  }
  auto started = web::WebServer::Start(listen->host, listen->port,
                                       {.api = {.queries = &jobs->queries(),
                                                .changes = changes.get(),
                                                .access = access.get(),
                                                .sessions = page_sessions.get(),
                                                .fail_stop = &fail_stop,
                                                .now = SystemNow,
                                                .port_answers = [this] { return self_call->status(); }},
                                        .guard = guard.get(),
                                        .disk = disk.get(),
                                        .patience = options.first_message});
  if (started.ok()) {
    page = std::move(*started);
    spdlog::info("page for browsers at {}: sinkctl page opens it", page->address());
  } else if (next) {
    spdlog::warn("there is no page for browsers: {}; choose another address with --page-listen",
                 std::string(started.status().message()));
  } else {
    return absl::UnavailableError(
        absl::StrCat("--page-listen: ", std::string(started.status().message()), kWhyDeaf, kNotForBrowsers));
  }
  return absl::OkStatus();
}

void Server::Parts::LookAtDisk() {
  const absl::Status here = checkpoints->CheckHere();
  disk->Look(SystemNow().steady_ms, here, store->CheckInPlace());
  jobs->dispatcher().SetRoom(!disk->full());
  jobs->dispatcher().SetCheckpointsAway(!here.ok());
}

void Server::Parts::TickLoop(std::chrono::nanoseconds interval) {
  absl::StatusCode last = absl::StatusCode::kOk;
  // Also when somebody has set the clock back.
  int64_t look_at_certificates_ms = SystemNow().steady_ms + kCertificateIntervalMs;
  std::unique_lock lock(mutex);
  while (!stopping_changed.wait_for(lock, interval, [this] { return stopping; })) {
    lock.unlock();
    LookAtDisk();
    quota->Resize(MemoryQuota(connections->open()));  // shrinks as connections close; each that opens makes it grow
    absl::Status status = jobs->expiry().Tick(SystemNow());
    status.Update(jobs->retention().Tick(SystemNow()));
    if (absl::Status flushed = audit->Flush(); !flushed.ok())
      spdlog::error("the audit log cannot be written: {}", flushed.ToString());
    fail_stop.Report(status);
    if (!status.ok() && status.code() != last)
      spdlog::error("leases or old points could not be checked: {}", status.ToString());
    last = status.code();
    if (const int64_t now_ms = SystemNow().steady_ms; now_ms >= look_at_certificates_ms) {
      look_at_certificates_ms = now_ms + kCertificateIntervalMs;
      if (absl::Status renewed = RenewCertificates(); !renewed.ok())
        spdlog::error("certificates could not be renewed: {}", renewed.ToString());
    }
    lock.lock();
  }
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  const auto listen = ParseListenAddress(options.listen, "--listen");
  if (!listen.ok()) return listen.status();
  const auto metrics_listen = ParseListenAddress(options.metrics_listen, "--metrics-listen");
  if (!metrics_listen.ok()) return metrics_listen.status();
  auto server = std::unique_ptr<Server>(new Server(std::make_unique<Parts>()));
  Parts& parts = *server->parts_;
  RaiseDescriptorLimit();  // of which the number of connections is made
  if (absl::Status status = parts.OpenData(options); !status.ok()) return status;
  if (absl::Status status = parts.Listen(*listen, options); !status.ok()) return status;
  if (absl::Status status = parts.ListenForScrapes(*metrics_listen, options.metrics_token_file); !status.ok())
    return status;
  // The lock on the folder is held, so nobody else writes these.
  const auto write = [&](const char* name, const std::string& address) {
    return ToStatus(files::ReplaceFile(absl::StrCat(options.data, "/", name), address + "\n", 0600));
  };
  absl::Status written = write("metrics.addr", parts.metrics_address);
  written.Update(parts.ServePage(options, metrics_listen->port));
  if (parts.page != nullptr) {
    written.Update(write("page.addr", parts.page->address()));
  } else {
    std::error_code ignored;
    std::filesystem::remove(absl::StrCat(options.data, "/page.addr"), ignored);
  }
  written.Update(write("coordinator.addr", parts.address));
  if (!written.ok()) return written;
  parts.published.Publish(options.config, parts.authority->admin_folder(), *listen, parts.port);
  parts.ticker =
      std::thread([&parts, interval = absl::ToChronoNanoseconds(options.tick_interval)] { parts.TickLoop(interval); });
  return server;
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Server::~Server() { Shutdown(); }

absl::Status Server::Wait(const std::function<bool()>& asked_to_stop) {
  for (;;) {
    if (absl::Status failure = parts_->fail_stop.failure(); !failure.ok()) return failure;
    if (asked_to_stop()) return absl::OkStatus();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

void Server::Shutdown() {
  Parts& parts = *parts_;
  {
    std::lock_guard lock(parts.mutex);
    parts.stopping = true;
  }
  parts.stopping_changed.notify_all();
  parts.published.Withdraw();
  parts.page.reset();
  if (parts.gate != nullptr) parts.gate->Close();
  if (parts.desk != nullptr) parts.desk->Close();
  if (parts.ticker.joinable()) parts.ticker.join();
  if (parts.exporter != nullptr) parts.exporter->SetMore({});
  parts.self_call.reset();
  parts.connections.reset();
  if (parts.grpc_server != nullptr) {
    parts.grpc_server->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
    parts.grpc_server->Wait();
  }
  if (parts.exporter != nullptr) parts.exporter->SetQueries(nullptr);
  parts.scrapes.reset();
  parts.grpc_server.reset();
  parts.desk.reset();
  parts.guard.reset();
  parts.jobs.reset();
  parts.store.reset();
}

int Server::port() const { return parts_->port; }
std::string Server::address() const { return parts_->address; }
std::string Server::metrics_address() const { return parts_->metrics_address; }
std::string Server::page_address() const { return parts_->page == nullptr ? "" : parts_->page->address(); }

}  // namespace sink
