// See address.h.
#include "coordinator/client/address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/identity/host_port.h"
#include "proto/files/descriptor.h"

namespace sink {
namespace {

using Clock = std::chrono::steady_clock;

// Whether the socket is ready for it before `end`.
bool WaitFor(const files::Fd& socket, short what, Clock::time_point end) {
  pollfd entry{.fd = socket.get(), .events = what, .revents = 0};
  const int64_t ms = absl::ToInt64Milliseconds(absl::FromChrono(end - Clock::now()));
  return ms > 0 && poll(&entry, 1, static_cast<int>(ms)) == 1;
}

bool Connect(const files::Fd& socket, const addrinfo& to, Clock::time_point end) {
  if (connect(socket.get(), to.ai_addr, to.ai_addrlen) != 0 && !WaitFor(socket, POLLOUT, end)) return false;
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

// Sends what TLS has to say; false when the other side is gone. Through memory, as a library's own write to a closed
// socket would end a program that takes SIGPIPE.
bool SendAll(const files::Fd& socket, BIO* from, Clock::time_point end) {
  char buffer[4096];
  for (int size; (size = BIO_read(from, buffer, sizeof buffer)) > 0;) {
    for (int sent = 0; sent < size;) {
      if (!WaitFor(socket, POLLOUT, end)) return false;
      const ssize_t some = send(socket.get(), buffer + sent, static_cast<size_t>(size - sent), MSG_NOSIGNAL);
      if (some <= 0) return false;
      sent += static_cast<int>(some);
    }
  }
  return true;
}

// By the name in the certificate that the other side shows. Nobody vouches for it, as nothing secret is said.
Peer PeerAt(const files::Fd& socket, Clock::time_point end) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls(context ? SSL_new(context.get()) : nullptr, &SSL_free);
  BIO* const in = BIO_new(BIO_s_mem());
  BIO* const out = BIO_new(BIO_s_mem());
  if (tls == nullptr || in == nullptr || out == nullptr) return Peer::kSilent;
  SSL_set_bio(tls.get(), in, out);  // owns them from here on
  char buffer[4096];
  for (bool waiting = true; waiting;) {
    waiting = SSL_get_error(tls.get(), SSL_connect(tls.get())) == SSL_ERROR_WANT_READ;
    if (!waiting || !SendAll(socket, out, end)) break;
    if (!WaitFor(socket, POLLIN, end)) return Peer::kSilent;
    const ssize_t got = recv(socket.get(), buffer, sizeof buffer, 0);
    waiting = got > 0 && BIO_write(in, buffer, static_cast<int>(got)) == got;
  }
  ERR_clear_error();
  // A server that waits for a certificate of ours has shown its own before.
  X509* const certificate = SSL_get0_peer_certificate(tls.get());
  const bool named = certificate != nullptr && X509_check_host(certificate, identity::kServerName,
                                                               sizeof identity::kServerName - 1, 0, nullptr) == 1;
  return named ? Peer::kCoordinator : Peer::kOther;
}

}  // namespace

absl::Status CheckAddress(const std::string& text) {
  return identity::ParseHostPort(text, "an address of a coordinator").status();
}

Peer FindPeer(const std::string& address, absl::Duration patience) {
  const Clock::time_point end = Clock::now() + absl::ToChronoNanoseconds(patience);
  const auto to = identity::ParseHostPort(address, "an address of a coordinator");
  if (!to.ok()) return Peer::kNobody;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(to->host.c_str(), absl::StrCat(to->port).c_str(), &hints, &found) != 0) return Peer::kNobody;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  for (const addrinfo* entry = addresses.get(); entry != nullptr; entry = entry->ai_next) {
    const files::Fd socket(::socket(entry->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.valid() || !Connect(socket, *entry, end)) continue;
    return PeerAt(socket, end);
  }
  return Peer::kNobody;
}

std::string NoCoordinatorAt(const std::string& address) {
  return absl::StrCat("something answers at ", address,
                      ", but it is not a coordinator; write the address that sink-coordinator names when it starts, "
                      "which is also in DATA/coordinator.addr (port 7070 by itself; 7071 is for Prometheus)");
}

}  // namespace sink
