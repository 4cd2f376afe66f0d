#include "model/base/process_end.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace sink {

void EndProcess(int exit_code) {
#ifdef SINK_SANITIZER
  std::exit(exit_code);
#endif
  std::cout.flush();
  std::clog.flush();
  std::fflush(nullptr);
  _exit(exit_code);
}

}  // namespace sink
