// See process_tree.h.
#include "worker/process_tree.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>

#include "absl/base/const_init.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "proto/files/descriptor.h"
#include "proto/files/files.h"
#include "worker/timing.h"

namespace sink::worker {
namespace {

constexpr size_t kMaxProcFileBytes = 4 << 20;

ABSL_CONST_INIT absl::Mutex trainers_mutex(absl::kConstInit);

std::set<pid_t>& Trainers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(trainers_mutex) {
  static auto* pids = new std::set<pid_t>;
  return *pids;
}

struct Process {
  pid_t pid = 0;
  char state = '?';
  pid_t parent = 0;
  pid_t session = 0;
};

std::optional<Process> ReadProcess(pid_t pid) {
  auto stat = files::ReadFile(absl::StrCat("/proc/", pid, "/stat"), kMaxProcFileBytes);
  if (!stat.ok()) return std::nullopt;
  // The second field is the program's name in brackets and may itself hold spaces and brackets.
  const size_t name_end = stat->rfind(')');
  Process process{.pid = pid};
  int group = 0;
  if (name_end == std::string::npos || sscanf(stat->c_str() + name_end + 1, " %c %d %d %d", &process.state,
                                              &process.parent, &group, &process.session) != 4) {
    return std::nullopt;
  }
  return process;
}

std::vector<Process> ListProcesses() {
  std::vector<Process> processes;
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(it->path().filename().string(), &pid)) continue;
    if (auto process = ReadProcess(pid)) processes.push_back(*process);
  }
  return processes;
}

bool CarriesMarker(pid_t pid, const std::string& marker) {
  auto environment = files::ReadFile(absl::StrCat("/proc/", pid, "/environ"), kMaxProcFileBytes);
  if (!environment.ok()) return false;
  for (absl::string_view entry : absl::StrSplit(*environment, '\0')) {
    if (!absl::ConsumePrefix(&entry, "SINK_RUN=") || !absl::ConsumePrefix(&entry, marker)) continue;
    if (entry.empty() || entry.front() == '/') return true;
  }
  return false;
}

bool IsOfRun(const Process& process, const std::string& marker, pid_t session) {
  if (process.state == 'Z' || process.state == 'X' || process.pid == getpid()) return false;
  return (session > 0 && process.session == session) || CarriesMarker(process.pid, marker);
}

// The number may be another process's by now: the descriptor is of the one that is looked at again.
void KillMember(pid_t pid, const std::string& marker, pid_t session) {
  const files::Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) {
    if (errno != ESRCH) kill(pid, SIGKILL);  // a kernel or a sandbox without such descriptors
    return;
  }
  const std::optional<Process> seen = ReadProcess(pid);
  if (!seen || !IsOfRun(*seen, marker, session)) return;
  if (syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH) kill(pid, SIGKILL);
}

}  // namespace

std::vector<pid_t> ProcessesOfRun(const std::string& marker, pid_t session) {
  std::vector<pid_t> pids;
  for (const Process& process : ListProcesses()) {
    if (IsOfRun(process, marker, session)) pids.push_back(process.pid);
  }
  return pids;
}

bool KillProcessesOfRun(const std::string& marker, pid_t session, absl::Duration timeout) {
  const absl::Duration deadline = BootTime() + timeout;
  while (true) {
    const std::vector<pid_t> pids = ProcessesOfRun(marker, session);
    if (pids.empty()) return true;
    for (pid_t pid : pids) KillMember(pid, marker, session);
    if (BootTime() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
}

void BecomeSubreaper() { prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

void ReapStrays() {
  // Reading the whole of /proc takes tens of milliseconds on a machine of thousands of processes, and a daemon that
  // waits calls this many times a second: only when the kernel says that some child has ended.
  siginfo_t ended{};
  if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
  absl::MutexLock lock(&trainers_mutex);
  for (const Process& process : ListProcesses()) {
    if (process.state != 'Z' || process.parent != getpid() || Trainers().count(process.pid) > 0) continue;
    waitpid(process.pid, nullptr, WNOHANG);
  }
}

pid_t ForkTrainer() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  // Under the lock, so that a child that dies at once is never taken for a stray. The child does not touch it, not even
  // to give it back: that may wait for a lock inside absl, which a thread had that the child is without.
  trainers_mutex.Lock();
  const pid_t pid = fork();
  if (pid == 0) return 0;
  if (pid > 0) Trainers().insert(pid);
  trainers_mutex.Unlock();
  return pid;
}

void ForgetTrainer(pid_t trainer) {
  absl::MutexLock lock(&trainers_mutex);
  Trainers().erase(trainer);
}

bool ReapTrainer(pid_t trainer) {
  absl::MutexLock lock(&trainers_mutex);  // its number may be the next trainer's as soon as it is reaped
  if (waitpid(trainer, nullptr, WNOHANG) == 0) return false;
  Trainers().erase(trainer);
  return true;
}

}  // namespace sink::worker
