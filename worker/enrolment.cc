// See enrolment.h.
#include "worker/enrolment.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "coordinator/client/address.h"
#include "coordinator/identity/authority.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/job/status_macros.h"

namespace sink::worker {
namespace {

constexpr absl::Duration kLookEvery = absl::Minutes(1);
constexpr absl::Duration kPeerPatience = absl::Seconds(1);

// With another key nobody lets a worker of this id join.
absl::Status CheckKey(const std::string& folder, const std::string& key) {
  const absl::Status whole = identity::PublicKeyOfKey(key).status();
  if (whole.ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(identity::DamagedFile(identity::KeyPath(folder), whole).message(),
                                                    ": bring it back; or ", HowToJoinAnew(folder)));
}

}  // namespace

std::string HowToJoinAnew(const std::string& folder) {
  return absl::StrCat("stop this worker, remove ", folder, " and the file worker.id beside it, and start it with ",
                      "--join and a token (`sinkctl worker token`): it joins as a new worker then");
}

absl::StatusOr<std::optional<identity::Bundle>> ReadJoinOption(const std::string& option) {
  if (option.empty()) return std::nullopt;
  absl::string_view path = option;
  if (option != "-" && !absl::ConsumePrefix(&path, "@")) {
    return absl::InvalidArgumentError(
        "--join: give @FILE with the token, or - for standard input; on the command line every user could read it");
  }
  const auto text = identity::ReadSecretFile(std::string(path));
  // Once the worker has joined, the token may go.
  if (absl::IsNotFound(text.status())) return std::nullopt;
  if (!text.ok()) return absl::InvalidArgumentError(absl::StrCat("--join ", option, ": ", text.status().message()));
  auto bundle = identity::DecodeBundle(identity::kJoinBundle, *text);
  if (!bundle.ok()) return absl::InvalidArgumentError(absl::StrCat("--join ", option, ": ", bundle.status().message()));
  return *std::move(bundle);
}

absl::StatusOr<identity::Credential> Enrolment::JoinWith() const {
  if (options_.token) return *options_.token;
  auto found = identity::ReadCredential(options_.default_credential);
  if (!absl::IsNotFound(found.status())) return found;
  return absl::UnavailableError(absl::StrCat(
      "cannot join the coordinator at ", options_.address, ": ", identity::NoCredentialAt(options_.default_credential),
      "; is it running here? where it runs elsewhere, its admin makes a token by `sinkctl "
      "worker token`, for --join"));
}

absl::Status Enrolment::Ensure() {
  const auto own = identity::ReadCredential(options_.folder);
  const auto with = JoinWith();
  absl::Status whole;
  if (own.ok()) {
    SINK_RETURN_IF_ERROR(CheckKey(options_.folder, own->key));
    whole = identity::CheckCredential(options_.folder, *own);
    const auto claims = identity::Describe(own->certificate);
    const bool alive = whole.ok() && claims.ok() && clocks_.now() < claims->not_after &&
                       claims->uri == absl::StrCat("sink://worker/", options_.worker_id);
    const bool same_coordinator = !with.ok() || with->authority == own->authority;
    // Issued while the coordinator's clock was ahead, it does not count there yet; nor does it harm.
    const bool counts = claims.ok() && clocks_.now() >= claims->not_before;
    if (alive && same_coordinator && !counts && with.ok() && Join(*with).ok()) return absl::OkStatus();
    if (alive && same_coordinator) {
      const bool named = options_.advertise.empty() || claims->host == options_.advertise;
      const absl::Status joined = named || !with.ok() ? absl::OkStatus() : Join(*with);
      // It may be where this worker calls from, which needs no name.
      if (!joined.ok()) spdlog::warn("the certificate does not name {}: {}", options_.advertise, joined.ToString());
      return absl::OkStatus();
    }
  } else if (!absl::IsNotFound(own.status())) {
    return own.status();
  }
  if (with.ok()) return Join(*with);
  if (!whole.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(whole.message(), ": bring it back, or start this worker with --join and a token (`sinkctl worker ",
                     "token`), for which it gets another certificate"));
  }
  // Of what is no coordinator there will never be a credential.
  if (absl::IsUnavailable(with.status()) && FindPeer(options_.address, kPeerPatience) == Peer::kOther)
    return absl::UnavailableError(NoCoordinatorAt(options_.address));
  return with.status();
}

absl::Status Enrolment::Join(const identity::Credential& with) {
  SINK_ASSIGN_OR_RETURN(const std::string key, identity::KeepKey(options_.folder));
  SINK_RETURN_IF_ERROR(CheckKey(options_.folder, key));
  SINK_ASSIGN_OR_RETURN(const std::string signing_request, identity::MakeRequest(key));
  SINK_ASSIGN_OR_RETURN(
      const auto client,
      CoordinatorClient::Create({.address = options_.address, .credential = with, .retry_for = absl::ZeroDuration()}));
  v1::JoinRequest request;
  request.set_worker_id(options_.worker_id);
  request.set_request(signing_request);
  request.set_advertise(options_.advertise);
  SINK_ASSIGN_OR_RETURN(const v1::CertificateResponse response, client->Join(request));
  spdlog::info("joined the coordinator at {} as {}", options_.address, response.principal());
  return identity::WriteCredential(options_.folder,
                                   {.authority = with.authority, .certificate = response.certificate(), .key = key});
}

absl::Status Enrolment::RenewIfDue(CoordinatorClient& client) {
  const absl::Duration since_boot = clocks_.since_boot();
  if (since_boot < look_at_) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(const identity::Credential own, identity::ReadCredential(options_.folder));
  SINK_ASSIGN_OR_RETURN(const identity::Claims claims, identity::Describe(own.certificate));
  const absl::Duration lifetime = identity::LifetimeOf(claims);
  if (claims.serial != seen_) {
    seen_ = claims.serial;
    seen_at_ = since_boot;
  }
  const bool due = identity::IsDue(claims, clocks_.now()) || since_boot - seen_at_ >= lifetime * 2 / 3;
  if (due) {
    SINK_ASSIGN_OR_RETURN(const v1::CertificateResponse next, client.Renew({}));
    SINK_RETURN_IF_ERROR(identity::ReplaceCertificate(options_.folder, next.certificate()));
  }
  // By a clock that is ahead the next one is due at once, too. Certificates that last for seconds are for tests.
  look_at_ = since_boot + std::min(kLookEvery, lifetime / 30);
  return absl::OkStatus();
}

}  // namespace sink::worker
