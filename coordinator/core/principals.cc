// See principals.h.
#include "coordinator/core/principals.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

constexpr int64_t kTokenGraceMs = 60'000;
constexpr char kUriScheme[] = "sink://", kProgramPrefix[] = "token/";

// Its certificate lets it knock, and its secret says that it may come in: the coordinator has the secret's hash alone.
// The hash is a fast one, and is compared as any text is: the secret is 256 random bits, of which neither guesses nor
// the time of a comparison of hashes find one.
bool IsProgram(absl::string_view name) { return absl::StartsWith(name, kProgramPrefix); }

bool IsToken(const Principal& principal) { return principal.role == Role::kJoin || principal.role == Role::kLogIn; }

// "login/alice/0123" -> "user/alice".
std::string UserOf(const std::string& login) {
  const std::vector<absl::string_view> parts = absl::StrSplit(login, '/');
  return absl::StrCat("user/", parts.size() > 1 ? parts[1] : "");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Principals>> Principals::Open(const std::string& database) {
  SINK_ASSIGN_OR_RETURN(std::unique_ptr<store::IdentityStore> store, store::IdentityStore::Open(database));
  auto principals = std::unique_ptr<Principals>(new Principals(std::move(store)));
  SINK_RETURN_IF_ERROR(principals->Load());
  return principals;
}

absl::Status Principals::Load() {
  MutexLock writing(&writing_);
  SINK_ASSIGN_OR_RETURN(const std::vector<Principal> principals, store_->Principals());
  SINK_ASSIGN_OR_RETURN(const std::vector<IssuedCertificate> certificates, store_->Certificates());
  SINK_ASSIGN_OR_RETURN(const auto owners, store_->Owners());
  MutexLock lock(&mutex_);
  for (const Principal& principal : principals) principals_[principal.name] = principal;
  for (const IssuedCertificate& certificate : certificates) certificates_[certificate.serial] = certificate;
  owners_.insert(owners.begin(), owners.end());
  return absl::OkStatus();
}

std::optional<Principal> Principals::Known(const std::string& name) const {
  MutexLock lock(&mutex_);
  const auto known = principals_.find(name);
  return known == principals_.end() ? std::nullopt : std::optional(known->second);
}

absl::StatusOr<Caller> Principals::Find(absl::string_view serial, absl::string_view uri, absl::string_view secret_hash,
                                        int64_t now_ms) const {
  MutexLock lock(&mutex_);
  const auto certificate = certificates_.find(serial);
  if (certificate == certificates_.end()) {
    return absl::UnauthenticatedError("this certificate was revoked, or another coordinator issued it");
  }
  const IssuedCertificate& issued = certificate->second;
  // Open connections outlive the certificate that they were opened with.
  if (now_ms > issued.not_after_ms) return absl::UnauthenticatedError("this certificate's time is over");
  const auto principal = principals_.find(issued.principal);
  if (principal == principals_.end() || principal->second.revoked || !absl::ConsumePrefix(&uri, kUriScheme) ||
      uri != issued.principal) {
    return absl::UnauthenticatedError("this certificate is of nobody who may call");
  }
  const bool program = IsProgram(issued.principal);
  if (program && (secret_hash.empty() || secret_hash != principal->second.key)) {
    return absl::UnauthenticatedError(
        "this token's secret is missing or wrong, or a newer token of the name has taken its place");
  }
  return Caller{.name = issued.principal,
                .role = principal->second.role,
                .serial = issued.serial,
                .renewable = issued.renewable,
                .secret_hash = program ? principal->second.key : ""};
}

absl::Status Principals::Store(const Principal& principal) {
  SINK_RETURN_IF_ERROR(store_->Put(principal));
  MutexLock lock(&mutex_);
  principals_[principal.name] = principal;
  return absl::OkStatus();
}

absl::Status Principals::Put(const Principal& principal) {
  MutexLock writing(&writing_);
  Principal put = principal;
  if (const auto known = Known(principal.name)) put.created_ms = known->created_ms;
  SINK_RETURN_IF_ERROR(Store(put));
  return IsProgram(put.name) ? RemoveCertificates(put.name) : absl::OkStatus();
}

absl::Status Principals::RemoveCertificates(const std::string& name) {
  SINK_RETURN_IF_ERROR(store_->RemoveCertificatesOf(name));
  MutexLock lock(&mutex_);
  absl::erase_if(certificates_, [&name](const auto& entry) { return entry.second.principal == name; });
  return absl::OkStatus();
}

absl::Status Principals::AddCertificate(const IssuedCertificate& certificate) {
  MutexLock writing(&writing_);
  const auto principal = Known(certificate.principal);
  if (!principal) return absl::NotFoundError(absl::StrCat("no such principal: ", certificate.principal));
  // Between the check of a call and its certificate somebody may have revoked the caller.
  if (principal->revoked) return absl::PermissionDeniedError(absl::StrCat(certificate.principal, " was revoked"));
  SINK_RETURN_IF_ERROR(store_->Put(certificate));
  {
    MutexLock lock(&mutex_);
    certificates_[certificate.serial] = certificate;
  }
  return LimitCertificates(certificate.principal);
}

absl::Status Principals::LimitCertificates(const std::string& name) {
  std::vector<IssuedCertificate> own;
  {
    MutexLock lock(&mutex_);
    for (const auto& [serial, certificate] : certificates_) {
      if (certificate.principal == name) own.push_back(certificate);
    }
  }
  std::sort(own.begin(), own.end(),
            [](const IssuedCertificate& a, const IssuedCertificate& b) { return a.not_after_ms > b.not_after_ms; });
  for (size_t i = kMostCertificates; i < own.size(); ++i) {
    SINK_RETURN_IF_ERROR(store_->RemoveCertificate(own[i].serial));
    MutexLock lock(&mutex_);
    certificates_.erase(own[i].serial);
  }
  return absl::OkStatus();
}

absl::Status Principals::Join(const Caller& caller, const std::string& name, const std::string& key, int64_t now_ms) {
  MutexLock writing(&writing_);
  if (const auto known = Known(name)) {
    if (known->revoked) {
      return absl::PermissionDeniedError("this worker was revoked; another one can join from an empty data folder");
    }
    if (known->key == key) return absl::OkStatus();
    return absl::AlreadyExistsError(
        "a worker of this id has joined with another key; if this one's folder lost its key, remove worker.id from it, "
        "and it joins as a new worker");
  }
  if (caller.role == Role::kJoin) {
    auto token = Known(caller.name);
    if (!token || token->uses <= 0) {
      return absl::PermissionDeniedError("this token is used up; make another: sinkctl worker token");
    }
    --token->uses;
    SINK_RETURN_IF_ERROR(Store(*token));
  }
  return Store({.name = name, .role = Role::kWorker, .key = key, .uses = 0, .revoked = false, .created_ms = now_ms});
}

absl::StatusOr<std::string> Principals::LogIn(const Caller& caller, const std::string& key) {
  MutexLock writing(&writing_);
  auto token = Known(caller.name);
  const std::string user = UserOf(caller.name);
  const auto principal = Known(user);
  if (!token || !principal || principal->revoked) {
    return absl::PermissionDeniedError("the user of this token was revoked");
  }
  if (token->key == key) return user;
  if (token->uses <= 0) {
    return absl::PermissionDeniedError("this token was used before; ask for another: sinkctl user add");
  }
  --token->uses;
  token->key = key;
  SINK_RETURN_IF_ERROR(Store(*token));
  return user;
}

absl::Status Principals::MayChange(const Caller& caller, const std::string& sweep) const {
  if (caller.role == Role::kAdmin) return absl::OkStatus();
  const std::string owner = OwnerOf(sweep);
  if (owner == caller.name) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("sweep ", sweep, " belongs to ", owner.empty() ? "an admin" : owner,
                                                  ", and only they or an admin may change it"));
}

absl::Status Principals::Claim(const Caller& caller, const std::string& sweep, bool exists) {
  {
    MutexLock writing(&writing_);
    if (!exists && IsFree(sweep)) {
      SINK_RETURN_IF_ERROR(store_->PutOwner(sweep, caller.name));
      MutexLock lock(&mutex_);
      owners_[sweep] = caller.name;
      vacant_.erase(sweep);
      return absl::OkStatus();
    }
  }
  return MayChange(caller, sweep);
}

bool Principals::IsFree(const std::string& sweep) const {
  MutexLock lock(&mutex_);
  return !owners_.contains(sweep) || vacant_.contains(sweep);
}

std::string Principals::OwnerOf(const std::string& sweep) const {
  MutexLock lock(&mutex_);
  const auto owner = owners_.find(sweep);
  return owner == owners_.end() ? "" : owner->second;
}

absl::Status Principals::Release(const std::string& sweep) {
  MutexLock writing(&writing_);
  SINK_RETURN_IF_ERROR(store_->RemoveOwner(sweep));
  MutexLock lock(&mutex_);
  owners_.erase(sweep);
  vacant_.erase(sweep);
  return absl::OkStatus();
}

void Principals::FindVacant(const absl::flat_hash_set<std::string>& sweeps) {
  MutexLock lock(&mutex_);
  vacant_.clear();
  for (const auto& [sweep, owner] : owners_) {
    if (!sweeps.contains(sweep)) vacant_.insert(sweep);
  }
}

absl::Status Principals::Remove(const std::string& name) {
  SINK_RETURN_IF_ERROR(store_->RemovePrincipal(name));
  MutexLock lock(&mutex_);
  principals_.erase(name);
  absl::erase_if(certificates_, [&name](const auto& entry) { return entry.second.principal == name; });
  return absl::OkStatus();
}

absl::Status Principals::Revoke(const std::string& name) {
  MutexLock writing(&writing_);
  auto principal = Known(name);
  if (!principal) return absl::NotFoundError(absl::StrCat("there is no ", name));
  principal->revoked = true;
  SINK_RETURN_IF_ERROR(Store(*principal));
  SINK_RETURN_IF_ERROR(RemoveCertificates(name));
  std::vector<std::string> tokens;
  {
    MutexLock lock(&mutex_);
    for (const auto& [other, entry] : principals_) {
      if (entry.role == Role::kLogIn && UserOf(other) == name) tokens.push_back(other);
    }
  }
  for (const std::string& token : tokens) SINK_RETURN_IF_ERROR(Remove(token));
  return absl::OkStatus();
}

std::vector<PrincipalInfo> Principals::List() const {
  MutexLock lock(&mutex_);
  absl::flat_hash_map<std::string, PrincipalInfo> infos;
  for (const auto& [name, principal] : principals_) infos[name].principal = principal;
  for (const auto& [serial, certificate] : certificates_) {
    PrincipalInfo& info = infos[certificate.principal];
    ++info.certificates;
    info.not_after_ms = std::max(info.not_after_ms, certificate.not_after_ms);
  }
  std::vector<PrincipalInfo> list;
  for (auto& [name, info] : infos) list.push_back(std::move(info));
  std::sort(list.begin(), list.end(),
            [](const PrincipalInfo& a, const PrincipalInfo& b) { return a.principal.name < b.principal.name; });
  return list;
}

absl::Status Principals::Prune(int64_t now_ms) {
  MutexLock writing(&writing_);
  std::vector<std::string> over;
  {
    MutexLock lock(&mutex_);
    // A clock that is ahead for a moment must not lock a fleet out for good: it is the newest certificate that a worker
    // or a user has, and it counts again once the clock is right.
    absl::flat_hash_map<std::string, int64_t> newest;
    for (const auto& [serial, certificate] : certificates_) {
      const auto principal = principals_.find(certificate.principal);
      if (principal == principals_.end() || IsToken(principal->second)) continue;
      int64_t& latest = newest[certificate.principal];
      latest = std::max(latest, certificate.not_after_ms);
    }
    for (const auto& [serial, certificate] : certificates_) {
      const auto kept = newest.find(certificate.principal);
      if (certificate.not_after_ms < now_ms && (kept == newest.end() || certificate.not_after_ms < kept->second))
        over.push_back(serial);
    }
  }
  SINK_RETURN_IF_ERROR(store_->RemoveCertificates(over));
  std::vector<std::string> spent;
  {
    MutexLock lock(&mutex_);
    for (const std::string& serial : over) certificates_.erase(serial);
    absl::flat_hash_map<std::string, bool> used;
    for (const auto& [serial, certificate] : certificates_) used[certificate.principal] = true;
    for (const auto& [name, principal] : principals_) {
      // A token that was just made may be about to get its certificate.
      if (IsToken(principal) && !used.contains(name) && principal.created_ms + kTokenGraceMs < now_ms)
        spent.push_back(name);
    }
  }
  for (const std::string& name : spent) SINK_RETURN_IF_ERROR(Remove(name));
  return absl::OkStatus();
}

}  // namespace sink
