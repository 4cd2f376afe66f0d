// Browsers that show the coordinator's page. Whoever may read asks for a link (IdentityService.OpenPage), which works
// once and soon no more; the browser that opens it gets a session, whose secret it keeps as a cookie. A session is its
// owner's certificate under another name: Principals is asked of it at every use, so it ends with the certificate, and
// a revocation ends it at once. In memory alone: a restart ends them all. Owned by the server; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "coordinator/core/principals.h"
#include "coordinator/job/mutex.h"
#include "coordinator/job/principal.h"

namespace sink {

inline constexpr int64_t kPageLinkMs = 120'000;  // that a link works
inline constexpr int64_t kPageSessionMs = 12 * 3'600'000;
// Of one principal: with one more, its oldest goes. And of all: one more is refused.
inline constexpr size_t kPageLinksOfOne = 8, kPageSessionsOfOne = 32, kPageSessions = 4096;

class PageSessions {
 public:
  // `principals` outlives it.
  explicit PageSessions(const Principals* principals) : principals_(principals) {}

  // The page is served at `url`, which ends with a slash.
  void SetUrl(std::string url) ABSL_LOCKS_EXCLUDED(mutex_);

  struct Link {
    std::string url;  // "http://127.0.0.1:7072/open#TOKEN": what is behind the # stays in the browser
    int64_t good_until_ms = 0;
  };
  // For the caller's browser. FAILED_PRECONDITION: there is no page; RESOURCE_EXHAUSTED.
  absl::StatusOr<Link> Invite(const Caller& caller, int64_t now_ms) ABSL_LOCKS_EXCLUDED(mutex_);

  // The secret of the new session that a link's token buys. UNAUTHENTICATED: it buys none, or no longer.
  absl::StatusOr<std::string> Open(absl::string_view token, int64_t now_ms) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whose session it is, as what. UNAUTHENTICATED: nobody's, now.
  absl::StatusOr<Caller> Find(absl::string_view secret, int64_t now_ms) const ABSL_LOCKS_EXCLUDED(mutex_);
  void End(absl::string_view secret) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry {
    Caller caller;
    int64_t until_ms = 0;
  };
  // By a one-way name of the secret, so that the time which a search takes tells nothing of it.
  using Entries = std::map<std::string, Entry>;

  static absl::Status MakeRoom(Entries& entries, const std::string& name, size_t most_of_one, int64_t now_ms);
  absl::StatusOr<Caller> CallerOf(const Entry& entry, int64_t now_ms) const;

  const Principals* const principals_;
  mutable Mutex mutex_;
  std::string url_ ABSL_GUARDED_BY(mutex_);
  Entries links_ ABSL_GUARDED_BY(mutex_), sessions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sink
