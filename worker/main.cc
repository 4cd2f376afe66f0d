// sink-worker: reads the command line and waits for signals; worker/daemon.h does the work.
#include <signal.h>
#include <spdlog/spdlog.h>
#include <stdio.h>

#include <CLI/CLI.hpp>

#include "worker/client_link.h"
#include "worker/daemon.h"
#include "worker/data_folder.h"
#include "worker/flags.h"

namespace sink::worker {
namespace {

int Fail(const absl::Status& status) {
  fprintf(stderr, "sink-worker: %s\n", std::string(status.message()).c_str());
  return 1;
}

int RunUntilSignalled(Daemon& daemon, const sigset_t& signals) {
  constexpr timespec kTick = {.tv_sec = 0, .tv_nsec = 100'000'000};
  daemon.Start();
  for (int received = 0; !daemon.finished();) {
    if (sigtimedwait(&signals, nullptr, &kTick) < 0) continue;
    if (++received == 1) {
      spdlog::info("stopping: trainers save first; once more to kill them");
      daemon.BeginDrain();
    } else {
      daemon.Kill();
    }
  }
  return 0;
}

int Main(const Flags& flags) {
  // Blocked before any thread starts, so that only sigtimedwait sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  spdlog::set_level(spdlog::level::from_str(flags.log_level));

  auto folder = DataFolder::Open(flags.data);
  if (!folder.ok()) return Fail(folder.status());
  auto options = MakeDaemonOptions(flags, *folder);
  if (!options.ok()) return Fail(options.status());
  auto devices = FindDevices(flags.devices, getenv("CUDA_VISIBLE_DEVICES"));
  if (!devices.ok()) return Fail(devices.status());
  auto link = MakeClientLink(flags.coordinator);
  if (!link.ok()) return Fail(link.status());
  Daemon daemon(link->get(), *std::move(devices), *std::move(options));
  return RunUntilSignalled(daemon, signals);
}

}  // namespace
}  // namespace sink::worker

int main(int argc, char** argv) {
  sink::worker::Flags flags;
  CLI::App app{"Offers this machine's devices to a Sink coordinator and runs its jobs.", "sink-worker"};
  app.add_option("--coordinator", flags.coordinator, "HOST:PORT")->envname("SINK_COORDINATOR")->required();
  app.add_option("--data", flags.data, "folder of this worker: runs, checkpoints, undelivered events")->required();
  app.add_option("--name", flags.name, "name shown to people (default: the host's)");
  app.add_option("--devices", flags.devices, "auto (GPUs, else one CPU slot), cpu:N or gpu")->capture_default_str();
  app.add_option("--trainer", flags.trainer, "the sink-trainer program (default: beside this one, else on PATH)");
  app.add_option("--data-root", flags.data_root, "folder of the packed sets (default: DATA/sets)");
  app.add_option("--grace", flags.grace, "time to save when stopped, if a job names none")->capture_default_str();
  app.add_option("--hang-timeout", flags.hang_timeout, "a trainer silent for this long hangs")->capture_default_str();
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warning or error")
      ->capture_default_str()
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error"}));
  app.footer(
      "SIGTERM or SIGINT: trainers save, the rest is delivered, exit 0. A second one kills at once.\n\nExamples:\n"
      "  sink-worker --coordinator 127.0.0.1:7070 --data ~/sink/worker1 --devices cpu:1\n"
      "  SINK_COORDINATOR=head:7070 sink-worker --data /scratch/sink --devices gpu --data-root /data/packed");
  CLI11_PARSE(app, argc, argv);
  return sink::worker::Main(flags);
}
