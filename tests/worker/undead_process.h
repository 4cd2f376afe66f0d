// A child of this process that SIGKILL does not rid us of, as one in an uninterruptible system call, which no test can
// have: while another process traces it, its end is told to that one alone. For its parent it has neither ended nor can
// it be reaped.
#pragma once

#include <sys/types.h>

namespace sink::worker {

class UndeadProcess {
 public:
  // Traces `child`, which lives and lets itself be traced by anybody where the machine asks for that (PR_SET_PTRACER).
  explicit UndeadProcess(pid_t child);
  ~UndeadProcess() { Release(); }
  UndeadProcess(const UndeadProcess&) = delete;
  UndeadProcess& operator=(const UndeadProcess&) = delete;

  // False where this machine lets no process trace another.
  bool traced() const { return traced_; }
  // It is an ordinary child again: dead, if it was killed.
  void Release();

 private:
  pid_t tracer_ = -1;
  bool traced_ = false;
};

}  // namespace sink::worker
