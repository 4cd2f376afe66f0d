// One trainer as an operating-system process: start it, signal it, learn how it ended. Owned by the thread that started
// it and used by that thread only; the thread must outlive the trainer, because the kernel kills the trainer when its
// creating thread ends (PR_SET_PDEATHSIG), which is what makes trainers die with a killed daemon.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/files/descriptor.h"

namespace sink::worker {

struct TrainerUser;  // trainer_user.h

struct TrainerCommand {
  std::string program;                   // absolute path
  std::string run_folder;                // its only argument and its working directory
  std::vector<std::string> environment;  // NAME=value; SINK_EVENTS_FD and SINK_COMMANDS_FD are added
  std::string marker;                    // names the attempt in SINK_RUN
  const TrainerUser* user = nullptr;     // as whom it runs; null: as this process
  int group_fd = -1;                     // of the control group that it joins (ControlGroup::join_fd); -1: none
};

// The part of `environ` that a trainer may see: an allow-list (PATH, HOME, LANG, LC_*, TZ, TMPDIR, LD_LIBRARY_PATH,
// OMP_*, KMP_*, MKL_*, MALLOC_*, CUDA_*, NCCL_*, GLOO_*, TP_*, TORCH_*, PYTORCH_*, and of SINK_* what sink-trainer
// reads from outside: SINK_ATTENTION, SINK_COLLECTIVE_TIMEOUT_S, SINK_RENDEZVOUS_TIMEOUT_S) and `more`, names or
// beginnings of names with a * behind them. Never the coordinator's address, nor what the daemon sets itself for every
// trainer or for the ranks of a gang.
std::vector<std::string> TrainerEnvironment(const char* const* environ, const std::vector<std::string>& more = {});

struct ExitStatus {
  int code = 0;    // when signal is 0
  int signal = 0;  // that ended it
};

class TrainerProcess {
 public:
  // Starts the program in a session of its own with stdin from /dev/null, all other descriptors closed, no signal
  // blocked, and a higher chance than the daemon's to be chosen by the out-of-memory killer. Errors: the program cannot
  // be started (NotFound, PermissionDenied), no process or descriptor to be had (Internal).
  static absl::StatusOr<std::unique_ptr<TrainerProcess>> Start(const TrainerCommand& command);

  // Kills the trainer if it has been neither reaped nor left. Never waits: what has not ended by then is a stray.
  ~TrainerProcess();

  // Ends of the pipes, non-blocking.
  int events_fd() const { return events_.get(); }
  int stdout_fd() const { return stdout_.get(); }
  int stderr_fd() const { return stderr_.get(); }
  pid_t pid() const { return pid_; }

  // One word of proto/pipe/events.h. Best effort: a trainer that is gone or does not read is dealt with by signals.
  void SendCommand(std::string_view command);
  // To the trainer's process group; nothing once it is reaped.
  void Signal(int signal);

  // Whether the trainer has ended. It stays a zombie, so that its pid and its group cannot be taken by another process.
  bool HasExited();
  // Reaps the trainer, which has ended.
  ExitStatus Reap();
  // Of one that does not die: it stays as it is when this object goes, and ReapTrainer reaps it one day.
  void Leave() { left_ = true; }

 private:
  TrainerProcess() = default;

  pid_t pid_ = -1;
  files::Fd events_, stdout_, stderr_, commands_;
  std::optional<ExitStatus> exit_;
  bool left_ = false;
};

}  // namespace sink::worker
