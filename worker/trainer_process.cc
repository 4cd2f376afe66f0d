// See trainer_process.h.
#include "worker/trainer_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "coordinator/files/file_status.h"
#include "worker/process_tree.h"
#include "worker/trainer_user.h"

namespace sink::worker {
namespace {

// Descriptors in the child.
constexpr int kEventsFd = 3;
constexpr int kCommandsFd = 4;
constexpr int kExecErrorFd = 5;
constexpr int kFirstClosedFd = 6;
// Parent-side numbers start above all of these, so that dup2 in the child never overwrites one it still needs.
constexpr int kFirstParentFd = 16;

constexpr int kMostMsToStart = 60'000;

constexpr char kOomScoreAdjustment[] = "500";

struct Pipe {
  files::Fd read, write;
};

// Moves a descriptor above the child's ones, close-on-exec.
absl::Status Raise(int fd, files::Fd* out) {
  files::Fd owned(fd);
  *out = files::Fd(fcntl(owned.get(), F_DUPFD_CLOEXEC, kFirstParentFd));
  return out->valid() ? absl::OkStatus() : SystemStatus(errno, "duplicate", "a descriptor");
}

absl::StatusOr<Pipe> MakePipe(bool as_socket) {
  int fds[2];
  const int result = as_socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) : pipe2(fds, O_CLOEXEC);
  if (result != 0) return SystemStatus(errno, "create", "a pipe");
  Pipe pipe;
  const absl::Status read = Raise(fds[0], &pipe.read);
  const absl::Status write = Raise(fds[1], &pipe.write);
  if (!read.ok()) return read;
  if (!write.ok()) return write;
  return pipe;
}

// Everything that the child needs, prepared before the fork: after it, only async-signal-safe calls are allowed.
struct ChildPlan {
  const char* program;
  const char* folder;
  char* const* arguments;
  char* const* environment;
  int null_fd, stdout_fd, stderr_fd, events_fd, commands_fd, error_fd;
  pid_t daemon;
  const TrainerUser* user;
  int group_fd;
};

// The daemon finds it in place of an error of exec.
[[noreturn]] void EndChild(int error_fd) {
  const int error = errno;
  if (write(error_fd, &error, sizeof error) < 0) {
    // The parent is gone as well.
  }
  _exit(127);
}

[[noreturn]] void RunChild(const ChildPlan& plan) {
  setsid();
  if (plan.group_fd >= 0 && write(plan.group_fd, "0", 1) != 1) EndChild(plan.error_fd);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); fd >= 0) {
    if (write(fd, kOomScoreAdjustment, sizeof kOomScoreAdjustment - 1) < 0) {
      // Not allowed here; the kernel's own choice stands.
    }
  }
  if (plan.user != nullptr && !BecomeUser(*plan.user)) EndChild(plan.error_fd);
  // Another user's process would have lost it.
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != plan.daemon) _exit(127);  // the daemon died before the line above
  dup2(plan.null_fd, STDIN_FILENO);
  dup2(plan.stdout_fd, STDOUT_FILENO);
  dup2(plan.stderr_fd, STDERR_FILENO);
  dup2(plan.events_fd, kEventsFd);
  dup2(plan.commands_fd, kCommandsFd);
  dup2(plan.error_fd, kExecErrorFd);
  fcntl(kExecErrorFd, F_SETFD, FD_CLOEXEC);
  close_range(kFirstClosedFd, ~0u, 0);
  if (chdir(plan.folder) == 0) execve(plan.program, plan.arguments, plan.environment);
  EndChild(kExecErrorFd);
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::vector<std::string> TrainerEnvironment(const char* const* environ, const std::vector<std::string>& more) {
  constexpr const char* kPatterns[] = {"PATH",
                                       "HOME",
                                       "LANG",
                                       "LC_*",
                                       "TZ",
                                       "TMPDIR",
                                       "LD_LIBRARY_PATH",
                                       "OMP_*",
                                       "KMP_*",
                                       "MKL_*",
                                       "MALLOC_*",
                                       "CUDA_*",
                                       "NCCL_*",
                                       "GLOO_*",
                                       "TP_*",
                                       "TORCH_*",
                                       "PYTORCH_*",
                                       "SINK_ATTENTION",
                                       "SINK_COLLECTIVE_TIMEOUT_S",
                                       "SINK_RENDEZVOUS_TIMEOUT_S"};
  constexpr const char* kOurs[] = {"SINK_COORDINATOR",
                                   "SINK_RUN",
                                   "SINK_EVENTS_FD",
                                   "SINK_COMMANDS_FD",
                                   "SINK_RANK",
                                   "SINK_WORLD_SIZE",
                                   "SINK_RENDEZVOUS",
                                   "SINK_RENDEZVOUS_TOKEN",
                                   "SINK_RENDEZVOUS_TOKEN_FILE",
                                   "CUDA_VISIBLE_DEVICES",
                                   "CUDA_DEVICE_ORDER"};
  const auto fits = [](absl::string_view name, absl::string_view pattern) {
    return absl::ConsumeSuffix(&pattern, "*") ? absl::StartsWith(name, pattern) : name == pattern;
  };
  std::vector<std::string> allowed;
  for (; *environ != nullptr; ++environ) {
    const absl::string_view entry = *environ;
    const absl::string_view name = entry.substr(0, entry.find('='));
    const auto is_named = [&](const auto& patterns) {
      return std::any_of(std::begin(patterns), std::end(patterns),
                         [&](const auto& pattern) { return fits(name, pattern); });
    };
    if ((is_named(kPatterns) || is_named(more)) && !is_named(kOurs)) allowed.emplace_back(entry);
  }
  return allowed;
}

absl::StatusOr<std::unique_ptr<TrainerProcess>> TrainerProcess::Start(const TrainerCommand& command) {
  absl::StatusOr<Pipe> events = MakePipe(false), out = MakePipe(false), err = MakePipe(false), error = MakePipe(false);
  absl::StatusOr<Pipe> commands = MakePipe(true);  // a socket: writing to a dead reader must not raise SIGPIPE
  for (const auto* pipe : {&events, &out, &err, &error, &commands}) {
    if (!pipe->ok()) return pipe->status();
  }
  files::Fd null;
  if (auto status = Raise(open("/dev/null", O_RDONLY | O_CLOEXEC), &null); !status.ok()) return status;

  std::vector<std::string> arguments = {command.program, command.run_folder};
  std::vector<std::string> environment = command.environment;
  environment.push_back(absl::StrCat("SINK_RUN=", command.marker));
  environment.push_back(absl::StrCat("SINK_EVENTS_FD=", kEventsFd));
  environment.push_back(absl::StrCat("SINK_COMMANDS_FD=", kCommandsFd));
  const std::vector<char*> argument_pointers = Pointers(arguments), environment_pointers = Pointers(environment);
  const ChildPlan plan{command.program.c_str(),
                       command.run_folder.c_str(),
                       argument_pointers.data(),
                       environment_pointers.data(),
                       null.get(),
                       out->write.get(),
                       err->write.get(),
                       events->write.get(),
                       commands->read.get(),
                       error->write.get(),
                       getpid(),
                       command.user,
                       command.group_fd};

  const pid_t pid = ForkTrainer();
  if (pid < 0) return SystemStatus(errno, "start", "a process");
  if (pid == 0) RunChild(plan);
  std::unique_ptr<TrainerProcess> process(new TrainerProcess);
  process->pid_ = pid;

  // The error pipe closes without a byte when exec succeeds. A program on a file server that is away is given up.
  error->write.Close();
  pollfd begun = {error->read.get(), POLLIN, 0};
  int ready;
  while ((ready = poll(&begun, 1, kMostMsToStart)) < 0 && errno == EINTR) continue;
  if (ready == 0) return SystemStatus(ETIMEDOUT, "start", command.program);
  int exec_error = 0;
  ssize_t n;
  while ((n = read(error->read.get(), &exec_error, sizeof exec_error)) < 0 && errno == EINTR) continue;
  if (n > 0) return SystemStatus(exec_error, "start", command.program);

  for (files::Fd* fd : {&events->read, &out->read, &err->read}) fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  process->events_ = std::move(events->read);
  process->stdout_ = std::move(out->read);
  process->stderr_ = std::move(err->read);
  process->commands_ = std::move(commands->write);
  return process;
}

TrainerProcess::~TrainerProcess() {
  if (exit_ || left_) return;
  Signal(SIGKILL);
  if (!ReapTrainer(pid_)) ForgetTrainer(pid_);
}

void TrainerProcess::SendCommand(std::string_view command) {
  const std::string line = absl::StrCat(absl::string_view(command.data(), command.size()), "\n");
  send(commands_.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void TrainerProcess::Signal(int signal) {
  if (exit_) return;
  // Before the child has called setsid the group does not exist yet; the child itself always does.
  if (kill(-pid_, signal) != 0) kill(pid_, signal);
}

bool TrainerProcess::HasExited() {
  siginfo_t info{};
  return exit_ || (waitid(P_PID, pid_, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_);
}

ExitStatus TrainerProcess::Reap() {
  if (exit_) return *exit_;
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
  ForgetTrainer(pid_);
  exit_ = WIFSIGNALED(status) ? ExitStatus{.signal = WTERMSIG(status)} : ExitStatus{.code = WEXITSTATUS(status)};
  return *exit_;
}

}  // namespace sink::worker
