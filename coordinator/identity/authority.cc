// See authority.h.
#include "coordinator/identity/authority.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "coordinator/identity/credential.h"
#include "coordinator/job/status_macros.h"
#include "proto/files/files.h"
#include "proto/files/random_id.h"

namespace sink::identity {
namespace {

// So long before it was issued a certificate of the first releases began, for clocks that are behind.
constexpr absl::Duration kClockSkew = absl::Hours(1);
constexpr size_t kMaxFile = 64 * 1024;

// Before there was any authority of this kind. What is signed is good from then on whatever the clock says when it is
// made: machines start without the right time, and one that was a year ahead would lock everybody out for that year.
absl::Time BeforeAll() { return absl::FromCivil(absl::CivilDay(2025, 1, 1), absl::UTCTimeZone()); }

absl::Time GoodFrom(absl::Time now) { return std::min(now, BeforeAll()); }

// Nothing when there is no such file; an empty one is damaged.
absl::StatusOr<std::optional<std::string>> ReadIfThere(const std::string& path) {
  auto text = files::ReadFile(path, kMaxFile);
  if (text.ok()) return *std::move(text);
  if (text.error().code() != ENOENT) return ToStatus(text.error());
  return std::nullopt;
}

// `fix`: what to do about it.
absl::Status Damaged(const std::string& path, const absl::Status& damage, absl::string_view fix) {
  return absl::FailedPreconditionError(absl::StrCat(DamagedFile(path, damage).message(), ": ", fix));
}

constexpr char kBringKeyBack[] =
    "bring it back, as from tls/ of a backup (sink-backup), or remove the folder to begin anew, after which all users "
    "and workers must join again";
constexpr char kMakeCertificate[] =
    "bring it back, as from tls/ of a backup (sink-backup), or remove that file and start again, which makes one for "
    "the same key, after which all users and workers must join again";

}  // namespace

absl::Duration LifetimeOf(const Claims& claims) {
  return claims.not_after - claims.issued.value_or(claims.not_before + kClockSkew);
}

bool IsDue(const Claims& claims, absl::Time now) { return now >= claims.not_after - LifetimeOf(claims) / 3; }

bool IsHalfOver(const Claims& claims, absl::Time now) { return now >= claims.not_after - LifetimeOf(claims) / 2; }

absl::StatusOr<Authority> Authority::Open(const std::string& folder, const Lifetimes& lifetimes, absl::Time now) {
  Authority authority(folder, lifetimes);
  if (const auto failed = files::MakeFolders(folder, 0700)) return ToStatus(failed);
  SINK_RETURN_IF_ERROR(CloseFolder(folder));
  SINK_RETURN_IF_ERROR(authority.LoadOrMake(now));
  SINK_RETURN_IF_ERROR(authority.Refresh(now).status());
  return authority;
}

absl::Status Authority::LoadOrMake(absl::Time now) {
  const std::string key_path = folder_ + "/ca.key.pem", certificate_path = folder_ + "/ca.pem";
  SINK_ASSIGN_OR_RETURN(const std::optional<std::string> kept_key, ReadIfThere(key_path));
  SINK_ASSIGN_OR_RETURN(const std::optional<std::string> kept_certificate, ReadIfThere(certificate_path));
  if (!kept_key && kept_certificate) {
    // A new authority would lock out everybody who trusts the old one.
    return absl::FailedPreconditionError(
        absl::StrCat(key_path, " is gone, while ", certificate_path, " is there: ", kBringKeyBack));
  }
  if (kept_key) {
    key_ = *kept_key;
  } else {
    SINK_ASSIGN_OR_RETURN(key_, MakeKey());
    if (const auto failed = files::ReplaceFile(key_path, key_, 0600)) return ToStatus(failed);
  }
  const auto own = PublicKeyOfKey(key_);
  if (!own.ok()) return Damaged(key_path, own.status(), kBringKeyBack);
  if (kept_certificate) {
    certificate_ = *kept_certificate;
  } else {
    SINK_ASSIGN_OR_RETURN(
        certificate_, MakeAuthorityCertificate(key_, GoodFrom(now), std::max(now, BeforeAll()) + lifetimes_.authority));
    if (const auto failed = files::ReplaceFile(certificate_path, certificate_, 0600)) return ToStatus(failed);
  }
  const auto certified = PublicKeyOfCertificate(certificate_);
  if (!certified.ok()) return Damaged(certificate_path, certified.status(), kMakeCertificate);
  if (*own == *certified) return CheckTime(certificate_path, now);
  return absl::FailedPreconditionError(absl::StrCat(key_path, " and ", certificate_path, " do not belong together"));
}

absl::Status Authority::CheckTime(const std::string& path, absl::Time now) const {
  SINK_ASSIGN_OR_RETURN(const Claims claims, Describe(certificate_));
  const std::string outside = OutsideItsTime(claims, now);
  if (outside.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      path, " ", outside,
      ", so that nobody could call: set the clock; if it is right, remove that file and start again, which makes one "
      "for the same key, after which all users and workers must join again"));
}

absl::StatusOr<std::vector<Claims>> Authority::Refresh(absl::Time now) const {
  SINK_RETURN_IF_ERROR(Keep(server_folder(), Use::kServer, "", lifetimes_.server, now).status());
  return Keep(admin_folder(), Use::kClient, kAdminUri, lifetimes_.user, now);
}

absl::StatusOr<std::vector<Claims>> Authority::Keep(const std::string& folder, Use use, const std::string& uri,
                                                    absl::Duration lifetime, absl::Time now) const {
  auto credential = ReadCredential(folder);
  if (!credential.ok() && !absl::IsNotFound(credential.status())) return credential.status();
  // Nobody rests on this key: clients trust the authority.
  const absl::Status whole = credential.ok() ? CheckCredential(folder, *credential) : absl::OkStatus();
  if (!whole.ok()) spdlog::warn("{}: the credential is made anew", std::string(whole.message()));
  if (!credential.ok() || !whole.ok() || credential->authority != certificate_) {
    credential = Credential{.authority = certificate_, .certificate = "", .key = ""};
    SINK_ASSIGN_OR_RETURN(credential->key, MakeKey());
  } else if (const auto claims = Describe(credential->certificate);
             claims.ok() && !IsDue(*claims, now) && now >= claims->not_before) {
    // One of the first releases that is not good yet is from when our clock was ahead: nobody could call until then.
    return std::vector<Claims>();
  }
  SINK_ASSIGN_OR_RETURN(const std::string public_key, PublicKeyOfKey(credential->key));
  SINK_ASSIGN_OR_RETURN(
      const Issued issued,
      Sign(public_key, {.use = use, .uri = uri, .serial = "", .not_before = {}, .not_after = {}}, lifetime, now));
  if (credential->certificate.empty()) {
    credential->certificate = issued.certificate;
    SINK_RETURN_IF_ERROR(WriteCredential(folder, *credential));
  } else {
    SINK_RETURN_IF_ERROR(ReplaceCertificate(folder, issued.certificate));
  }
  return std::vector<Claims>{issued.claims};
}

absl::StatusOr<Authority::Issued> Authority::Issue(const std::string& public_key, const std::string& uri,
                                                   absl::Duration lifetime, absl::Time now,
                                                   const std::string& host) const {
  return Sign(public_key,
              {.use = Use::kClient, .uri = uri, .host = host, .serial = "", .not_before = {}, .not_after = {}},
              lifetime, now);
}

absl::StatusOr<Authority::Issued> Authority::Sign(const std::string& public_key, Claims claims, absl::Duration lifetime,
                                                  absl::Time now) const {
  // A serial number is positive: the first bit is not set.
  claims.serial = files::RandomId();
  claims.serial[0] = "01234567"[claims.serial[0] & 7];
  claims.not_before = GoodFrom(now);
  claims.not_after = now + lifetime;
  claims.issued = now;
  SINK_ASSIGN_OR_RETURN(std::string certificate, identity::Issue(key_, certificate_, public_key, claims));
  return Issued{.certificate = std::move(certificate), .claims = std::move(claims)};
}

absl::StatusOr<Claims> Authority::admin() const {
  SINK_ASSIGN_OR_RETURN(const Credential credential, ReadCredential(admin_folder()));
  return Describe(credential.certificate);
}

}  // namespace sink::identity
