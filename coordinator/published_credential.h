// A link in the configuration of the user that runs the coordinator, by which that user's sinkctl and workers on this
// machine find the admin's credential by the coordinator's address. Another user cannot follow it. Owned by the server;
// one thread.
#pragma once

#include <string>

#include "coordinator/listen_address.h"

namespace sink {

class PublishedCredential {
 public:
  PublishedCredential() = default;
  ~PublishedCredential() { Withdraw(); }
  PublishedCredential(const PublishedCredential&) = delete;
  PublishedCredential& operator=(const PublishedCredential&) = delete;

  // Leaves a link to `credential` in `config` (nothing when that is empty) under the address with its real port. A
  // folder that is there already, of a person's own login, is left alone. A failure is logged: the credential can be
  // named by $SINK_CREDENTIALS. `listen` as given: a port that the kernel chose is not used again, so its link goes
  // with Withdraw.
  void Publish(const std::string& config, const std::string& credential, const ListenAddress& listen, int port);
  void Withdraw();

 private:
  std::string to_remove_;
};

}  // namespace sink
