// Everybody who may call, by the certificates that were issued to them. Reads come from memory, and wait for no disk:
// each call asks. What changes is stored first, one change at a time. Owned by the server; any thread.
//
// Names, roles and tokens are in coordinator/job/principal.h. A principal that is revoked loses its certificates, so
// that the next call on an open connection is refused; the principal itself stays, so that nobody takes its name by
// joining again.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "coordinator/job/mutex.h"
#include "coordinator/job/principal.h"
#include "coordinator/store/identity_store.h"

namespace sink {

// Of one principal that count at a time; with one more, the one that ends first goes. A worker has two while it renews,
// a person one for each machine; whoever asks for more and more leaves no table without end.
inline constexpr size_t kMostCertificates = 64;

class Principals {
 public:
  static absl::StatusOr<std::unique_ptr<Principals>> Open(const std::string& database);

  // Who shows the certificate of this serial number and URI, and, where it is a program's, a secret of this hash.
  // UNAUTHENTICATED: it is revoked, its time is over, it was never issued, or the secret is not the one that was made
  // with it.
  absl::StatusOr<Caller> Find(absl::string_view serial, absl::string_view uri, absl::string_view secret_hash,
                              int64_t now_ms) const ABSL_LOCKS_EXCLUDED(mutex_);

  // A principal as an admin makes it: a user, or a token. One that is there gets this role, and is no longer revoked;
  // a program's earlier token counts no more.
  absl::Status Put(const Principal& principal) ABSL_LOCKS_EXCLUDED(writing_, mutex_);
  // The principal must be there.
  absl::Status AddCertificate(const IssuedCertificate& certificate) ABSL_LOCKS_EXCLUDED(writing_, mutex_);

  // The worker `name` comes with a key of its own, by a token that this uses up once, or as an admin. Repeatable with
  // the same key. ALREADY_EXISTS: it joined with another key; PERMISSION_DENIED: it was revoked, or the token is used
  // up.
  absl::Status Join(const Caller& caller, const std::string& name, const std::string& key, int64_t now_ms)
      ABSL_LOCKS_EXCLUDED(writing_, mutex_);
  // The name of the user for whom the caller's token is. Repeatable with the same key. PERMISSION_DENIED: the token was
  // used with another key, or the user was revoked.
  absl::StatusOr<std::string> LogIn(const Caller& caller, const std::string& key) ABSL_LOCKS_EXCLUDED(writing_, mutex_);

  // Whether the caller may change the sweep: an admin may, and who owns it. One that nobody owns is the admins'.
  absl::Status MayChange(const Caller& caller, const std::string& sweep) const ABSL_LOCKS_EXCLUDED(mutex_);
  // The same for one that is about to be submitted, which becomes the caller's when it is new (`exists`: it is not).
  absl::Status Claim(const Caller& caller, const std::string& sweep, bool exists) ABSL_LOCKS_EXCLUDED(writing_, mutex_);
  std::string OwnerOf(const std::string& sweep) const ABSL_LOCKS_EXCLUDED(mutex_);  // empty: nobody
  // The sweep is no more, and its name anybody's.
  absl::Status Release(const std::string& sweep) ABSL_LOCKS_EXCLUDED(writing_, mutex_);
  // These are all sweeps that there are. Any other name that has an owner is anybody's from here on: a deletion that a
  // crash cut short, or a submission that failed, has left it. Its owner is kept until somebody takes it, for the
  // database may be put back whose sweeps these were.
  void FindVacant(const absl::flat_hash_set<std::string>& sweeps) ABSL_LOCKS_EXCLUDED(mutex_);

  // From now on its certificates are refused. A user's login tokens go with it. NOT_FOUND.
  absl::Status Revoke(const std::string& name) ABSL_LOCKS_EXCLUDED(writing_, mutex_);

  // By name.
  std::vector<PrincipalInfo> List() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Forgets certificates whose time is over, but for each worker's and user's newest, and tokens that have none.
  absl::Status Prune(int64_t now_ms) ABSL_LOCKS_EXCLUDED(writing_, mutex_);

 private:
  explicit Principals(std::unique_ptr<store::IdentityStore> store) : store_(std::move(store)) {}
  absl::Status Load() ABSL_LOCKS_EXCLUDED(writing_, mutex_);
  bool IsFree(const std::string& sweep) const ABSL_LOCKS_EXCLUDED(mutex_);
  std::optional<Principal> Known(const std::string& name) const ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Store(const Principal& principal) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status RemoveCertificates(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status LimitCertificates(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Remove(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_) ABSL_LOCKS_EXCLUDED(mutex_);

  // Held by whoever changes something, also while the disk works. The maps change under both, so that who holds the
  // first reads what stays as it is.
  Mutex writing_ ABSL_ACQUIRED_BEFORE(mutex_);
  const std::unique_ptr<store::IdentityStore> store_ ABSL_PT_GUARDED_BY(writing_);
  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, Principal> principals_ ABSL_GUARDED_BY(mutex_);  // by name
  absl::flat_hash_map<std::string, std::string> owners_ ABSL_GUARDED_BY(mutex_);    // by sweep
  absl::flat_hash_set<std::string> vacant_ ABSL_GUARDED_BY(mutex_);  // names with an owner that anybody may take
  absl::flat_hash_map<std::string, IssuedCertificate> certificates_ ABSL_GUARDED_BY(mutex_);  // by serial number
};

}  // namespace sink
