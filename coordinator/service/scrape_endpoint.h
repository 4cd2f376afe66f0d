// http://HOST:PORT/metrics: prometheus-cpp's exposer, without its exceptions, and it stops at once where it can be
// reached at 127.0.0.1. Owned by the server; made and destroyed by one thread.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace sink {

class ScrapeEndpoint {
 public:
  // Serves when it returns. `address` is host:port; port 0: the kernel chooses. With a `token`, who asks must give it
  // as the password of HTTP's basic authentication. UNAVAILABLE when it cannot listen there.
  static absl::StatusOr<std::unique_ptr<ScrapeEndpoint>> Start(const std::string& address, const std::string& token,
                                                               std::shared_ptr<prometheus::Collectable> collectable);
  ~ScrapeEndpoint();

  int port() const { return port_; }

 private:
  ScrapeEndpoint(std::unique_ptr<prometheus::Exposer> exposer, std::shared_ptr<prometheus::Collectable> collectable);

  const std::shared_ptr<prometheus::Collectable> collectable_;  // the exposer holds only a weak pointer
  std::unique_ptr<prometheus::Exposer> exposer_;
  const int port_;
};

}  // namespace sink
