// Who may call the coordinator, and as what. Values; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "proto/base/enum_names.h"

namespace sink {

// Stored: never renumber.
enum class Role {
  kViewer = 1,     // reads
  kSubmitter = 2,  // and has sweeps of its own
  kAdmin = 3,      // and everybody's, workers and users
  kWorker = 4,     // runs jobs: what it holds is its own, all else is not
  kJoin = 5,       // a token: makes its holder a worker
  kLogIn = 6,      // a token: gives a user a certificate
};
template <>
struct EnumNames<Role> {
  using enum Role;
  static constexpr EnumName<Role> kTable[] = {{kViewer, "viewer"}, {kSubmitter, "submitter"}, {kAdmin, "admin"},
                                              {kWorker, "worker"}, {kJoin, "join"},           {kLogIn, "login"}};
};

// "user/NAME", "token/NAME" (a program), "worker/ID", "join/RANDOM" or "login/NAME/RANDOM"; after "sink://" it is a
// certificate's URI.
struct Principal {
  std::string name;
  Role role = Role::kViewer;
  // One-way name of the public key that a worker joined with or that a login token was used for; of a program's token
  // the SHA-256 of its secret.
  std::string key;
  int uses = 0;     // of a token, that are left
  bool revoked = false;
  int64_t created_ms = 0;
};

// A certificate that was issued and counts.
struct IssuedCertificate {
  std::string serial;
  std::string principal;
  int64_t not_after_ms = 0;
  bool renewable = true;  // its holder may have the next one
};

// The principal behind a call.
struct Caller {
  std::string name;
  Role role = Role::kViewer;
  std::string serial;  // of the certificate that it shows
  bool renewable = false;
  std::string secret_hash = "";  // of the secret that it shows, too: a program does
};

// For listings.
struct PrincipalInfo {
  Principal principal;
  int certificates = 0;
  int64_t not_after_ms = 0;  // of the one that lasts longest
};

}  // namespace sink
