// A disk that takes no more, for one process: while this lives, its files do not grow beyond their first bytes, nor do
// those of the processes that it starts meanwhile. One at a time.
#pragma once

#include <signal.h>
#include <sys/resource.h>

namespace sink::testing {

class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_ = {};
  void (*const handler_)(int);
};

}  // namespace sink::testing
