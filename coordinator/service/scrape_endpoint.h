// http://HOST:PORT/metrics, in the text format that who asks prefers: Prometheus' own, or OpenMetrics. Owned by the
// server; made and destroyed by one thread. Its threads ask the collectable.
#pragma once

#include <prometheus/collectable.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

struct mg_connection;
struct mg_context;

namespace sink {

class ScrapeEndpoint {
 public:
  // Serves when it returns. `address` is host:port; port 0: the kernel chooses. With a `token`, who asks must give it
  // as the password of HTTP's basic authentication. UNAVAILABLE when it cannot listen there.
  static absl::StatusOr<std::unique_ptr<ScrapeEndpoint>> Start(const std::string& address, const std::string& token,
                                                               std::shared_ptr<prometheus::Collectable> collectable);
  // It stops at once where it can be reached at 127.0.0.1.
  ~ScrapeEndpoint();

  int port() const { return port_; }

 private:
  ScrapeEndpoint(std::string token, std::shared_ptr<prometheus::Collectable> collectable);
  int Answer(mg_connection* connection) const;

  const std::string token_;
  const std::shared_ptr<prometheus::Collectable> collectable_;
  mg_context* context_ = nullptr;
  int port_ = 0;
};

}  // namespace sink
