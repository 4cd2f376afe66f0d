#include "model/train/ranks/rendezvous.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace sink::train {
namespace {

constexpr std::chrono::milliseconds kBetweenKnocks{250};
constexpr int kAnswerMs = 2000;  // to one knock

// What a try to connect has shown.
struct Answer {
  bool listens = false;
  bool refuses = false;  // the machine is there, and nobody listens
  std::string error;
};

// Who connects to a port of its own machine on which nobody listens may be given that port itself, and meet itself.
bool IsItself(int fd) {
  sockaddr_storage here = {}, there = {};
  socklen_t here_size = sizeof here, there_size = sizeof there;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&here), &here_size) == 0 &&
         getpeername(fd, reinterpret_cast<sockaddr*>(&there), &there_size) == 0 && here_size == there_size &&
         std::memcmp(&here, &there, here_size) == 0;
}

// Connects and hangs up; 0 or errno.
int KnockAt(const addrinfo& place) {
  const int fd = socket(place.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  int error = connect(fd, place.ai_addr, place.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd answered = {fd, POLLOUT, 0};
    socklen_t size = sizeof error;
    if (poll(&answered, 1, kAnswerMs) <= 0)
      error = ETIMEDOUT;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
      error = errno;
  }
  if (error == 0 && IsItself(fd)) error = ECONNREFUSED;
  close(fd);
  return error;
}

Answer Knock(const RankWorld& world) {
  const addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(world.host.c_str(), std::to_string(world.port).c_str(), &hints, &found);
  if (failed != 0) return {.error = gai_strerror(failed)};
  Answer answer;
  for (const addrinfo* place = found; place != nullptr && !answer.listens; place = place->ai_next) {
    const int error = KnockAt(*place);
    answer.listens = error == 0;
    answer.refuses |= error == ECONNREFUSED;
    answer.error = std::strerror(error);
  }
  freeaddrinfo(found);
  return answer;
}

}  // namespace

std::string AwaitListener(const RankWorld& world, const std::function<void()>& idle) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  for (Clock::time_point reached = start;; std::this_thread::sleep_for(kBetweenKnocks)) {
    const Answer answer = Knock(world);
    if (answer.listens) return "";
    const Clock::time_point now = Clock::now();
    if (answer.refuses) reached = now;
    if (now - start >= world.patience || now - reached >= world.timeout) return answer.error;
    idle();
  }
}

}  // namespace sink::train
