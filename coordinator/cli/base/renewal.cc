// See renewal.h.
#include "coordinator/cli/base/renewal.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/time/clock.h"
#include "coordinator/identity/authority.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/identity/credential.h"

namespace sink::cli {
namespace {

// A link leads into the data folder of a coordinator.
bool IsOwnFolder(const std::string& place) {
  struct stat info {};
  return lstat(place.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid();
}

}  // namespace

void RenewCertificate(Session& session) {
  const std::string place = session.credentials();
  if (session.token() != nullptr || !IsOwnFolder(place)) return;
  const auto own = identity::ReadCredential(place);
  if (!own.ok()) return;
  const auto claims = identity::Describe(own->certificate);
  if (!claims.ok() || claims->uri == identity::kAdminUri || !identity::IsHalfOver(*claims, absl::Now())) return;
  const auto next = session.client().Renew({});
  const absl::Status renewed = next.ok() ? identity::ReplaceCertificate(place, next->certificate()) : next.status();
  if (renewed.ok()) return;
  session.world().err << "sinkctl: note: the certificate in " << place << " ends on "
                      << absl::FormatTime("%Y-%m-%d", claims->not_after, absl::UTCTimeZone())
                      << " and could not be renewed: " << renewed.message() << "\n";
}

}  // namespace sink::cli
