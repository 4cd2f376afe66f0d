// See identity_store.h.
#include "coordinator/store/identity_store.h"

#include "coordinator/job/status_macros.h"
#include "coordinator/store/side_database.h"

namespace sink::store {
namespace {

constexpr int kVersion = 1;
constexpr char kSchema[] = R"sql(
CREATE TABLE IF NOT EXISTS principals (
  name TEXT PRIMARY KEY,
  role INTEGER NOT NULL CHECK (role BETWEEN 1 AND 6),
  key TEXT NOT NULL,
  uses INTEGER NOT NULL CHECK (uses >= 0),
  revoked INTEGER NOT NULL CHECK (revoked IN (0, 1)),
  created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS certificates (
  serial TEXT PRIMARY KEY CHECK (length(serial) = 32),
  principal TEXT NOT NULL REFERENCES principals (name),
  not_after_ms INTEGER NOT NULL,
  renewable INTEGER NOT NULL CHECK (renewable IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owners (
  sweep TEXT PRIMARY KEY,
  principal TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS certificates_principal ON certificates (principal);
)sql";

}  // namespace

absl::StatusOr<std::unique_ptr<IdentityStore>> IdentityStore::Open(const std::string& path) {
  SINK_ASSIGN_OR_RETURN(std::unique_ptr<Database> db, OpenSideDatabase(path, kVersion, kSchema));
  return std::unique_ptr<IdentityStore>(new IdentityStore(std::move(db)));
}

absl::StatusOr<std::vector<Principal>> IdentityStore::Principals() {
  std::vector<Principal> all;
  Query rows(*db_, "SELECT name, role, key, uses, revoked, created_ms FROM principals ORDER BY name");
  while (rows.Next()) {
    all.push_back({.name = rows.Text(0),
                   .role = static_cast<Role>(rows.Int(1)),
                   .key = rows.Text(2),
                   .uses = static_cast<int>(rows.Int(3)),
                   .revoked = rows.Int(4) != 0,
                   .created_ms = rows.Int(5)});
  }
  if (!rows.status().ok()) return rows.status();
  return all;
}

absl::StatusOr<std::vector<IssuedCertificate>> IdentityStore::Certificates() {
  std::vector<IssuedCertificate> all;
  Query rows(*db_, "SELECT serial, principal, not_after_ms, renewable FROM certificates");
  while (rows.Next()) {
    all.push_back({.serial = rows.Text(0),
                   .principal = rows.Text(1),
                   .not_after_ms = rows.Int(2),
                   .renewable = rows.Int(3) != 0});
  }
  if (!rows.status().ok()) return rows.status();
  return all;
}

absl::Status IdentityStore::Put(const Principal& principal) {
  return Write(
      "INSERT INTO principals (name, role, key, uses, revoked, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
      "ON CONFLICT (name) DO UPDATE SET role = ?2, key = ?3, uses = ?4, revoked = ?5, created_ms = ?6",
      principal.name, principal.role, principal.key, principal.uses, principal.revoked, principal.created_ms);
}

absl::Status IdentityStore::Put(const IssuedCertificate& certificate) {
  return Write(
      "INSERT INTO certificates (serial, principal, not_after_ms, renewable) VALUES (?1, ?2, ?3, ?4) "
      "ON CONFLICT (serial) DO UPDATE SET principal = ?2, not_after_ms = ?3, renewable = ?4",
      certificate.serial, certificate.principal, certificate.not_after_ms, certificate.renewable);
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> IdentityStore::Owners() {
  std::vector<std::pair<std::string, std::string>> all;
  Query rows(*db_, "SELECT sweep, principal FROM owners");
  while (rows.Next()) all.emplace_back(rows.Text(0), rows.Text(1));
  if (!rows.status().ok()) return rows.status();
  return all;
}

absl::Status IdentityStore::PutOwner(const std::string& sweep, const std::string& principal) {
  return Write("INSERT INTO owners (sweep, principal) VALUES (?1, ?2) ON CONFLICT (sweep) DO UPDATE SET principal = ?2",
               sweep, principal);
}

absl::Status IdentityStore::RemoveOwner(const std::string& sweep) {
  return Write("DELETE FROM owners WHERE sweep = ?1", sweep);
}

absl::Status IdentityStore::RemoveCertificate(const std::string& serial) { return RemoveCertificates({serial}); }

absl::Status IdentityStore::RemoveCertificatesOf(const std::string& principal) {
  return Write("DELETE FROM certificates WHERE principal = ?1", principal);
}

absl::Status IdentityStore::RemovePrincipal(const std::string& name) {
  return db_->Write([&]() -> absl::Status {
    SINK_RETURN_IF_ERROR(Query(*db_, "DELETE FROM certificates WHERE principal = ?1", name).Run());
    return Query(*db_, "DELETE FROM principals WHERE name = ?1", name).Run();
  });
}

absl::Status IdentityStore::RemoveCertificates(const std::vector<std::string>& serials) {
  if (serials.empty()) return absl::OkStatus();
  return db_->Write([&]() -> absl::Status {
    for (const std::string& serial : serials)
      SINK_RETURN_IF_ERROR(Query(*db_, "DELETE FROM certificates WHERE serial = ?1", serial).Run());
    return absl::OkStatus();
  });
}

}  // namespace sink::store
