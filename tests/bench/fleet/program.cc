// See program.h.
#include "tests/bench/fleet/program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace sink::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(120);

pid_t Spawn(const std::vector<std::string>& arguments, const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(out, 1);
  dup2(out, 2);
  execv(argv[0], argv.data());
  _exit(127);
}

int WaitForEnd(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

}  // namespace

void Fail(const std::string& message) {
  std::fprintf(stderr, "fleet_bench: %s\n", message.c_str());
  std::exit(1);
}

double RunTimed(const std::vector<std::string>& arguments) {
  const Clock::time_point begin = Clock::now();
  if (WaitForEnd(Spawn(arguments, "/dev/null")) != 0) Fail(arguments[0] + " " + arguments.back() + " failed");
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void Coordinator::Start() {
  std::filesystem::create_directories(folder_);
  const std::string named = folder_ + "/coordinator.addr";
  std::filesystem::remove(named);
  // Leases outlast every phase, so that nothing but what is measured changes a job.
  pid_ = Spawn({bin_dir_ + "/sink-coordinator", "--data", folder_, "--listen", "127.0.0.1:0", "--metrics-listen",
                "127.0.0.1:0", "--heartbeat-interval", "5s", "--lease-duration", "4h"},
               folder_ + ".log");
  const Clock::time_point begin = Clock::now();
  for (address_.clear(); address_.empty(); std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
    std::ifstream(named) >> address_;
    if (waitpid(pid_, nullptr, WNOHANG) != 0 || Clock::now() - begin > kPatience) {
      Fail(bin_dir_ + "/sink-coordinator does not start; see " + folder_ + ".log");
    }
  }
}

void Coordinator::Stop() {
  if (pid_ < 0) return;
  kill(pid_, SIGTERM);
  WaitForEnd(pid_);
  pid_ = -1;
}

double Coordinator::cpu_seconds() const {
  clockid_t clock;
  timespec time = {};
  if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &time) != 0) Fail("no CPU clock of a child");
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double Coordinator::resident_mib() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string word; status >> word;) {
    if (word != "VmRSS:") continue;
    double kib = 0;
    status >> kib;
    return kib / 1024;
  }
  Fail("no status of a child");
}

double Coordinator::database_bytes() const { return static_cast<double>(std::filesystem::file_size(database())); }

double Coordinator::Sinkctl(std::vector<std::string> arguments) const {
  setenv("SINK_CREDENTIALS", credentials().c_str(), 1);
  arguments.insert(arguments.begin(), {bin_dir_ + "/sinkctl", "--coordinator", address_, "--timeout", "120"});
  return RunTimed(arguments);
}

void Coordinator::Scrape() const {
  std::string address;
  std::ifstream(folder_ + "/metrics.addr") >> address;
  RunTimed({"/usr/bin/curl", "--silent", "--fail", "--max-time", "60", "http://" + address + "/metrics"});
}

}  // namespace sink::bench
