#include "model/train/link/trainer_commands.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "proto/base/hangup.h"
#include "proto/pipe/events.h"

namespace sink::train {
namespace {

constexpr size_t kMaxLineBytes = 64;  // longer than any command

volatile sig_atomic_t stop_signal = 0;
struct sigaction old_term, old_int, old_hup;

void OnSignal(int) { stop_signal = 1; }

}  // namespace

TrainerCommands::TrainerCommands(int fd) : fd_(fd) {
  stop_signal = 0;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, &old_term);
  sigaction(SIGHUP, EndsAtHangup() ? &action : nullptr, &old_hup);
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, &old_int);
}

TrainerCommands::~TrainerCommands() {
  sigaction(SIGTERM, &old_term, nullptr);
  sigaction(SIGHUP, &old_hup, nullptr);
  sigaction(SIGINT, &old_int, nullptr);
}

bool TrainerCommands::StopRequested() {
  Read();
  return stop_ || stop_signal != 0;
}

bool TrainerCommands::TakeCheckpointRequest() {
  Read();
  return std::exchange(checkpoint_, false);
}

// Unknown words are skipped, so that a newer worker can talk to an older trainer.
void TrainerCommands::Read() {
  pollfd ready = {fd_, POLLIN, 0};
  while (fd_ >= 0 && poll(&ready, 1, 0) > 0) {
    char bytes[256];
    const ssize_t n = read(fd_, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fd_ = -1;  // the worker closed it; signals still reach us
    for (ssize_t i = 0; i < n; ++i) {
      if (bytes[i] != '\n') {
        if (line_.size() < kMaxLineBytes) line_ += bytes[i];
        continue;
      }
      if (line_ == pipe::kStop) stop_ = true;
      if (line_ == pipe::kCheckpointNow) checkpoint_ = true;
      line_.clear();
    }
  }
}

}  // namespace sink::train
