// Reads what a trainer says: events on its event pipe, plain text on stdout and stderr. Belongs to the thread that runs
// the trainer; never blocks for longer than asked, and never on the network.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "proto/pipe/events.h"
#include "worker/line_splitter.h"
#include "worker/output_capture.h"

namespace sink::worker {

class TrainerLink {
 public:
  struct Handlers {
    // A valid event and its line, to be passed on unchanged.
    std::function<void(std::string_view line, const pipe::Event& event)> on_event;
    // A line for the job's log: level "stdout", "stderr" or "error" (a line on the event pipe that is no event).
    std::function<void(std::string_view level, std::string_view text)> on_log;
  };

  // Non-blocking descriptors, owned by the caller.
  TrainerLink(int events_fd, int stdout_fd, int stderr_fd, Handlers handlers);

  // Waits up to `timeout` for something to read, reads and hands on what is there. `now` is the boot clock.
  void Pump(absl::Duration timeout, absl::Duration now);
  // No stream will say more. Hands on what was left incomplete.
  void Finish(absl::Duration now);

  bool events_open() const { return streams_[kEvents].open; }
  bool any_open() const;
  absl::Duration last_event_at() const { return last_event_at_; }
  std::string StderrExcerpt() const { return stderr_.Excerpt(); }

 private:
  enum StreamIndex { kEvents, kStdout, kStderr, kStreams };
  struct Stream {
    int fd;
    bool open = true;
  };

  // False at the end of the stream.
  bool ReadSome(StreamIndex index, absl::Duration now);
  void HandleBytes(StreamIndex index, std::string_view bytes, absl::Duration now);
  void HandleEventLine(std::string_view line, bool overlong, absl::Duration now);

  const Handlers handlers_;
  Stream streams_[kStreams];
  LineSplitter event_lines_;
  OutputCapture stdout_, stderr_;
  absl::Duration last_event_at_;
  size_t bad_lines_ = 0;
};

}  // namespace sink::worker
