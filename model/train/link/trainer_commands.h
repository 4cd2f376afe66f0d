// What the run has been asked to do: the lines of SINK_COMMANDS_FD, and SIGTERM, SIGINT or SIGHUP, which all mean
// `stop` (a second SIGINT kills at once; a SIGHUP that was ignored before, as by nohup, stays so). Belongs to the
// training thread, which asks between micro-batches; signals may arrive on any thread. At most one object at a time,
// because signal handlers are global.
#pragma once

#include <string>

namespace sink::train {

class TrainerCommands {
 public:
  // Reads fd without blocking; -1: signals only. Installs the handlers; the destructor puts the old ones back.
  explicit TrainerCommands(int fd);
  ~TrainerCommands();
  TrainerCommands(const TrainerCommands&) = delete;
  TrainerCommands& operator=(const TrainerCommands&) = delete;

  // Once true, stays true.
  bool StopRequested();

  // True once per checkpoint_now.
  bool TakeCheckpointRequest();

 private:
  void Read();

  int fd_;
  std::string line_;  // received without its newline so far
  bool stop_ = false;
  bool checkpoint_ = false;
};

}  // namespace sink::train
