// sink-worker: reads the command line and waits for signals; worker/daemon.h does the work. Exit status: 0 asked to
// stop, 1 could not start, 2 wrong usage.
#include <signal.h>
#include <spdlog/spdlog.h>
#include <stdio.h>
#include <stdlib.h>

#include "coordinator/identity/protect_process.h"
#include "proto/args/command_line.h"
#include "proto/base/hangup.h"
#include "worker/client_link.h"
#include "worker/daemon.h"
#include "worker/data_folder.h"
#include "worker/enrolment.h"
#include "worker/flags.h"

namespace sink::worker {
namespace {

int Fail(const absl::Status& status) {
  fprintf(stderr, "sink-worker: %s\n", std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

int RunUntilSignalled(Daemon& daemon, const sigset_t& signals) {
  constexpr timespec kTick = {.tv_sec = 0, .tv_nsec = 100'000'000};
  daemon.Start();
  for (bool stopping = false; !daemon.finished();) {
    const int received = sigtimedwait(&signals, nullptr, &kTick);
    if (received < 0) continue;
    if (!stopping) {
      stopping = true;
      spdlog::info("stopping as soon as the trainers have saved; another SIGTERM or SIGINT kills them at once");
      daemon.BeginDrain();
    } else if (received != SIGHUP) {  // which one closed terminal may send twice: its shell, and then the kernel
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
  if (EndsAtHangup()) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);  // of a log that nobody reads any more, as when ssh has ended
  StartLog("worker", flags.log);

  identity::ProtectProcess();
  if (absl::Status status = CheckFlags(flags); !status.ok()) return Fail(status);
  auto join = ReadJoinOption(flags.join);
  if (!join.ok()) return Fail(join.status());
  auto folder = DataFolder::Open(flags.data);
  if (!folder.ok()) return Fail(folder.status());
  auto devices = FindDevices(flags.devices, getenv("CUDA_VISIBLE_DEVICES"));
  if (!devices.ok()) return Fail(devices.status());
  auto options = MakeDaemonOptions(flags, *folder, static_cast<int>(devices->ids.size()));
  if (!options.ok()) return Fail(options.status());
  auto link = MakeClientLink(MakeEnrolmentOptions(flags, *folder, *join));
  if (!link.ok()) return Fail(link.status());
  Daemon daemon(link->get(), *std::move(devices), *std::move(options));
  return RunUntilSignalled(daemon, signals);
}

}  // namespace
}  // namespace sink::worker

int main(int argc, char** argv) {
  sink::worker::Flags flags;
  sink::args::CommandLine line("Offers this machine's devices to a Sink coordinator and runs its jobs.", "sink-worker");
  line.SetVersion("sink-worker " SINK_VERSION);
  sink::worker::AddFlags(line.root(), flags);
  if (const auto status = line.Parse(argc, argv, /*usage=*/2)) return *status;
  return sink::worker::Main(flags);
}
