// HTTP/1.0 by hand, for what a well-behaved client would not send. Any thread.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "proto/files/descriptor.h"

namespace sink::testing {

// A connection to an address "127.0.0.1:PORT"; -1 when there is none.
inline files::Fd Dial(const std::string& address) {
  files::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(static_cast<uint16_t>(std::atoi(address.substr(address.rfind(':') + 1).c_str())));
  target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&target), sizeof target) != 0) return files::Fd();
  return fd;
}

// All that the server answers to the text, until it closes.
inline std::string Exchange(const std::string& address, const std::string& text) {
  const files::Fd fd = Dial(address);
  std::string answer;
  if (send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) return answer;
  char buffer[4096];
  for (ssize_t n; (n = read(fd.get(), buffer, sizeof buffer)) > 0;) answer.append(buffer, n);
  return answer;
}

// The status of the answer: 200; 0 without one. `headers`: lines that end with \r\n.
inline int HttpStatus(const std::string& address, const std::string& method, const std::string& path,
                      const std::string& headers = "") {
  const std::string answer = Exchange(address, method + " " + path + " HTTP/1.0\r\nHost: x\r\n" + headers + "\r\n");
  const size_t space = answer.find(' ');
  return space == std::string::npos ? 0 : std::atoi(answer.c_str() + space);
}

}  // namespace sink::testing
