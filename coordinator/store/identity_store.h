// The rows of who may call and what is whose: principals, their certificates and their sweeps, in a database of its own
// beside the authority's key, so that a copy of the jobs' database brings back nobody who was revoked. Owned by
// Principals, which takes care that one thread at a time calls.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/job/principal.h"
#include "coordinator/store/sqlite_db.h"

namespace sink::store {

class IdentityStore {
 public:
  // Made when absent. FAILED_PRECONDITION: of a newer version.
  static absl::StatusOr<std::unique_ptr<IdentityStore>> Open(const std::string& path);

  absl::StatusOr<std::vector<Principal>> Principals();
  absl::StatusOr<std::vector<IssuedCertificate>> Certificates();
  absl::StatusOr<std::vector<std::pair<std::string, std::string>>> Owners();  // sweep, principal

  // Durable when they return OK. A principal of the same name, or a certificate of the same serial number, is replaced.
  absl::Status Put(const Principal& principal);
  absl::Status Put(const IssuedCertificate& certificate);
  absl::Status PutOwner(const std::string& sweep, const std::string& principal);
  absl::Status RemoveOwner(const std::string& sweep);  // there may be none
  absl::Status RemoveCertificate(const std::string& serial);
  absl::Status RemoveCertificatesOf(const std::string& principal);
  absl::Status RemovePrincipal(const std::string& name);                     // and its certificates
  absl::Status RemoveCertificates(const std::vector<std::string>& serials);  // all or none

 private:
  explicit IdentityStore(std::unique_ptr<Database> db) : db_(std::move(db)) {}

  template <typename... Args>
  absl::Status Write(const char* sql, const Args&... args) {
    return db_->Write([&] { return Query(*db_, sql, args...).Run(); });
  }

  const std::unique_ptr<Database> db_;
};

}  // namespace sink::store
