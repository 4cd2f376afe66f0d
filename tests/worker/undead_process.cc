// See undead_process.h.
#include "tests/worker/undead_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/process_tree.h"

namespace sink::worker {

UndeadProcess::UndeadProcess(pid_t child) {
  int told[2];
  if (pipe(told) != 0) return;
  tracer_ = ForkTrainer();  // that no daemon of this process reaps
  if (tracer_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    const char answer = ptrace(PTRACE_SEIZE, child, 0, 0) == 0 ? 'y' : 'n';
    if (write(told[1], &answer, 1) != 1) _exit(1);
    while (true) pause();
  }
  char answer = 'n';
  traced_ = tracer_ > 0 && read(told[0], &answer, 1) == 1 && answer == 'y';
  for (const int end : told) close(end);
}

void UndeadProcess::Release() {
  if (tracer_ <= 0) return;
  kill(tracer_, SIGKILL);
  waitpid(tracer_, nullptr, 0);
  ForgetTrainer(tracer_);
  tracer_ = -1;
}

}  // namespace sink::worker
