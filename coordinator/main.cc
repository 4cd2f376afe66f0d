// sink-coordinator: reads the command line and serves until SIGTERM, SIGINT or SIGHUP. Exit status: 0 asked to stop, 1
// could not start or the store has failed, 2 wrong usage.
#include <signal.h>
#include <spdlog/spdlog.h>

#include <iostream>
#include <string>

#include "absl/synchronization/mutex.h"
#include "coordinator/identity/credential.h"
#include "coordinator/identity/protect_process.h"
#include "coordinator/limit_options.h"
#include "coordinator/log/log.h"
#include "coordinator/server.h"
#include "proto/args/command_line.h"
#include "proto/base/hangup.h"

namespace {

volatile sig_atomic_t asked_to_stop = 0;

constexpr char kFooter[] =
    "SIGTERM, SIGINT or SIGHUP (a closed terminal, unless started by nohup): ends, exit 0.\n\nExamples:\n"
    "  sink-coordinator --data /var/lib/sink\n"
    "  sink-coordinator --data ./coordinator --listen 127.0.0.1:0   # the address: coordinator/coordinator.addr\n"
    "  sinkctl --coordinator 127.0.0.1:7070 status\n";

int Fail(const absl::Status& status) {
  std::cerr << "sink-coordinator: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  sink::ServerOptions options{.page_listen = "next"};
  std::string heartbeat_interval = "5s", lease_duration = "60s";
  sink::LogOptions log;
  sink::args::CommandLine line("Stores the jobs of sweeps, leases them to workers and shows how they fare.",
                               "sink-coordinator");
  line.SetVersion("sink-coordinator " SINK_VERSION);
  sink::args::Command root = line.root();
  root.SetFooter(kFooter);
  root.AddOption("--data", options.data, "Folder for the database and checkpoints (required); created when absent");
  root.AddOption("--listen", options.listen, "host:port for workers and sinkctl; port 0: any").ShowDefault();
  root.AddOption("--advertise", options.advertise, "HOST:PORT for tokens, where other machines reach it (as --listen)");
  root.AddOption("--metrics-listen", options.metrics_listen, "host:port of /metrics for Prometheus").ShowDefault();
  root.AddOption("--metrics-token-file", options.metrics_token_file, "Password for /metrics, unless on loopback");
  root.AddOption("--page-listen", options.page_listen, "Loopback host:port of the page; \"\" for none").ShowDefault();
  root.AddOption("--heartbeat-interval", heartbeat_interval, "How often workers report").ShowDefault();
  root.AddOption("--lease-duration", lease_duration, "A worker silent for this long loses its jobs").ShowDefault();
  sink::AddLimitOptions(root, options);
  sink::AddLogOptions(root, &log);
  if (const auto status = line.Parse(argc, argv, /*usage=*/2)) return *status;
  if (!absl::ParseDuration(heartbeat_interval, &options.heartbeat_interval) ||
      !absl::ParseDuration(lease_duration, &options.lease_duration)) {
    return Fail(absl::InvalidArgumentError("--heartbeat-interval, --lease-duration: write a time such as 5s or 500ms"));
  }
  sink::StartLog("coordinator", log);

  struct sigaction action = {};
  action.sa_handler = [](int) { asked_to_stop = 1; };
  for (const int number : {SIGTERM, SIGINT}) sigaction(number, &action, nullptr);
  if (sink::EndsAtHangup()) sigaction(SIGHUP, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
  // A packaged absl may look for cycles at every lock, in a release, too: of gRPC's locks, a twentieth of all that a
  // busy coordinator computes.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  sink::identity::ProtectProcess();
  options.config = sink::identity::ConfigFolder(sink::identity::ProcessEnvironment);

  auto server = sink::Server::Start(options);
  if (!server.ok()) return Fail(server.status());
  spdlog::info("listening on {}, metrics on http://{}/metrics, data in {}", (*server)->address(),
               (*server)->metrics_address(), options.data);
  const absl::Status status = (*server)->Wait([] { return asked_to_stop != 0; });
  if (status.ok()) spdlog::info("stopping");
  (*server)->Shutdown();
  return status.ok() ? 0 : Fail(status);
}
