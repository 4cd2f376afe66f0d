// See pages.h.
#include "tests/bench/fleet/pages.h"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "coordinator/client/coordinator_client.h"
#include "tests/bench/fleet/program.h"

namespace sink::bench {
namespace {

constexpr int kPollMs = 100;

files::Fd Connect(const std::string& host) {
  const size_t colon = host.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(host.substr(colon + 1))));
  files::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (inet_pton(AF_INET, host.substr(0, colon).c_str(), &address.sin_addr) != 1 ||
      connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    Fail("no page at " + host);
  }
  return fd;
}

void Send(const files::Fd& fd, const std::string& text) {
  if (send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) Fail("send");
}

// Reads until `end` has come.
std::string ReadUntil(const files::Fd& fd, const std::string& end) {
  std::string text;
  std::array<char, 65536> buffer;
  while (text.find(end) == std::string::npos) {
    const ssize_t n = read(fd.get(), buffer.data(), buffer.size());
    if (n <= 0) Fail("the page answers: " + text.substr(0, 500));
    text.append(buffer.data(), static_cast<size_t>(n));
  }
  return text;
}

}  // namespace

Pages::Pages(const std::string& address, const std::string& credentials, const std::vector<std::string>& topics,
             int count)
    : poll_(epoll_create1(EPOLL_CLOEXEC)) {
  const auto client = CoordinatorClient::Create({.address = address, .credentials = credentials});
  const auto link = (*client)->OpenPage({});
  if (!link.ok()) Fail("OpenPage: " + std::string(link.status().message()));
  const std::string scheme = "http://", path = "/open#", &url = link->url();
  const size_t token = url.find(path);
  const std::string host = url.substr(scheme.size(), token - scheme.size());
  const std::string head = " HTTP/1.1\r\nHost: " + host + "\r\n";

  const files::Fd login = Connect(host);
  const std::string secret = url.substr(token + path.size());
  Send(login, "POST /api/open" + head + "Origin: http://" + host +
                  "\r\nSink-Page: 1\r\nContent-Length: " + std::to_string(secret.size()) + "\r\n\r\n" + secret);
  const std::string answer = ReadUntil(login, "; HttpOnly");
  const size_t cookie = answer.find("sink_page_");
  std::string query;
  for (const std::string& topic : topics) query += (query.empty() ? "?topic=" : "&topic=") + topic;
  for (int i = 0; i < count; ++i) {
    sockets_.push_back(Connect(host));
    Send(sockets_.back(), "GET /api/events" + query + head +
                              "Cookie: " + answer.substr(cookie, answer.find(';', cookie) - cookie) + "\r\n\r\n");
  }
  for (const files::Fd& fd : sockets_) {
    ReadUntil(fd, "event: whole");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd.get();
    epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
  }
  thread_ = std::thread([this] { Read(); });
}

Pages::~Pages() {
  stop_ = true;
  thread_.join();
}

void Pages::Read() {
  std::vector<char> buffer(1 << 20);
  std::array<epoll_event, 64> events;
  while (!stop_) {
    const int ready = epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), kPollMs);
    for (int i = 0; i < ready; ++i) {
      if (read(events[i].data.fd, buffer.data(), buffer.size()) <= 0) Fail("a page was closed");
    }
  }
}

}  // namespace sink::bench
