// The worker's own certificate: got with a join token or, beside a coordinator of the same user, with the admin's
// credential; kept in the data folder and renewed for the same key when two thirds of its time are over. Owned by the
// link; one call at a time.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "coordinator/client/coordinator_client.h"
#include "coordinator/identity/credential.h"
#include "worker/timing.h"

namespace sink::worker {

struct EnrolmentOptions {
  std::string address;                                       // host:port of the coordinator
  std::string folder;                                        // of the worker's own credential
  std::string worker_id;                                     // that the certificate shall name
  std::optional<identity::Credential> token = std::nullopt;  // to join with
  std::string default_credential = "";  // else: where another one may be, that may let workers join
  std::string advertise = "";           // host that the certificate shall name
};

// The wall clock, by which a certificate says when it ends, and which may be wrong; and time since boot, by which the
// worker waits. Tests move them.
struct EnrolmentClocks {
  std::function<absl::Time()> now = absl::Now;
  std::function<absl::Duration()> since_boot = BootTime;
};

// What --join says: "@FILE", "-" for standard input; empty: nothing. INVALID_ARGUMENT: a token itself, which other
// users can read in the list of processes, or no token. A file that is not there is none: once
// a worker has joined, it may go.
absl::StatusOr<std::optional<identity::Bundle>> ReadJoinOption(const std::string& option);

// What lets a worker, whose credential is in that folder, join though that is damaged or was revoked.
std::string HowToJoinAnew(const std::string& folder);

class Enrolment {
 public:
  explicit Enrolment(EnrolmentOptions options, EnrolmentClocks clocks = {})
      : options_(std::move(options)), clocks_(std::move(clocks)) {}

  // There is a certificate that the coordinator takes, as far as can be told here: joins when there is none, when its
  // time is over, or when the token is of another coordinator; and again, where that is possible, when it names another
  // host than is to be advertised. Errors of the call; UNAVAILABLE: nothing to join with, as yet; FAILED_PRECONDITION:
  // a file of the credential is damaged, and the message names it and the way out.
  absl::Status Ensure();
  // With `client`, which shows the worker's certificate: the next one when it is time, by the clock, or because this
  // process has had the one that it has for two thirds of its time. For the end of each heartbeat: it looks once a
  // minute, so that a clock that was wrong for a while costs no more than that.
  absl::Status RenewIfDue(CoordinatorClient& client);

 private:
  absl::StatusOr<identity::Credential> JoinWith() const;
  absl::Status Join(const identity::Credential& with);

  const EnrolmentOptions options_;
  const EnrolmentClocks clocks_;
  // Since boot: when to look again whether a renewal is due, and when this certificate was first seen.
  absl::Duration look_at_ = -absl::InfiniteDuration(), seen_at_;
  std::string seen_;  // its serial number
};

}  // namespace sink::worker
