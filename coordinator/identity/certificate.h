// Keys and certificates as this system uses them, in PEM: ECDSA keys on P-256 alone, one authority of its own, and a
// certificate that says who somebody is by a URI ("sink://worker/ID"). Pure but for the random numbers of OpenSSL; any
// thread. Errors name no file: their caller knows it.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace sink::identity {

// The name by which every coordinator's certificate answers: its clients trust its authority and no other, so the name
// need not say where it is, and tunnels and port forwards change nothing.
inline constexpr char kServerName[] = "coordinator.sink";

enum class Use { kServer, kClient };

// What a certificate says.
struct Claims {
  Use use = Use::kClient;
  std::string uri;        // of a client
  std::string host = "";  // of a worker: at which others may be told to reach it
  std::string serial;     // 32 hex digits; a client's common name, too, where gRPC shows it
  absl::Time not_before, not_after;
  std::optional<absl::Time> issued = std::nullopt;  // those of the first releases do not say
};

// A new private key.
absl::StatusOr<std::string> MakeKey();
// The public half of a private key, of a certificate, or of a signing request, whose signature then proves that its
// sender has the private half. INVALID_ARGUMENT: damaged, or not of P-256.
absl::StatusOr<std::string> PublicKeyOfKey(const std::string& key);
absl::StatusOr<std::string> PublicKeyOfCertificate(const std::string& certificate);
absl::StatusOr<std::string> PublicKeyOfRequest(const std::string& request);

// A signing request for the key; what the certificate will say is the authority's to decide.
absl::StatusOr<std::string> MakeRequest(const std::string& key);
// The certificate of an authority, which signs itself.
absl::StatusOr<std::string> MakeAuthorityCertificate(const std::string& key, absl::Time not_before,
                                                     absl::Time not_after);
absl::StatusOr<std::string> Issue(const std::string& authority_key, const std::string& authority_certificate,
                                  const std::string& public_key, const Claims& claims);

// Of a certificate of ours. INVALID_ARGUMENT: damaged.
absl::StatusOr<Claims> Describe(const std::string& certificate);

// When it is good, and what the clock says, if by the clock it is not: "is good from ... to ... (UTC), and by this
// machine's clock it is ...". Empty: it is good.
std::string OutsideItsTime(const Claims& claims, absl::Time now);

}  // namespace sink::identity
