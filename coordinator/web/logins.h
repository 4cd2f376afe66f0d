// Who may change something from a page. A link with a one-time token, which only those can read who may read the
// coordinator's folder, makes a browser's session; without one a page only shows. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "coordinator/job/mutex.h"

namespace sink::web {

class Logins {
 public:
  using Clock = std::chrono::steady_clock;

  // `publish` is told each token that is good next; the first, at once.
  explicit Logins(std::function<void(const std::string& token)> publish);

  // The new session's secret, for a cookie. Empty: the token is not, or no longer, good.
  std::string Redeem(absl::string_view token, Clock::time_point now) ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsSession(absl::string_view secret, Clock::time_point now) const ABSL_LOCKS_EXCLUDED(mutex_);
  void End(const std::string& secret) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const std::function<void(const std::string&)> publish_;
  mutable Mutex mutex_;
  std::string token_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Clock::time_point> sessions_ ABSL_GUARDED_BY(mutex_);  // until when
};

}  // namespace sink::web
