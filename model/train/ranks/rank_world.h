// Which of the processes of a data-parallel run this one is, and where they meet. Plain values; any thread.
#pragma once

#include <chrono>
#include <string>

namespace sink::train {

struct RankWorld {
  int rank = 0;
  int size = 1;
  std::string host;  // rank 0 listens there; empty: this process is alone and there is no process group
  int port = 0;
  std::string token;                  // of this run: processes of another one never meet these
  std::chrono::seconds timeout{120};  // of every collective, and of the meeting once rank 0 listens
  // With rank 0 that does not listen yet: its worker may have a checkpoint to fetch first, which may take an hour.
  std::chrono::seconds patience{7200};

  bool alone() const { return host.empty(); }
};

// From the environment: SINK_RANK and SINK_WORLD_SIZE (absent: 0 of 1), SINK_RENDEZVOUS=host:port and
// SINK_RENDEZVOUS_TOKEN (absent: alone), SINK_COLLECTIVE_TIMEOUT_S, SINK_RENDEZVOUS_TIMEOUT_S. A worker names a file
// with the token instead, by SINK_RENDEZVOUS_TOKEN_FILE: of environments too much is shown and kept. UserError names
// the variable and the fix.
RankWorld WorldFromEnvironment();

}  // namespace sink::train
