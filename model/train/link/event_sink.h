// Where a run's records go: to the worker, as the lines of proto/pipe/events.h on the descriptor that SINK_EVENTS_FD
// names, or, from a shell, to stderr as text for people. Belongs to the training thread.
#pragma once

#include <exception>

#include "proto/pipe/events.h"

namespace sink::train {

class EventSink {
 public:
  // fd >= 0: records; the descriptor is not closed. -1: text on stderr.
  explicit EventSink(int fd) : fd_(fd) {}

  // Blocks while the pipe is full: the worker always drains it. InfraError when the reader is gone.
  void Send(const pipe::Event& event);

 private:
  int fd_;
};

// Sends the `failed` record of an exception, or prints it where nobody reads the pipe, and returns its exit code.
int ReportFailure(EventSink& events, const std::exception& error);

// The descriptor that the environment variable names, marked close-on-exec; -1 when it is not set. UserError when it
// does not name an open descriptor.
int DescriptorFromEnvironment(const char* variable);

}  // namespace sink::train
