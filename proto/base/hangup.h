// SIGHUP, which comes when a program's terminal is closed or its connection to it is lost. Neutral: the system's
// headers only. A stateless function; any thread.
#pragma once

#include <signal.h>

namespace sink {

// Whether SIGHUP is to end this program as SIGTERM does. Not where it was started with that signal ignored, as nohup
// does: it shall outlive its terminal then. To be asked before the program takes the signal itself.
inline bool EndsAtHangup() {
  struct sigaction inherited = {};
  return sigaction(SIGHUP, nullptr, &inherited) == 0 && inherited.sa_handler != SIG_IGN;
}

}  // namespace sink
