// A worker's side of the calls for tests that make its moves by hand: joins as a daemon would, and keeps its credential
// in memory. Any thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "coordinator/client/coordinator_client.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/identity/credential.h"

namespace sink::testing {

// What the coordinator at `address` gives a worker of this id that joins with the credential in `folder`.
inline identity::Credential JoinAs(const std::string& address, const std::string& folder, const std::string& worker_id,
                                   const std::string& advertise = "") {
  auto client = CoordinatorClient::Create({.address = address, .credentials = folder});
  const std::string key = *identity::MakeKey();
  v1::JoinRequest request;
  request.set_worker_id(worker_id);
  request.set_request(*identity::MakeRequest(key));
  request.set_advertise(advertise);
  const auto response = (*client)->Join(request);
  EXPECT_TRUE(response.ok()) << response.status();
  if (!response.ok()) return {};
  return {.authority = identity::ReadCredential(folder)->authority, .certificate = response->certificate(), .key = key};
}

inline std::unique_ptr<CoordinatorClient> JoinedWorker(const std::string& address, const std::string& folder,
                                                       const std::string& worker_id) {
  return *CoordinatorClient::Create({.address = address, .credential = JoinAs(address, folder, worker_id)});
}

}  // namespace sink::testing
