// See accept_loop.h.
#include "coordinator/service/accept_loop.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "coordinator/service/listening_sockets.h"

namespace sink {
namespace {

constexpr int kLookEveryMs = 1000;    // for connections that have closed
constexpr int kLookAgainMs = 100;     // the same, before somebody is refused
constexpr int kSayEveryMs = 10'000;   // that somebody was
constexpr int kShortageMs = 50;       // until the kernel is asked again
constexpr int kTurns = 64;            // of one socket, before the others have theirs
constexpr int kOwnDescriptors = 512;  // database, checkpoints on their way, scrapes
constexpr int kMostConnections = 1 << 15;
constexpr size_t kMostClosing = 128;  // of kOwnDescriptors

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// 0: it is no socket, or closed.
uint64_t SocketInode(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode) ? info.st_ino : 0;
}

files::Fd OpenSpare() { return files::Fd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

int MostConnections() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kOwnDescriptors;
  const auto files = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 2 * kMostConnections));
  return std::clamp(files - kOwnDescriptors, files / 2, kMostConnections);
}

AcceptLoop::AcceptLoop(std::vector<files::Fd> listeners, const ConnectionOptions& limits, ConnectionOwners* owners,
                       Take take)
    : listeners_(std::move(listeners)),
      owners_(owners),
      take_(std::move(take)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      spare_(OpenSpare()),
      limits_(limits) {
  thread_ = std::thread([this] { Run(); });
}

AcceptLoop::~AcceptLoop() {
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

uint64_t AcceptLoop::refused() const {
  uint64_t sum = 0;
  for (const auto& count : refused_) sum += count;
  return sum;
}

void AcceptLoop::AddSeries(Families* families) const {
  constexpr std::array<const char*, kReasons> kNames = {"total", "address", "rate", "descriptors", "stranger"};
  families->Gauge("sink_connections", "Connections to the port of workers and sinkctl", open_);
  families->Gauge("sink_stranger_connections", "Connections over which no call has shown yet who calls",
                  owners_->strangers());
  for (size_t i = 0; i < kReasons; ++i) {
    families->Counter("sink_refused_connections_total",
                      "Connections refused, or closed to make room, by what there was too much of",
                      static_cast<double>(refused_[i]), {{"reason", kNames[i]}});
  }
}

void AddDescriptors(Families* families) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  std::error_code error;
  double open = 0;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; !error && it != end; it.increment(error)) {
    ++open;
  }
  // To count them takes one.
  if (error) open = static_cast<double>(limit.rlim_cur);
  // Named as every Prometheus client library names them.
  families->Gauge("process_open_fds", "Open file descriptors", open);
  families->Gauge("process_max_fds", "As many as there may be", static_cast<double>(limit.rlim_cur));
}

void AcceptLoop::Run() {
  std::vector<pollfd> waiting;
  for (const files::Fd& listener : listeners_) waiting.push_back({listener.get(), POLLIN, 0});
  waiting.push_back({wake_.get(), POLLIN, 0});
  while (waiting.back().revents == 0) {
    // Until somebody connects there is only the count to be kept right.
    poll(waiting.data(), waiting.size(), kLookEveryMs);
    for (size_t i = 0; i < listeners_.size(); ++i) {
      for (int turn = 0; turn < kTurns && waiting[i].revents != 0 && AcceptOne(waiting[i].fd); ++turn) continue;
    }
    if (NowMs() - looked_ms_ >= kLookEveryMs) ForgetClosed();
  }
}

bool AcceptLoop::AcceptOne(int listener) {
  sockaddr_storage peer = {}, called = {};
  socklen_t size = sizeof peer;
  files::Fd fd(accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.valid()) {
    if (errno == EINTR || errno == ECONNABORTED) return true;
    if (errno == EMFILE || errno == ENFILE) {
      ShedOne(listener);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
      usleep(kShortageMs * 1000);  // the kernel has no memory for it, say: it would be as quick to say so again
    }
    return false;
  }
  size = sizeof called;
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&called), &size);
  const std::string address = AddressGroup(peer);
  // The number was another connection's, which has closed.
  if (const auto former = connections_.find(fd.get()); former != connections_.end()) {
    Forget(former->second);
    connections_.erase(former);
  }
  if (const auto reason = WhyNot(address, IsLocal(peer, called))) {
    Refuse(std::move(fd), *reason, address);
    return true;
  }
  // Known before its first call can be.
  std::string name = PeerName(peer);
  const uint64_t number = owners_->Open(name, address);
  descriptors_[number] = fd.get();
  connections_[fd.get()] = {
      .address = address, .inode = SocketInode(fd.get()), .peer = std::move(name), .number = number};
  open_ = limits_.open();
  take_(fd.Release(), limits_.open());
  return true;
}

std::optional<AcceptLoop::Reason> AcceptLoop::WhyNot(const std::string& address, bool local) {
  using Verdict = ConnectionLimits::Verdict;
  const auto look_again = [this] {
    if (NowMs() - looked_ms_ >= kLookAgainMs) ForgetClosed();
  };
  Verdict verdict = limits_.Open(address, local, NowMs());
  if (verdict != Verdict::kTake) {
    look_again();
    verdict = limits_.Open(address, local, NowMs());
    // Who would be refused all the same closes nobody's connection.
    const bool slow = limits_.IsSlowEnough(address, NowMs());
    const bool full = verdict == Verdict::kFull && slow && limits_.HasRoom(address) && CloseOldestStranger();
    const bool address_full = verdict == Verdict::kAddressFull && slow && CloseOldestStranger(address);
    if (full || address_full) verdict = limits_.Open(address, local, NowMs());
  } else if (owners_->StrangersHaveTheirShare()) {
    look_again();
    if (owners_->StrangersHaveTheirShare() && !CloseOldestStranger()) {
      limits_.Close(address);
      return kStranger;
    }
  }
  switch (verdict) {
    case Verdict::kTake:
      return std::nullopt;
    case Verdict::kFull:
      return kTotal;
    case Verdict::kAddressFull:
      return kAddress;
    case Verdict::kAddressTooFast:
      break;
  }
  return kTooFast;
}

void AcceptLoop::Refuse(files::Fd fd, Reason reason, const std::string& address) {
  // A reset, so that this side need not remember the connection.
  const linger reset = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  Say(reason, address);
}

void AcceptLoop::Say(Reason reason, const std::string& address) {
  ++refused_[reason];
  if (NowMs() - said_ms_ < kSayEveryMs) return;
  said_ms_ = NowMs();
  const uint64_t all = refused();
  constexpr std::array<const char*, kReasons> kWhy = {
      "there are as many as the limit of open files allows (ulimit -n, LimitNOFILE)",
      "it has as many open as one address may have: --connections-per-address, or, for this machine itself, half of "
      "what the limit of open files allows, and three quarters for all of its addresses",
      "it opens them faster than one address may: a tenth of those that it may have, a second",
      "there is no descriptor left (ulimit -n, LimitNOFILE)",
      "many had not shown yet who they are, and the oldest of those make room for others"};
  spdlog::warn("{} connections refused or closed, the last one from {}: {}", all - said_refused_, address,
               kWhy[reason]);
  said_refused_ = all;
}

bool AcceptLoop::CloseOldestStranger(const std::string& address) {
  std::erase_if(closing_, [](const auto& one) { return SocketInode(one.first) != one.second; });
  if (closing_.size() >= kMostClosing) return false;
  const auto number = address.empty() ? owners_->TakeOldestStranger() : owners_->TakeOldestStranger(address);
  if (!number) return false;
  const int fd = descriptors_.at(*number);
  const auto known = connections_.find(fd);
  const Connection stranger = std::move(known->second);
  connections_.erase(known);
  Forget(stranger);
  if (SocketInode(fd) != stranger.inode) return true;  // it has closed
  // The descriptor is gRPC's, which closes it once it reads the end. Were it closed between these two lines and the
  // number another socket's, that one's peer would have to connect again: no more than that.
  shutdown(fd, SHUT_RDWR);
  closing_.emplace_back(fd, stranger.inode);
  Say(kStranger, stranger.address);
  return true;
}

void AcceptLoop::Forget(const Connection& connection) {
  limits_.Close(connection.address);
  owners_->Close(connection.peer, connection.number);
  descriptors_.erase(connection.number);
}

void AcceptLoop::ShedOne(int listener) {
  spare_.Close();
  files::Fd fd(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd.valid()) Refuse(std::move(fd), kDescriptors, "whoever came");
  spare_ = OpenSpare();
  if (!spare_.valid()) usleep(kShortageMs * 1000);
}

void AcceptLoop::ForgetClosed() {
  looked_ms_ = NowMs();
  absl::erase_if(connections_, [this](const auto& entry) {
    const auto& [fd, connection] = entry;
    if (SocketInode(fd) == connection.inode) return false;
    Forget(connection);
    return true;
  });
  limits_.Prune(looked_ms_);
  open_ = limits_.open();
}

}  // namespace sink
