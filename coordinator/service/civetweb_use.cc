// See civetweb_use.h.
#include "coordinator/service/civetweb_use.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "proto/files/descriptor.h"

namespace sink {
namespace {

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

std::string HttpHeader(const mg_connection* connection, const char* name) {
  const char* value = mg_get_header(connection, name);
  return value == nullptr ? "" : value;
}

void StopHttp(mg_context* server, int port) {
  std::atomic<bool> stopped = false;
  std::thread stopper([&] {
    mg_stop(server);
    stopped = true;
  });
  while (!stopped) {
    WakeListener(port);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  stopper.join();
}

}  // namespace sink
