// See scrape_endpoint.h.
#include "coordinator/service/scrape_endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/files/descriptor.h"

namespace sink {
namespace {

constexpr int kThreads = 40;  // so many requests that never end are needed to make a scrape wait
constexpr std::chrono::milliseconds kRequestTimeout{5000};  // a request that stays unfinished holds a thread no longer

// In a time that tells nothing of where they differ.
bool Same(const std::string& a, const std::string& b) {
  unsigned difference = a.size() != b.size();
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

// Opens and closes a connection, so that the thread which waits for one sees that it must stop.
void WakeListener(int port) {
  const files::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ScrapeEndpoint>> ScrapeEndpoint::Start(
    const std::string& address, const std::string& token, std::shared_ptr<prometheus::Collectable> collectable) {
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(
        std::vector<std::string>{"listening_ports", address, "num_threads", std::to_string(kThreads),
                                 "request_timeout_ms", std::to_string(kRequestTimeout.count())});
    if (!token.empty()) {
      exposer->RegisterAuth([token](const std::string&, const std::string& password) { return Same(password, token); });
    }
    exposer->RegisterCollectable(collectable);
    return std::unique_ptr<ScrapeEndpoint>(new ScrapeEndpoint(std::move(exposer), std::move(collectable)));
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address, ": ", error.what()));
  }
}

ScrapeEndpoint::ScrapeEndpoint(std::unique_ptr<prometheus::Exposer> exposer,
                               std::shared_ptr<prometheus::Collectable> collectable)
    : collectable_(std::move(collectable)),
      exposer_(std::move(exposer)),
      port_(exposer_->GetListeningPorts().front()) {}

// The HTTP server underneath notices that it must stop only when its wait for a connection ends: after 2 s, or with
// one.
ScrapeEndpoint::~ScrapeEndpoint() {
  std::atomic<bool> stopped = false;
  std::thread stopper([&] {
    exposer_.reset();
    stopped = true;
  });
  while (!stopped) {
    WakeListener(port_);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  stopper.join();
}

}  // namespace sink
