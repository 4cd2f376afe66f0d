// The coordinator's own authority: a folder with its key and certificate, the server's credential and the admin's. Made
// at the first start; the two certificates are made anew, for the same keys, when two thirds of their time are over.
// Owned by the server; any thread once it is open, but only one thread may call Refresh.
//
//   ca.key.pem, ca.pem      the authority; whoever has the key can be anybody
//   server/, admin/         credentials (credential.h)
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/identity/certificate.h"

namespace sink::identity {

inline constexpr char kAdmin[] = "admin";  // the name of the user whose credential lies here
inline constexpr char kAdminUri[] = "sink://user/admin";

// How long certificates are good for.
struct Lifetimes {
  absl::Duration authority = absl::Hours(24 * 3650);
  absl::Duration server = absl::Hours(24 * 90);
  absl::Duration user = absl::Hours(24 * 90);
  absl::Duration worker = absl::Hours(24 * 30);
};

// How long a certificate is good for from when it was issued: it says that it was so long before, because clocks differ
// and are set.
absl::Duration LifetimeOf(const Claims& claims);
// Whether it is time for a new certificate.
bool IsDue(const Claims& claims, absl::Time now);
// Likewise for one that is looked at once in a while.
bool IsHalfOver(const Claims& claims, absl::Time now);

class Authority {
 public:
  // Makes what is missing. FAILED_PRECONDITION: the folder or its files are open to others, are damaged, or belong to
  // another authority; or by the clock the authority is not good yet, or over, so that nobody could call;
  // PERMISSION_DENIED; others of the file system.
  static absl::StatusOr<Authority> Open(const std::string& folder, const Lifetimes& lifetimes, absl::Time now);

  // Makes the server's and the admin's certificates anew where they are due, not good yet, or damaged. The admin's
  // claims, if it was.
  absl::StatusOr<std::vector<Claims>> Refresh(absl::Time now) const;

  struct Issued {
    std::string certificate;
    Claims claims;
  };
  // For a client, with a new serial number. Neither the URI nor the host may have a comma.
  absl::StatusOr<Issued> Issue(const std::string& public_key, const std::string& uri, absl::Duration lifetime,
                               absl::Time now, const std::string& host = "") const;

  // What the admin's certificate says now.
  absl::StatusOr<Claims> admin() const;
  const std::string& certificate() const { return certificate_; }  // the authority's own
  const Lifetimes& lifetimes() const { return lifetimes_; }
  std::string server_folder() const { return folder_ + "/server"; }
  std::string admin_folder() const { return folder_ + "/" + kAdmin; }

 private:
  Authority(std::string folder, Lifetimes lifetimes) : folder_(std::move(folder)), lifetimes_(lifetimes) {}
  absl::Status LoadOrMake(absl::Time now);
  absl::Status CheckTime(const std::string& path, absl::Time now) const;
  // The credential in `folder`, made or made anew when it must be; its claims when it was.
  absl::StatusOr<std::vector<Claims>> Keep(const std::string& folder, Use use, const std::string& uri,
                                           absl::Duration lifetime, absl::Time now) const;
  absl::StatusOr<Issued> Sign(const std::string& public_key, Claims claims, absl::Duration lifetime,
                              absl::Time now) const;

  std::string folder_;
  Lifetimes lifetimes_;
  std::string key_, certificate_;
};

}  // namespace sink::identity
