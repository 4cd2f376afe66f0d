// See protect_process.h.
#include "coordinator/identity/protect_process.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace sink::identity {

void ProtectProcess() {
  umask(077);
  prctl(PR_SET_DUMPABLE, 0);
  rlimit cores = {};
  // The hard limit stays: a program that is started may ask for its own core files.
  if (getrlimit(RLIMIT_CORE, &cores) == 0) {
    cores.rlim_cur = 0;
    setrlimit(RLIMIT_CORE, &cores);
  }
}

}  // namespace sink::identity
